"""Wall-clock times and dates, exact for every instant that a column can hold."""

from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import DataError
from features.types import type_name

HOUR, DAY = 3_600, 86_400
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_2, YEAR_2400 = (int((datetime(year, 1, 1, tzinfo=UTC) - EPOCH).total_seconds()) for year in (2, 2400))
CYCLE = 146_097 * DAY  # 400 years of the calendar: whole weeks, so that the rules of a zone repeat


def wall_clock(column: pa.Array, time_zone: str = "UTC", time_unit: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the date and the time of day that a clock in a time zone shows.

    Arrow's functions wrap where the zone's offset leaves the range of the type, and ignore daylight saving time after
    2037. Here the offset comes from Python's zoneinfo, and dates never pass through a narrower type.

    Args:
        column: timestamps (UTC if they have no zone), dates, or integers. A date is the same in every zone.
        time_zone: name of the time zone, such as Europe/Paris.
        time_unit: unit of integers since 1970: s, ms, us or ns.

    Returns:
        Days since 1970-01-01 and seconds since midnight, int64 `[rows]`; 0 and 0 for a null.

    Raises:
        pa.ArrowInvalid: an integer exceeds int64.

    >>> days, seconds = wall_clock(pa.array([253_402_300_799], pa.timestamp("s")), "Asia/Tokyo")
    >>> days.astype("datetime64[D]"), seconds // 3600
    (array(['10000-01-01'], dtype='datetime64[D]'), array([8]))
    """
    seconds = _whole_seconds(column, time_unit)
    days, of_day = np.divmod(seconds, DAY)
    if time_zone != "UTC" and not pa.types.is_date(column.type):
        of_day += _utc_offsets(seconds, time_zone)
        days += of_day // DAY
        of_day %= DAY
    return days, of_day


def as_microseconds(column: pa.Array, where: str) -> pa.Array:
    """Return timestamps or dates as timestamps in microseconds, rounded down; nulls and the time zone stay.

    Args:
        column: timestamps or dates.
        where: file, row group and column, for errors.

    Raises:
        DataError: int64 cannot hold a time in microseconds, in the year 292,277 or later.
    """
    numbers, per_second = _numbers(column, None)
    if per_second >= PER_SECOND["us"]:
        numbers = numbers // (per_second // PER_SECOND["us"])
    else:
        factor = PER_SECOND["us"] // per_second if per_second else DAY * PER_SECOND["us"]
        too_far = np.abs(numbers.astype(np.float64)) * factor >= 2.0**63
        if too_far.any():
            number, unit = numbers[too_far.argmax()], type_name(column.type)
            raise DataError(
                f"{where} holds {number} as {unit}, beyond the range of timestamps in microseconds. Remove such rows."
            )
        numbers = numbers * factor
    is_null = column.is_null().to_numpy(zero_copy_only=False)
    return pa.array(numbers, mask=is_null).cast(pa.timestamp("us", getattr(column.type, "tz", None)))


def date_texts(dates: pa.Array) -> pa.Array:
    """Return dates as text such as 2026-01-31, for any year.

    >>> date_texts(pa.array([20_484, None, 2_932_897], pa.int32()).cast(pa.date32())).to_pylist()
    ['2026-01-31', None, '10000-01-01']
    """
    encoded = dates.dictionary_encode()
    days, _ = wall_clock(encoded.dictionary)
    texts = np.datetime_as_string(days.astype("datetime64[D]")).tolist() if len(days) else []
    return pa.array(texts, pa.large_string()).take(encoded.indices)


def _whole_seconds(column: pa.Array, time_unit: str | None) -> np.ndarray:
    """Return seconds since 1970, rounded down, int64 `[rows]`; 0 for a null."""
    numbers, per_second = _numbers(column, time_unit)
    return numbers // per_second if per_second else numbers * DAY


def _numbers(column: pa.Array, time_unit: str | None) -> tuple[np.ndarray, int]:
    """Return the stored numbers, int64 `[rows]`, 0 for a null, and their number per second; 0 if they are days."""
    if pa.types.is_date32(column.type):
        numbers, per_second = column.cast(pa.int32()).cast(pa.int64()), 0
    else:
        unit = time_unit if pa.types.is_integer(column.type) else getattr(column.type, "unit", "ms")
        numbers, per_second = column.cast(pa.int64()), PER_SECOND[str(unit)]
    return pc.fill_null(numbers, 0).to_numpy(), per_second


def _utc_offsets(seconds: np.ndarray, time_zone: str) -> np.ndarray:
    """Return the seconds by which a zone's clocks are ahead of UTC, int64 `[rows]`."""
    later = YEAR_2400 + (seconds - YEAR_2400) % CYCLE
    in_calendar = np.where(seconds >= YEAR_2400, later, np.maximum(seconds, YEAR_2))
    return _offsets_by(DAY, in_calendar, time_zone)


def _offsets_by(step: int, seconds: np.ndarray, time_zone: str) -> np.ndarray:
    """Return offsets, queried at both ends of each day, and of each hour and second around a change.

    No zone changes its offset twice within a day.
    """
    codes, starts = pd.factorize(seconds // step)
    first = np.array([_utc_offset(start * step, time_zone) for start in starts.tolist()], np.int64)
    last = np.array([_utc_offset(start * step + step - 1, time_zone) for start in starts.tolist()], np.int64)
    offsets, changes = first[codes], (first != last)[codes]
    if changes.any():
        offsets[changes] = _offsets_by(HOUR if step == DAY else 1, seconds[changes], time_zone)
    return offsets


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@lru_cache(1 << 16)
def _utc_offset(seconds: int, time_zone: str) -> int:
    offset = (EPOCH + timedelta(seconds=seconds)).astimezone(_zone(time_zone)).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())
