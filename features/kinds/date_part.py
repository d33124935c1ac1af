"""Date parts as ids: hour, weekday and day of the month."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.batch import table_rows
from features.kinds.encodings import Encoding
from features.times import HOUR, wall_clock

DatePart = Literal["hour", "weekday", "day"]
SIZES: dict[DatePart, int] = {"hour": 24, "weekday": 7, "day": 31}
"""Date part -> number of ids."""


@dataclass(frozen=True)
class ByDatePart(Encoding):
    """Ids of the hour 0-23, the weekday 0-6 from Monday, or the day of the month from 0."""

    part: DatePart
    """Date part: `hour`, `weekday` or `day`."""

    def size(self, fit: None) -> int:
        return SIZES[self.part]

    def ids(self, values: pa.Array, fit: None, where: str) -> np.ndarray:
        return table_rows(values)

    def decode(self, ids: pa.Array, fit: None) -> pa.Array:
        return pc.add(ids, 1) if self.part == "day" else ids


def date_part(column: pa.Array, part: DatePart, time_zone: str, time_unit: str | None) -> pa.Array:
    """Return the date part of each time, int64 from 0; null where the time is null.

    Args:
        column: timestamps, dates or integers, as `wall_clock` accepts them.
        part: hour, weekday or day of the month.
        time_zone: time zone of the part, such as Europe/Paris.
        time_unit: unit of integers since 1970: s, ms, us or ns.

    Raises:
        pa.ArrowInvalid: an integer exceeds int64.
    """
    days, seconds = wall_clock(column, time_zone, time_unit)
    if part == "hour":
        ids = seconds // HOUR
    elif part == "weekday":
        ids = (days + 3) % 7  # 1970-01-01 was a Thursday
    else:
        dates = days.astype("datetime64[D]")
        ids = (dates - dates.astype("datetime64[M]")).astype(np.int64)
    return pa.array(ids, mask=column.is_null().to_numpy(zero_copy_only=False))
