"""Slices of a set beside the whole of it: where the model ranks or predicts worse than elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctr.checks.significance import has_enough_examples, is_miscalibrated, is_ranked_worse


@dataclass(frozen=True)
class Slice:
    """The rows of one value.

    Attributes:
        value: as text.
        metrics: those of `GroupMetrics` in report.json, and of a slice its PSI.
        is_worse: its AUC lies below that of all rows by more than chance.
        is_off: its calibration lies further from 1 than chance would bring it.
    """

    value: str
    metrics: Mapping[str, Any]
    is_worse: bool
    is_off: bool

    @property
    def interval(self) -> tuple[float, float] | None:
        """Two standard errors to either side of the AUC, within [0, 1]; None without an AUC."""
        auc, error = self.metrics["auc"], self.metrics["auc_standard_error"]
        return None if auc is None or error is None else (max(auc - 2 * error, 0.0), min(auc + 2 * error, 1.0))


@dataclass(frozen=True)
class SlicedColumn:
    """All slices by one column."""

    name: str
    slices: list[Slice]

    @property
    def marked(self) -> int:
        """How many slices are worse or off."""
        return sum(one.is_worse or one.is_off for one in self.slices)

    @property
    def aucs(self) -> tuple[float, float] | None:
        """The lowest and the highest AUC among slices of enough rows; None where there is none."""
        found = [one.metrics["auc"] for one in self.slices if has_enough_examples(one.metrics)]
        return (min(found), max(found)) if found else None


def sliced_columns(
    by_column: Mapping[str, Sequence[Mapping[str, Any]]], name_of: Callable[[Any], str], auc: float | None
) -> list[SlicedColumn]:
    """The slices by each column, the columns with the most marked ones first; columns without slices are left out.

    Args:
        by_column: name -> metrics of each slice, as in report.json.
        name_of: the text for the value of a slice.
        auc: of all rows.
    """
    found = [
        SlicedColumn(
            name, [Slice(name_of(one), one, is_ranked_worse(one, auc), is_miscalibrated(one)) for one in slices]
        )
        for name, slices in by_column.items()
        if slices
    ]
    return sorted(found, key=lambda column: -column.marked)


def auc_scale(found: list[SlicedColumn]) -> tuple[float, float]:
    """Ends of an axis that holds the interval of every slice of enough rows."""
    intervals = [
        one.interval for column in found for one in column.slices if one.interval and has_enough_examples(one.metrics)
    ]
    low, high = min((ends[0] for ends in intervals), default=0.0), max((ends[1] for ends in intervals), default=1.0)
    return (low, high) if low < high else (0.0, 1.0)
