"""Hour, day, week or month of each row."""

from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from ctr.errors import ConfigError
from features import wall_clock

MAX_PERIODS = 1000
Period = Literal["hour", "day", "week", "month"]
UNITS = {"hour": "h", "day": "D", "week": "D", "month": "M"}  # NumPy's
DAY = 86_400  # seconds


class Dated(NamedTuple):
    """Period of each row, and the position of the row within it."""

    period: pa.DictionaryArray
    """Names that sort in order of time; null for a null time."""
    position: np.ndarray | None
    """Position, float64 [rows], from 0 to below 1; None if the column is not a time."""


def periods_of(
    column: pa.ChunkedArray, by: Period, time_zone: str = "UTC", time_unit: str | None = None, where: str = ""
) -> Dated:
    """Return the period of each row.

    Args:
        column: timestamps, dates, or integers that count `time_unit`s since 1970; for any other type, and for integers
            without a unit, each value is a period of its own.
        by: length of a period; a week is named after its Monday.
        time_zone: time zone of the calendar for timestamps.
        time_unit: s, ms, us or ns.
        where: file and row group, for errors.

    >>> dated = periods_of(pa.chunked_array([[0, 64_800, 86_400]]), "day", time_unit="s")
    >>> dated.period.to_pylist(), dated.position.tolist()
    (['1970-01-01', '1970-01-01', '1970-01-02'], [0.0, 0.75, 0.0])
    """
    times = column.combine_chunks()
    is_time = pa.types.is_timestamp(times.type) or pa.types.is_date(times.type)
    if not is_time and (time_unit is None or not pa.types.is_integer(times.type)):
        return Dated(times.cast(pa.large_string()).dictionary_encode(), None)
    try:
        days, seconds = wall_clock(times, time_zone, time_unit)
    except pa.ArrowInvalid as error:
        raise ConfigError(
            f"{where}: the time column has a value that is not a time: {error}. Correct or remove it."
        ) from error
    if by == "hour":
        starts = days * 24 + seconds // 3600
        position = seconds % 3600 / 3600
    elif by == "month":
        months = days.astype("datetime64[D]").astype("datetime64[M]")
        starts = months.astype(np.int64)
        first, following = (month.astype("datetime64[D]").astype(np.int64) for month in (months, months + 1))
        position = (days - first + seconds / DAY) / np.maximum(following - first, 1)
    else:
        starts = days - (days + 3) % 7 if by == "week" else days  # the first of January 1970 was a Thursday
        position = (days - starts + seconds / DAY) / (7 if by == "week" else 1)
    encoded = pa.array(starts, mask=times.is_null().to_numpy(zero_copy_only=False)).dictionary_encode()
    return Dated(pa.DictionaryArray.from_arrays(encoded.indices, _names(encoded.dictionary.to_numpy(), by)), position)


def _names(starts: np.ndarray, by: Period) -> pa.Array:
    """Return the names of periods that start a number of hours, days or months after 1970."""
    if not len(starts):  # np.datetime_as_string fails on an empty array
        return pa.array([], pa.large_string())
    names = np.datetime_as_string(starts.astype(f"datetime64[{UNITS[by]}]"))
    if by == "hour":
        names = np.char.add(np.char.replace(names, "T", " "), ":00")
    return pa.array(names.tolist(), pa.large_string())
