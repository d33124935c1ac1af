"""PSI over time: the histograms of each day, or hour, beside a fixed reference."""

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

COMPLETE = 0.9  # a first or last period that spans less of the others' span is partial
EXPECTED = 10  # rows: of so many, none is there by chance in 1 of 20,000 cases
CUT = "it is a part of the time, and a period does not hold all of its values"
FOLLOWS = "it has one value in each period, so it follows the calendar"
VARIES = "it is unstable from period to period within the training data too"


@dataclass(frozen=True)
class TrainingPeriods:
    """Facts about the periods of the training data that later periods are judged by.

    Attributes:
        last: the last period with a training row.
        varying: the columns that are unstable in over half of the training data's own periods.
    """

    last: str
    varying: list[str]


@dataclass(frozen=True)
class Periods:
    """PSI of every period against the reference, in order of time.

    Attributes:
        names: of the periods.
        rows: of each.
        undated: rows without a time.
        partial: the first and the last period, where their rows span less than `COMPLETE` of what the others do.
        columns: by name. `since` is a complete period after the training data.
        reason: why there are no periods; None: there are.
    """

    names: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    undated: int = 0
    partial: list[str] = field(default_factory=list)
    columns: dict[str, ColumnOverTime] = field(default_factory=dict)
    reason: str | None = None

    def over_time(self, column: str, by: str) -> OverTime:
        """Return what a report says of them.

        Args:
            column: time column.
            by: length of a period.
        """
        found: OverTime = {
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
            found["reason"] = self.reason
        return found


@dataclass
class Timeline:
    """A histogram of each period, all over the same bins. Two states merge by `merge`; memory is periods x bins.

    Beyond `MAX_PERIODS` there is nothing to see: everything is dropped.
    """

    binning: Binning
    periods: dict[str, Histograms] = field(default_factory=dict)
    undated: int = 0  # rows without a time
    is_too_long: bool = False
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)  # period -> first and last place of a row in it

    def add(self, codes: Mapping[str, Codes], weight: np.ndarray, dated: Dated) -> None:
        """Count rows, each in its period, float64 [rows] of weights."""
        period = dated.period
        if self.is_too_long or len(period.dictionary) > MAX_PERIODS:
            self._drop()
            return
        names = period.dictionary.to_pylist()
        places = pc.fill_null(period.indices, len(names)).to_numpy()
        used = np.bincount(places, minlength=len(names) + 1)
        self.undated += int(used[-1])
        found = {name: Histograms(self.binning) for name, rows in zip(names, used, strict=False) if rows}
        sizes = np.bincount(places, weight, len(names) + 1)
        squares = np.bincount(places, weight * weight, len(names) + 1)
        for name, bins in self.binning.bins.items():
            which = places if codes[name].rows is None else places[codes[name].rows]
            cells = which.astype(np.int64) * bins.size + codes[name].bins
            counts = np.bincount(cells, codes[name].weights(weight), (len(names) + 1) * bins.size)
            for place, one in enumerate(names):
                if one in found:
                    found[one].counts[name] = counts[place * bins.size : (place + 1) * bins.size]
        for place, one in enumerate(names):
            if one in found:
                found[one].weight, found[one].square = float(sizes[place]), float(squares[place])
        self._absorb(found, _spans(names, places, dated.place))

    def merge(self, other: "Timeline") -> "Timeline":
        """The state of both together."""
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
        """Return what later periods need to know, if this is the training data; None without a period."""
        if not self.periods:
            return None
        names = sorted(self.periods, key=_in_time)
        compared = [reference.compare(self.periods[name], major_above) for name in names]
        varying = []
        for column in self.binning.bins:
            levels = [one[column]["drift"] for one in compared]
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
        """PSI of every period against the reference, in order of time; None where there are fewer than two periods.

        Args:
            reference: the histograms to compare with.
            major_above: the PSI above which a period is unstable.
            training: the training data's own periods, if the reference is of these.
            calendar: column -> the parts of a time that it is or is made of.
            by_nature: column -> the reason why its periods differ without any drift.
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
            levels = {name: one[column]["drift"] for name, one in zip(names, compared, strict=True)}
            columns[column] = {
                "psi": [one[column]["psi"] for one in compared],
                "drift": list(levels.values()),
                "since": None if column in reasons else _since(later, [levels[name] for name in later]),
            }
            if column in reasons:
                columns[column]["reason"] = reasons[column]
        rows = [round(self.periods[name].rows) for name in names]
        return Periods(names, rows, self.undated, partial, columns)

    def _partial(self, names: list[str]) -> list[str]:
        """Return the first and the last period where the data begins or ends within them."""
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
        """Return why the periods of a column differ without any drift, of the columns where they do."""
        reasons = dict.fromkeys(training.varying if training else [], VARIES)
        if training is None:
            follows = [name for name in self.binning.bins if self._follows(name, complete)]
            reasons |= dict.fromkeys(follows, FOLLOWS)
        looked = later or complete
        for column, parts in calendar.items():
            lacking = [any(lacks_values(reference, self.periods[name], part) for part in parts) for name in looked]
            if sum(lacking) > len(looked) / 2:
                reasons[column] = CUT
        return reasons

    def _follows(self, column: str, names: list[str]) -> bool:
        """Return True for a column with one value in each period, which changes at most of their borders."""
        counts = [self.periods[name].counts[column] for name in names]
        if len(counts) < 3 or any((one > 0).sum() != 1 for one in counts):
            return False
        values = [int(one.argmax()) for one in counts]
        return sum(one != other for one, other in pairwise(values)) > (len(values) - 1) / 2

    def _absorb(self, found: Mapping[str, Histograms], spans: Mapping[str, tuple[float, float]]) -> None:
        for name, histograms in found.items():
            there = self.periods.get(name)
            self.periods[name] = histograms if there is None else there.merge(histograms)
        for name, (first, last) in spans.items():
            known = self.spans.get(name, (first, last))
            self.spans[name] = min(known[0], first), max(known[1], last)
        if len(self.periods) > MAX_PERIODS or self.is_too_long:
            self._drop()

    def _drop(self) -> None:
        self.periods, self.spans, self.undated, self.is_too_long = {}, {}, 0, True


def lacks_values(reference: Histograms, current: Histograms, column: str) -> bool:
    """Return True if one side has no row in a bin where the other's share lets expect `EXPECTED` or more."""
    before, after = reference.counts[column], current.counts[column]
    if not before.sum() or not after.sum():
        return False
    missing = (after == 0) & (before / before.sum() * current.rows >= EXPECTED)
    added = (before == 0) & (after / after.sum() * reference.rows >= EXPECTED)
    return bool((missing | added).any())


def _spans(names: list[str], places: np.ndarray, place: np.ndarray | None) -> dict[str, tuple[float, float]]:
    """Period -> the first and the last place of a row in it; nothing where rows have no places."""
    if place is None or not len(names):
        return {}
    first, last = np.full(len(names) + 1, np.inf), np.full(len(names) + 1, -np.inf)
    np.minimum.at(first, places, place)
    np.maximum.at(last, places, place)
    return {name: (float(first[k]), float(last[k])) for k, name in enumerate(names) if first[k] <= last[k]}


def _in_time(name: str) -> tuple[float, str]:
    """Dates and integers in order of time, before texts in order of their letters; a year may have five digits."""
    counted = re.fullmatch(r"(-?[0-9]+)(-[0-9]{2}.*)?", name)
    return (int(counted[1]), counted[2] or "") if counted else (math.inf, name)


def _since(names: list[str], levels: list[Drift]) -> str | None:
    """Where the stretch of major drift begins that reaches the last period; too little data does not break it."""
    since = None
    for name, level in reversed(list(zip(names, levels, strict=True))):
        if level == Drift.MAJOR:
            since = name
        elif level != Drift.TOO_LITTLE_DATA:
            break
    return since
