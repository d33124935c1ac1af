"""The rows whose scores were furthest from their labels."""

from typing import Any

import numpy as np
import pyarrow as pa

from ctr.metrics.counts import sigmoid

TEXT_LENGTH = 60


class WorstRows:
    """The `most` rows of a set of the largest log loss, with what their columns hold; of equal losses the first rows.

    Two states of rows that follow each other merge by `merge`.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._losses = np.empty(0)
        self._rows: list[dict[str, Any]] = []
        self._seen = 0

    def add(self, table: pa.Table, logit: np.ndarray, label: np.ndarray) -> None:
        """Look at rows, which are the set's next in file order."""
        exact = logit.astype(np.float64)
        losses = np.logaddexp(0, np.where(label == 1, -exact, exact))
        least = self._losses.min(initial=np.inf) if len(self._losses) == self.most else -1.0
        worse = np.flatnonzero(losses > least)
        worse = worse[np.argsort(-losses[worse], kind="stable")[: self.most]]
        found = [
            {
                "row": self._seen + int(place),
                "label": int(label[place]),
                "score": float(sigmoid(exact[place : place + 1])[0]),
                "log_loss": float(losses[place]),
                "values": {name: _text(table.column(name)[int(place)]) for name in table.column_names},
            }
            for place in worse
        ]
        self._keep_worst(losses[worse], found)
        self._seen += len(logit)

    def merge(self, other: "WorstRows") -> "WorstRows":
        """Return the state of both together; the rows of the other are those that follow in file order."""
        merged = WorstRows(self.most)
        merged._losses, merged._rows, merged._seen = self._losses, self._rows, self._seen + other._seen
        merged._keep_worst(other._losses, [{**row, "row": self._seen + row["row"]} for row in other._rows])
        return merged

    def result(self) -> list[dict[str, Any]]:
        """Worst first: `row` (place in the scores file, from 0), `label`, `score`, `log_loss`, `values` as texts."""
        return self._rows

    def _keep_worst(self, losses: np.ndarray, rows: list[dict[str, Any]]) -> None:
        """Keep the worst of the rows kept so far and of these, which follow them."""
        both = np.concatenate([self._losses, losses])
        order = np.argsort(-both, kind="stable")[: self.most]
        known = [*self._rows, *rows]
        self._losses, self._rows = both[order], [known[place] for place in order]


def _text(value: pa.Scalar) -> str:
    try:
        found = value.as_py()
    except (OverflowError, ValueError):  # a time that Python's calendar has not
        found = value.cast(pa.int64()).as_py()
    text = "null" if found is None else str(found)
    return text if len(text) <= TEXT_LENGTH else text[:TEXT_LENGTH] + "…"
