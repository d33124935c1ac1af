"""The section `report`, which `ctr psi` shares in part. Imports no TensorFlow."""

from typing import Literal

import pyarrow as pa
from pydantic import Field

from ctr.metrics.periods import Period
from ctr.metrics.psi import MODERATE_ABOVE
from features import Count, DataError, Names, Settings, TimeZone, is_text, type_name


class PSI(Settings):
    """Settings of the population stability index."""

    bins: int = Field(10, ge=2, le=100)
    """Number of bins: for a number, quantile bins of the reference; for a category, its most frequent values, each with
    a bin of its own."""
    major_above: float = Field(0.2, gt=MODERATE_ABOVE, allow_inf_nan=False)
    """PSI above which drift is major. Drift is moderate from 0.1 to this value."""


class Time(Settings):
    """The time of an example."""

    column: str
    """Column with the time: a timestamp, date, integer or text."""
    by: Period = "day"
    """Length of a period."""
    time_zone: TimeZone = "UTC"
    """Time zone in which periods start and end."""
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    """Unit of an integer column that counts from 1970. `null`: each integer is a period of its own."""

    def check(self, schema: pa.Schema, where: str) -> None:
        """Raise DataError if the column of the file `where` cannot be divided into periods."""
        type_, types = schema.field(self.column).type, pa.types
        is_time = types.is_timestamp(type_) or types.is_date(type_) or types.is_integer(type_) or types.is_null(type_)
        if not (is_text(type_) or is_time):
            raise DataError(
                f"{where}: column {self.column!r} is {type_name(type_)}. Use a timestamp, date, integer or text."
            )


class Report(Settings):
    """Contents of the report. The columns that it names are read together with the features."""

    psi: PSI = PSI()
    """Population stability index."""
    group: str | None = None
    """Column whose values GAUC ranks within, such as the user. Confidence intervals treat its values, not the examples,
    as independent. It is copied into the score files."""
    time: Time | None = None
    """Time of an example, for PSI over time. `null`: the column of a split by time, by day, if it holds times."""
    slices: Names | None = None
    """Features or columns whose values each get their own metrics. `null`: every categorical with at most 20 distinct
    values."""
    threshold: float = Field(0.5, gt=0, lt=1)
    """Minimum score of a predicted positive, for precision, recall and F1."""
    worst_rows: int = Field(20, ge=0, le=1000)
    """Number of worst-predicted examples that the report lists with their values."""
    max_exact_rows: Count = 20_000_000
    """Largest split, in examples, for which metrics are exact. It takes about 150 bytes of memory per example. Larger
    splits use binned scores and have no GAUC and no slices, and their confidence intervals treat examples as
    independent."""
