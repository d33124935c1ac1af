"""PSI over time: histograms of each hour, day, week or month against a fixed reference."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow.compute as pc

from ctr.evaluation.histograms import SCORE, Binning, Codes, Histograms, by_feature
from ctr.metrics.periods import MAX_PERIODS, Dated
from ctr.metrics.psi import Drift
from ctr.schema.drift import ColumnOverTime, OverTime

COMPLETE = 0.9  # fraction of the median span of other periods below which the first or last period is partial
EXPECTED = 10  # expected rows; chance leaves none of them in 1 of 20,000 cases
CUT = "it is a date part, and a period does not have all of its values"
FOLLOWS = "it has one value per period, so it follows the calendar"
VARIES = "it also has major drift from period to period within the training data"


@dataclass(frozen=True)
class TrainingPeriods:
    """Facts about the periods of the training data, against which later periods are judged.

    Attributes:
        last: last period with a training example.
        varying: columns with major drift in over half of the training data's own periods.
    """

    last: str
    varying: list[str]


@dataclass(frozen=True)
class Periods:
    """PSI of every period against the reference, in order of time.

    Attributes:
        names: names of the periods.
        rows: number of rows of each.
        undated: number of rows without a time.
        partial: first and last period, if their rows span less than `COMPLETE` of the span of other periods.
        columns: PSI by column. `since` is a complete period after the training data.
        reason: reason why PSI over time was not computed; None if it was.
    """

    names: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    undated: int = 0
    partial: list[str] = field(default_factory=list)
    columns: dict[str, ColumnOverTime] = field(default_factory=dict)
    reason: str | None = None

    def over_time(self, column: str, by: str) -> OverTime:
        """Return the periods as a report has them.

        Args:
            column: name of the time column.
            by: length of a period.
        """
        over_time: OverTime = {
            "column": column,
            "by": by,
            "periods": self.names,
            "rows": self.rows,
            "undated": self.undated,
            "partial": self.partial,
            "score": self.columns.get(SCORE),
            "features": by_feature(self.columns),
        }
        if self.reason is not None:
            over_time["reason"] = self.reason
        return over_time


@dataclass
class Timeline:
    """A histogram for each period, all over the same bins. Two states merge by `merge`; memory is periods x bins.

    Beyond `MAX_PERIODS` all periods are dropped.
    """

    binning: Binning
    periods: dict[str, Histograms] = field(default_factory=dict)
    undated: int = 0  # rows without a time
    is_too_long: bool = False
    spans: dict[str, tuple[float, float]] = field(
        default_factory=dict
    )  # period -> first and last position of a row in it, 0 to 1

    def add(self, codes: Mapping[str, Codes], weight: np.ndarray, dated: Dated) -> None:
        """Count rows in their periods, with weights float64 [rows]."""
        periods = dated.period
        if self.is_too_long or len(periods.dictionary) > MAX_PERIODS:
            self._drop()
            return
        names = periods.dictionary.to_pylist()
        indices = pc.fill_null(periods.indices, len(names)).to_numpy()
        used = np.bincount(indices, minlength=len(names) + 1)
        self.undated += int(used[-1])
        histograms = {name: Histograms(self.binning) for name, rows in zip(names, used, strict=False) if rows}
        sizes = np.bincount(indices, weight, len(names) + 1)
        squares = np.bincount(indices, weight * weight, len(names) + 1)
        for name, bins in self.binning.bins.items():
            row_indices = indices if codes[name].rows is None else indices[codes[name].rows]
            cells = row_indices.astype(np.int64) * bins.size + codes[name].bins
            counts = np.bincount(cells, codes[name].weights(weight), (len(names) + 1) * bins.size)
            for index, period in enumerate(names):
                if period in histograms:
                    histograms[period].counts[name] = counts[index * bins.size : (index + 1) * bins.size]
        for index, period in enumerate(names):
            if period in histograms:
                histograms[period].weight, histograms[period].square = float(sizes[index]), float(squares[index])
        self._absorb(histograms, _spans(names, indices, dated.position))

    def merge(self, other: "Timeline") -> "Timeline":
        """Return the state of both together."""
        merged = Timeline(
            self.binning,
            dict(self.periods),
            self.undated + other.undated,
            self.is_too_long or other.is_too_long,
            dict(self.spans),
        )
        merged._absorb(other.periods, other.spans)
        return merged

    def training_periods(self, reference: Histograms, major_above: float) -> TrainingPeriods | None:
        """Return the facts that later periods are judged by, for the training data; None without periods."""
        if not self.periods:
            return None
        names = sorted(self.periods, key=_in_time)
        compared = [reference.compare(self.periods[name], major_above) for name in names]
        varying = []
        for column in self.binning.bins:
            levels = [drift[column]["drift"] for drift in compared]
            judged = [level for level in levels if level != Drift.TOO_LITTLE_DATA]
            if len(judged) > 1 and judged.count(Drift.MAJOR) > len(judged) / 2:
                varying.append(column)
        return TrainingPeriods(names[-1], varying)

    def compare(
        self,
        reference: Histograms,
        major_above: float,
        training: TrainingPeriods | None = None,
        calendar: Mapping[str, list[str]] = {},
        by_nature: Mapping[str, str] = {},
    ) -> Periods | None:
        """Return PSI of every period against the reference, in order of time; None with fewer than two periods.

        Args:
            reference: histograms to compare with.
            major_above: PSI above which drift is major.
            training: periods of the training data, if it is the reference.
            calendar: column -> date parts that it is or is made of.
            by_nature: column -> reason why its periods differ without drift.
        """
        if self.is_too_long:
            return Periods(reason=f"more than {MAX_PERIODS:,} periods; choose longer ones")
        if len(self.periods) < 2:
            return None
        names = sorted(self.periods, key=_in_time)
        compared = [reference.compare(self.periods[name], major_above) for name in names]
        partial = self._partial(names)
        complete = [name for name in names if name not in partial]
        later = [name for name in complete if training is None or _in_time(name) > _in_time(training.last)]
        reasons = {**self._reasons(reference, complete, later, training, calendar), **by_nature}
        columns: dict[str, ColumnOverTime] = {}
        for column in self.binning.bins:
            levels = {name: drift[column]["drift"] for name, drift in zip(names, compared, strict=True)}
            columns[column] = {
                "psi": [drift[column]["psi"] for drift in compared],
                "drift": list(levels.values()),
                "since": None if column in reasons else _since(later, [levels[name] for name in later]),
            }
            if column in reasons:
                columns[column]["reason"] = reasons[column]
        rows = [round(self.periods[name].rows) for name in names]
        return Periods(names, rows, self.undated, partial, columns)

    def _partial(self, names: list[str]) -> list[str]:
        """Return the first and the last period, if the data begins or ends within them."""
        widths = {name: last - first for name, (first, last) in self.spans.items()}
        return [
            name
            for name in dict.fromkeys([names[0], names[-1]])
            if name in widths
            and len(widths) > 1
            and widths[name] < COMPLETE * float(np.median([widths[other] for other in widths if other != name]))
        ]

    def _reasons(
        self,
        reference: Histograms,
        complete: list[str],
        later: list[str],
        training: TrainingPeriods | None,
        calendar: Mapping[str, list[str]],
    ) -> dict[str, str]:
        """Return column -> reason why its periods differ without drift, for columns with such a reason."""
        reasons = dict.fromkeys(training.varying if training else [], VARIES)
        if training is None:
            follows = [name for name in self.binning.bins if self._follows(name, complete)]
            reasons |= dict.fromkeys(follows, FOLLOWS)
        names = later or complete
        for column, date_parts in calendar.items():
            lacks = [any(lacks_values(reference, self.periods[name], part) for part in date_parts) for name in names]
            if sum(lacks) > len(names) / 2:
                reasons[column] = CUT
        return reasons

    def _follows(self, column: str, names: list[str]) -> bool:
        """Return True for a column with one value per period that changes between most periods."""
        counts = [self.periods[name].counts[column] for name in names]
        if len(counts) < 3 or any((count > 0).sum() != 1 for count in counts):
            return False
        values = [int(count.argmax()) for count in counts]
        return sum(value != following for value, following in pairwise(values)) > (len(values) - 1) / 2

    def _absorb(self, periods: Mapping[str, Histograms], spans: Mapping[str, tuple[float, float]]) -> None:
        for name, histograms in periods.items():
            known = self.periods.get(name)
            self.periods[name] = histograms if known is None else known.merge(histograms)
        for name, (first, last) in spans.items():
            span = self.spans.get(name, (first, last))
            self.spans[name] = min(span[0], first), max(span[1], last)
        if len(self.periods) > MAX_PERIODS or self.is_too_long:
            self._drop()

    def _drop(self) -> None:
        self.periods, self.spans, self.undated, self.is_too_long = {}, {}, 0, True


def lacks_values(reference: Histograms, current: Histograms, column: str) -> bool:
    """Return True if one side has no row in a bin for which the other side implies `EXPECTED` or more."""
    expected, actual = reference.counts[column], current.counts[column]
    if not expected.sum() or not actual.sum():
        return False
    removed = (actual == 0) & (expected / expected.sum() * current.rows >= EXPECTED)
    added = (expected == 0) & (actual / actual.sum() * reference.rows >= EXPECTED)
    return bool((removed | added).any())


def _spans(names: list[str], indices: np.ndarray, position: np.ndarray | None) -> dict[str, tuple[float, float]]:
    """Return period -> first and last position of a row in it; empty if rows have no positions."""
    if position is None or not len(names):
        return {}
    first, last = np.full(len(names) + 1, np.inf), np.full(len(names) + 1, -np.inf)
    np.minimum.at(first, indices, position)
    np.maximum.at(last, indices, position)
    return {name: (float(first[k]), float(last[k])) for k, name in enumerate(names) if first[k] <= last[k]}


def _in_time(name: str) -> tuple[float, str]:
    """Return a sort key: dates and integers in order of time, then texts; a year can have five digits."""
    counted = re.fullmatch(r"(-?[0-9]+)(-[0-9]{2}.*)?", name)
    return (int(counted[1]), counted[2] or "") if counted else (math.inf, name)


def _since(names: list[str], levels: list[Drift]) -> str | None:
    """Return the start of the stretch of major drift that reaches the last period; too little data does not end it."""
    since = None
    for name, level in reversed(list(zip(names, levels, strict=True))):
        if level == Drift.MAJOR:
            since = name
        elif level != Drift.TOO_LITTLE_DATA:
            break
    return since
