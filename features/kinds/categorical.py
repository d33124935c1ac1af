"""Categorical features: one category of a column, or a date part of a timestamp."""

from collections.abc import Mapping
from typing import Any, Literal

import pyarrow as pa

from features.casts import cast_advice
from features.errors import Advice, DataError, first_line
from features.kinds.date_part import ByDatePart, DatePart, date_part
from features.kinds.embedded import Embedded
from features.kinds.encodings import Encoding
from features.kinds.feature import Feature, Holds
from features.layout import Layout
from features.settings import TimeZone
from features.values import categories, is_category


class Categorical(Embedded):
    """Integer, string or boolean column as ids, or a date part of a timestamp as ids."""

    type: Literal["categorical"] = "categorical"
    """Feature type."""
    part: DatePart | None = None
    """Encoding of a timestamp or date by its date part: `hour` (0 to 23), `weekday` (0 to 6 from Monday) or `day` of
    the month (ids 0 to 30)."""
    time_zone: TimeZone = "UTC"
    """Time zone in which `part` is read. A timestamp without a time zone is UTC."""
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    """Unit of an integer column that counts from 1970. Required for a `part` of integers."""

    @property
    def holds(self) -> Holds:
        return "category"

    @property
    def encoding(self) -> Encoding:
        return super().encoding if self.part is None else ByDatePart(self.column, self.part)

    @property
    def is_date_part(self) -> bool:
        return self.part is not None

    def lay_out(self, layout: Layout, fit: Any, declared: Mapping[str, Feature]) -> None:
        layout.add_category(self.name, self.encoding.size(fit), self.table, self.dim)

    def _accepts(self, type_: pa.DataType) -> bool:
        if self.part is None:
            return is_category(type_)
        counts = self.time_unit is not None and pa.types.is_integer(type_)
        return counts or pa.types.is_timestamp(type_) or pa.types.is_date(type_)

    @property
    def _accepted_types(self) -> str:
        if self.part is None:
            return "integers, strings or booleans"
        return "timestamps, or integers with `time_unit`"

    def _advice(self, column: str, type_: pa.DataType) -> Advice:
        if self.part is not None:
            return cast_advice(column, type_, "time")
        if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
            return Advice("Choose a `part` of it.", "Convert it to its type in the training data.")
        return cast_advice(column, type_, "category")

    def _values(self, column: pa.Array, where: str) -> pa.Array:
        if self.part is None:
            return categories(column, self.missing)
        if pa.types.is_null(column.type):
            return column.cast(pa.int64())
        if pa.types.is_integer(column.type):
            column = categories(column, self.missing)
        try:
            return date_part(column, self.part, self.time_zone, self.time_unit)
        except pa.ArrowException as error:
            raise DataError(
                f"{where}: column {self.column!r} has an invalid time: {first_line(error)}. Correct or remove the rows."
            ) from error
