"""The rows whose scores were furthest from their labels."""

from typing import Any

import numpy as np
import pyarrow as pa

from ctr.metrics.counts import sigmoid

TEXT_LENGTH = 60


class WorstRows:
    """The `most` rows of a set of the largest log loss, with what their columns hold."""

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
        order = np.argsort(-np.concatenate([self._losses, losses[worse]]), kind="stable")[: self.most]
        self._losses = np.concatenate([self._losses, losses[worse]])[order]
        both = [*self._rows, *found]
        self._rows = [both[place] for place in order]
        self._seen += len(logit)

    def result(self) -> list[dict[str, Any]]:
        """Worst first: `row` (place in the scores file, from 0), `label`, `score`, `log_loss`, `values` as texts."""
        return self._rows


def _text(value: pa.Scalar) -> str:
    try:
        found = value.as_py()
    except (OverflowError, ValueError):  # a time that Python's calendar has not
        found = value.cast(pa.int64()).as_py()
    text = "null" if found is None else str(found)
    return text if len(text) <= TEXT_LENGTH else text[:TEXT_LENGTH] + "…"
