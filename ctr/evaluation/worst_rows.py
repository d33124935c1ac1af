"""Worst predictions: the examples whose scores are furthest from their labels."""

from typing import Any

import numpy as np
import pyarrow as pa

from ctr.metrics.counts import sigmoid

TEXT_LENGTH = 60


class WorstRows:
    """The `maximum` examples of a split with the largest log loss and their values; the first among equals.

    Two states of consecutive examples merge by `merge`.
    """

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._losses = np.empty(0)
        self._rows: list[dict[str, Any]] = []
        self._seen = 0

    def add(self, table: pa.Table, logit: np.ndarray, label: np.ndarray) -> None:
        """Add the next examples of the split in file order."""
        exact = logit.astype(np.float64)
        losses = np.logaddexp(0, np.where(label == 1, -exact, exact))
        minimum = self._losses.min(initial=np.inf) if len(self._losses) == self.maximum else -1.0
        worse = np.flatnonzero(losses > minimum)
        worse = worse[np.argsort(-losses[worse], kind="stable")[: self.maximum]]
        rows = [
            {
                "row": self._seen + int(index),
                "label": int(label[index]),
                "score": float(sigmoid(exact[index : index + 1])[0]),
                "log_loss": float(losses[index]),
                "values": {name: _text(table.column(name)[int(index)]) for name in table.column_names},
            }
            for index in worse
        ]
        self._keep_worst(losses[worse], rows)
        self._seen += len(logit)

    def merge(self, other: "WorstRows") -> "WorstRows":
        """Return the state of both together; the examples of the other are later in file order."""
        merged = WorstRows(self.maximum)
        merged._losses, merged._rows, merged._seen = self._losses, self._rows, self._seen + other._seen
        merged._keep_worst(other._losses, [{**row, "row": self._seen + row["row"]} for row in other._rows])
        return merged

    def result(self) -> list[dict[str, Any]]:
        """Return `row` (index in the file), `label`, `score`, `log_loss` and `values` (texts), the worst first."""
        return self._rows

    def _keep_worst(self, losses: np.ndarray, rows: list[dict[str, Any]]) -> None:
        """Keep the worst of the examples so far and of these, which are later."""
        all_losses = np.concatenate([self._losses, losses])
        order = np.argsort(-all_losses, kind="stable")[: self.maximum]
        all_rows = [*self._rows, *rows]
        self._losses, self._rows = all_losses[order], [all_rows[index] for index in order]


def _text(value: pa.Scalar) -> str:
    try:
        plain = value.as_py()
    except (OverflowError, ValueError):  # a time outside the range of datetime
        plain = value.cast(pa.int64()).as_py()
    text = "null" if plain is None else str(plain)
    return text if len(text) <= TEXT_LENGTH else text[:TEXT_LENGTH] + "…"
