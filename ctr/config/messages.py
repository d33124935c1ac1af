"""Settings that a config and `ctr psi` share, and what is said of a mistake in one. No TensorFlow is needed for it."""

from collections.abc import Callable
from reprlib import Repr
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field, ValidationError

from ctr.evaluation.timeline import Period
from ctr.metrics.psi import MODERATE_ABOVE
from features import DataError, Settings, TimeZone, is_text, type_name

TAGS = {"categorical", "numeric", "sequence", "cross", "sequence_cross"}  # kinds, which pydantic adds to the path

SHOWN, LONGEST = 8, 1000  # mistakes, and characters of each


class PSI(Settings):
    """Population stability index."""

    bins: int = Field(10, ge=2, le=100)
    """Of a number, equally full in the reference; of a category, its most frequent values."""
    unstable_above: float = Field(0.2, gt=MODERATE_ABOVE, allow_inf_nan=False)
    """A PSI above it is unstable; one between 0.1 and it moderate."""


class Time(Settings):
    """The column that says when a row was."""

    column: str
    by: Period = "day"
    time_zone: TimeZone = "UTC"
    """Of the calendar that hours and days are of."""
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    """Of a column of integers that count from 1970; without it each integer is a period of its own."""

    def check(self, schema: pa.Schema, where: str) -> None:
        """Raise DataError if the column of the file `where` cannot be divided into periods."""
        type_, types = schema.field(self.column).type, pa.types
        is_time = types.is_timestamp(type_) or types.is_date(type_) or types.is_integer(type_) or types.is_null(type_)
        if not (is_text(type_) or is_time):
            raise DataError(
                f"{where}: column {self.column!r} is {type_name(type_)}; a time is a timestamp, date, integer or text"
            )


def _dotted(path: tuple[int | str, ...]) -> str:
    """What a config calls a setting.

    >>> _dotted(("features", "columns", "age", "numeric", "dim"))
    'features.columns.age.dim'
    """
    return ".".join(str(part) for part in path if part not in TAGS)


def explain(error: ValidationError, called: Callable[[tuple[int | str, ...]], str] = _dotted) -> str:
    """A line for each mistake: the setting, what is wrong, what was received.

    Args:
        error: what pydantic found.
        called: what the user calls a setting, of its path.
    """
    lines, errors = [], error.errors()
    for detail in errors[:SHOWN]:
        place = called(detail["loc"])
        message = detail["msg"].removeprefix("Value error, ")
        received = detail["input"]
        line = f"{place}: {message}" if place else message
        says_it = detail["type"] in ("missing", "unknown_key", "unknown_type") or "Received" in message
        lines.append(line if says_it or isinstance(received, dict) else f"{line}. Received: {shown(received)}")
    more = [f"and {len(errors) - SHOWN} more"] if len(errors) > SHOWN else []
    return "\n".join([*map(_cut, lines), *more])


def shown(value: Any) -> str:
    """A value as a message shows it: of a long or deep one a part.

    >>> shown([[[[[1]]]]])
    '[[[[[...]]]]]'
    """
    short = Repr()
    short.maxlevel, short.maxlist, short.maxdict, short.maxstring, short.maxlong = 4, 20, 20, 200, 100
    return short.repr(value)


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
