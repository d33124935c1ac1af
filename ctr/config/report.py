"""Settings of the report, which `ctr psi` shares in part. No TensorFlow is needed for them."""

from typing import Literal

import pyarrow as pa
from pydantic import Field

from ctr.metrics.periods import Period
from ctr.metrics.psi import MODERATE_ABOVE
from features import Count, DataError, Settings, TimeZone, is_text, type_name


class PSI(Settings):
    """Population stability index."""

    bins: int = Field(10, ge=2, le=100)
    """Of a number, equally full in the reference; of a category, its most frequent values."""
    major_above: float = Field(0.2, gt=MODERATE_ABOVE, allow_inf_nan=False)
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


class Report(Settings):
    """What the report shows. The columns that it names are read along with the features."""

    psi: PSI = PSI()
    group: str | None = None
    """Column whose values GAUC ranks within, such as the user."""
    time: Time | None = None
    """For PSI over time; None: the column that a split by time has, if it holds times, by day."""
    slices: list[str] | None = None
    """Features or columns; None: every categorical with at most 20 different values."""
    threshold: float = Field(0.5, gt=0, lt=1)
    """The score from which on a row is called positive in precision, recall and F1."""
    worst_rows: int = Field(20, ge=0, le=1000)
    """How many of the worst-predicted rows the report lists, with their values."""
    max_exact_rows: Count = 20_000_000
    """Rows of a set up to which metrics are exact and GAUC and slices are computed: some 150 bytes of memory each."""
