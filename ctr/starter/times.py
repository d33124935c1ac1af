"""Columns that hold times, and the one that dates the examples."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ctr.metrics.periods import Period
from ctr.starter.reading import Column
from ctr.starter.words import EVENT_TIMES, OTHER_TIMES, has_word
from features import is_text

UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
EARLIEST, LATEST = np.datetime64("1990-01-01", "s"), np.datetime64("2050-01-01", "s")
DAY = np.timedelta64(1, "D")
MAX_INTEGER = 2**62
MIN_INSTANTS = 3


@dataclass(frozen=True)
class TimeColumn:
    """A column whose values are times."""

    name: str
    first: np.datetime64
    last: np.datetime64
    unit: str | None
    """Unit of integers since 1970: s, ms, us or ns; None for times and for columns with a cast."""
    cast: str | None
    """Format of the timestamps of text or of integers such as 20260131; None for other columns."""
    has_hours: bool
    """True if the times have more than a date."""

    @property
    def days(self) -> float:
        """Number of days from the first to the last time."""
        return float((self.last - self.first) / DAY)

    @property
    def period(self) -> Period:
        """Period in which a report shows drift: at most about 60 periods, unless they are months."""
        lengths: list[tuple[float, Period]] = [(2.5, "hour"), (60, "day"), (420, "week")]
        return next((period for days, period in lengths if self.days <= days), "month")

    @property
    def span(self) -> str:
        """First and last date, as text."""
        return f"{self.first.astype('datetime64[D]')} to {self.last.astype('datetime64[D]')}"


def as_time(column: Column) -> TimeColumn | None:
    """Return the times of a column: timestamps, dates, text in ISO 8601, or integers that count since 1970.

    Integers are times if all are between 1990 and 2050 in some unit, or dates such as 20260131, and the name says so or
    the rows are in their order.
    """
    low, high = column.counts.profile.low, column.counts.profile.high
    if column.problem is not None or low is None or column.sample is None:
        return None
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return _checked(column.name, low, high, None, None, pa.types.is_timestamp(column.type))
    if is_text(column.type) and not column.counts.placeholders:
        for format_, cast in (("days", "%Y-%m-%d"), ("times", "ISO8601")):
            if format_ in column.counts.formats:
                return _checked(column.name, low[:10], high[:10], None, cast, format_ == "times")
    if pa.types.is_integer(column.type) and (has_word(column.name, EVENT_TIMES) or column.counts.is_sorted):
        return _of_integers(column, int(low), int(high))
    return None


def dating(times: Iterable[TimeColumn], columns: dict[str, Column]) -> TimeColumn | None:
    """Return the time column that dates the examples, if one does convincingly.

    It has a time in every row, and the rows are in its order or its name is that of an event's time and not that of a
    birth or a release. Of several, the first in whose order the rows are.
    """

    def is_convincing(time: TimeColumn) -> bool:
        is_named = has_word(time.name, EVENT_TIMES) and not has_word(time.name, OTHER_TIMES)
        is_sorted = columns[time.name].counts.is_sorted
        return columns[time.name].counts.profile.nulls == 0 and (is_sorted or is_named)

    convincing = [time for time in times if is_convincing(time)]
    return min(convincing, key=lambda time: not columns[time.name].counts.is_sorted, default=None)


def _of_integers(column: Column, low: int, high: int) -> TimeColumn | None:
    if not 0 < low <= high < MAX_INTEGER:
        return None
    for unit, per_second in UNITS.items():
        first, last = (np.datetime64(number // per_second, "s") for number in (low, high))
        if first >= EARLIEST and last <= LATEST:
            return _checked(column.name, first, last, unit, None, True)
    if low >= 19900101 and high <= 20500101 and column.counts.profile.different >= MIN_INSTANTS:
        dates = _dates(column)
        if dates is not None:
            return _checked(column.name, *dates, None, "%Y%m%d", False)
    return None


def _dates(column: Column) -> tuple[Any, Any] | None:
    """Return the first and last date of integers such as 20260131; None if some sampled integer cannot be a date."""
    assert column.sample is not None
    numbers = np.unique(column.sample.drop_null().to_numpy())
    try:
        dates = [np.datetime64(f"{n // 10000:04d}-{n // 100 % 100:02d}-{n % 100:02d}") for n in numbers.tolist()]
    except ValueError:
        return None
    return dates[0], dates[-1]


def _checked(
    name: str, first: Any, last: Any, unit: str | None, cast: str | None, has_hours: bool
) -> TimeColumn | None:
    """Return a time column; None if its first or last value does not exist, such as 2026-02-31."""
    try:
        return TimeColumn(name, np.datetime64(first, "s"), np.datetime64(last, "s"), unit, cast, has_hours)
    except ValueError:
        return None
