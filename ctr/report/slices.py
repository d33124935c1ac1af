"""Slices of a split against all of its examples: where the model ranks or predicts worse than elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctr.checks.significance import has_enough_examples, is_miscalibrated, is_ranked_worse


@dataclass(frozen=True)
class Slice:
    """The examples with one value of a column.

    Attributes:
        value: the value as text.
        metrics: `GroupMetrics` of report.json; for a slice also its PSI.
        is_worse: True if its AUC is significantly below that of all examples.
        is_off: True if it is significantly miscalibrated.
    """

    value: str
    metrics: Mapping[str, Any]
    is_worse: bool
    is_off: bool

    @property
    def interval(self) -> tuple[float, float] | None:
        """The AUC -+ two standard errors, within [0, 1]; None without an AUC."""
        auc, error = self.metrics["auc"], self.metrics["auc_standard_error"]
        return None if auc is None or error is None else (max(auc - 2 * error, 0.0), min(auc + 2 * error, 1.0))


@dataclass(frozen=True)
class SlicedColumn:
    """All slices of one column."""

    name: str
    slices: list[Slice]

    @property
    def marked(self) -> int:
        """The number of slices that are ranked worse or miscalibrated."""
        return sum(slice_.is_worse or slice_.is_off for slice_ in self.slices)

    @property
    def aucs(self) -> tuple[float, float] | None:
        """The lowest and the highest AUC among slices with enough examples; None if no slice has enough."""
        aucs = [slice_.metrics["auc"] for slice_ in self.slices if has_enough_examples(slice_.metrics)]
        return (min(aucs), max(aucs)) if aucs else None


def sliced_columns(
    by_column: Mapping[str, Sequence[Mapping[str, Any]]],
    name_of: Callable[[Any], str],
    auc: float | None,
    orders: Mapping[str, Sequence[str]] = {},
) -> list[SlicedColumn]:
    """Return the slices of each column, the columns with the most marked slices first; columns without are left out.

    Args:
        by_column: name -> metrics of each slice, as in report.json.
        name_of: function that returns the value of a slice as text.
        auc: AUC of all examples.
        orders: name -> texts of the values in the order to list them, such as hours by the clock; other columns and
            values keep their order.
    """
    columns = [
        SlicedColumn(
            name,
            [
                Slice(name_of(metrics), metrics, is_ranked_worse(metrics, auc), is_miscalibrated(metrics))
                for metrics in sorted(slices, key=lambda metrics: _position(name_of(metrics), orders.get(name, ())))
            ],
        )
        for name, slices in by_column.items()
        if slices
    ]
    return sorted(columns, key=lambda column: -column.marked)


def _position(value: str, order: Sequence[str]) -> int:
    return order.index(value) if value in order else len(order)


def auc_scale(columns: Sequence[SlicedColumn]) -> tuple[float, float]:
    """Return the ends of an axis that fits the interval of every slice with enough examples."""
    intervals = [
        slice_.interval
        for column in columns
        for slice_ in column.slices
        if slice_.interval and has_enough_examples(slice_.metrics)
    ]
    low, high = min((ends[0] for ends in intervals), default=0.0), max((ends[1] for ends in intervals), default=1.0)
    return (low, high) if low < high else (0.0, 1.0)
