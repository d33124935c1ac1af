"""Numeric features: a number as it is, as a scaled embedding, or as a bucket."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveFloat

from features.batch import table_rows
from features.casts import cast_advice
from features.errors import CORRECT_ROWS, Advice, DataError
from features.fits.edges import Edges, EdgeSample
from features.fits.fit import Fitting
from features.fits.moments import Moments, Sums
from features.kinds.feature import ColumnFeature, Feature, Holds
from features.labels import FLOAT32_MAX
from features.layout import Layout
from features.numbers import as_array, as_floats, signed_log1p
from features.settings import Width
from features.values import Values, is_flag_or_number, too_large


class Numeric(ColumnFeature):
    """Float or integer column: transformed, standardized, clipped; a null becomes 0 (the mean, if standardized)."""

    column: str
    """Column of the files."""
    type: Literal["numeric"] = "numeric"
    """Feature type."""
    transform: Literal["none", "log1p"] = "none"
    """First step. `log1p` is sign(x) ln(1 + abs(x)), so negative values are allowed."""
    standardize: bool = True
    """If true, second step: (x - mean) / standard deviation, both of the transformed training data."""
    clip: PositiveFloat | None = 10.0
    """Last step: maximum of the absolute value. `null`: no maximum."""
    missing_indicator: bool = False
    """If true, an additional input that is 1 for a null and 0 otherwise. With `as: embedding`, null has its own
    embedding instead."""
    as_: Literal["plain", "embedding", "buckets"] = Field("plain", alias="as")
    """Form in which the dense tower gets the number. `plain`: the number. `embedding`: an embedding multiplied by the
    number. `buckets`: one category for each range between quantiles of the training data, without `transform`,
    `standardize`, `clip` and `missing_indicator`."""
    dim: Width = 16
    """Width of the embeddings, for `as: embedding` and `as: buckets`."""
    buckets: int = Field(10, ge=2, le=100_000)
    """Number of ranges, each with about as many training rows. Fewer if a value is so frequent that it fills
    several."""

    reads_numbers: ClassVar[bool] = True

    @property
    def holds(self) -> Holds:
        return "category" if self.as_ == "buckets" else "number"

    @property
    def has_table(self) -> bool:
        return self.as_ != "plain"

    def as_category(self, values: Values, fit: Edges) -> pa.Array:
        """Return the bucket of each number, int64 from 0; null where the number is null."""
        x = as_array(values)
        return pa.array(np.searchsorted(fit.ends, x, side="left"), mask=np.isnan(x))

    @property
    def can_be_invalid(self) -> bool:
        return True

    def faults(self, table: pa.Table, fit: Any, where: str) -> Iterator[tuple[str, np.ndarray]]:
        numbers = as_floats(table.column(self.column).combine_chunks())
        is_invalid = too_large(numbers)
        yield f"{self.column!r} is infinite or too large", is_invalid.to_numpy(zero_copy_only=False)
        if isinstance(fit, Moments):
            scaled = self.scaled(pc.if_else(is_invalid, pa.scalar(None, pa.float64()), numbers), fit)
            yield f"{self.column!r} is too large once standardized", np.abs(scaled) > FLOAT32_MAX

    def fitting(self) -> Fitting | None:
        if self.as_ == "buckets":
            return EdgeSample(self.name, self.buckets)
        return Sums(self.name) if self.standardize else None

    def fitting_of(self, values: Values, is_sampled: np.ndarray, where: str) -> Fitting:
        if self.as_ == "buckets":
            return EdgeSample(self.name, self.buckets, as_array(values)[is_sampled])
        return Sums.of(self.name, self.transformed(values))

    def lay_out(self, layout: Layout, fit: Any, declared: Mapping[str, Feature]) -> None:
        if self.as_ == "buckets":
            layout.add_category(self.name, len(fit.ends) + 1, self.name, self.dim)
        elif self.as_ == "embedding":
            layout.add_scaled_vector(self.name, self.dim)
        else:
            layout.add_numerics(self.name, *([f"{self.name} is null"] if self.missing_indicator else []))

    def ids(self, values: Values, fit: Any, where: str) -> np.ndarray:
        if self.as_ == "buckets":
            return table_rows(self.as_category(values, fit))
        is_null = _nulls(values)
        return table_rows(pa.array(np.zeros(len(is_null), np.int64), mask=is_null))

    def numerics(self, values: Values, fit: Any, where: str) -> list[np.ndarray]:
        if self.as_ == "buckets":
            return []
        x = self.scaled(values, fit)
        if self.standardize and (np.abs(x) > FLOAT32_MAX).any():
            raise DataError(
                f"{where}: column {self.column!r} holds a value that exceeds float32 once standardized.",
                Advice("Set `clip`.", "Correct the rows."),
            )
        assert isinstance(values, pa.Array)
        if values.null_count:  # the embedding of a null is that of the null row, scaled by 1
            x = np.where(_nulls(values), 1.0 if self.as_ == "embedding" else 0.0, x)
        return [x, _nulls(values)] if self.missing_indicator and self.as_ == "plain" else [x]

    def describe(self, value: Any, fit: Any) -> str:
        if self.as_ == "embedding":
            return "any number"
        ends = [-np.inf, *fit.ends.tolist(), np.inf]
        return f"{ends[value]:.6g} < x <= {ends[value + 1]:.6g}"

    def transformed(self, values: Values) -> np.ndarray:
        """Return the numbers after `transform`, float64 `[rows]`, NaN where null."""
        x = as_array(values)
        return signed_log1p(x) if self.transform == "log1p" else x

    def scaled(self, values: Values, fit: Moments | None) -> np.ndarray:
        """Return the numbers transformed, standardized and clipped, float64 `[rows]`, NaN where null."""
        x = self.transformed(values)
        if self.standardize:
            assert fit is not None
            x = fit.standardized(x)
        return x if self.clip is None else np.clip(x, -self.clip, self.clip)

    def _accepts(self, type_: pa.DataType) -> bool:
        return is_flag_or_number(type_)

    @property
    def _accepted_types(self) -> str:
        return "numbers"

    def _advice(self, column: str, type_: pa.DataType) -> Advice:
        return cast_advice(column, type_, "number")

    def _values(self, column: pa.Array, where: str) -> pa.Array:
        """Return float64 with null for NaN.

        Raises:
            DataError: float32 cannot hold a value.
        """
        column = as_floats(column)
        if not column.null_count and np.abs(column.to_numpy()).max(initial=0) <= FLOAT32_MAX:  # False for NaN
            return column
        is_too_large = too_large(column)
        if pc.any(is_too_large).as_py():
            value = column[pc.index(is_too_large, True).as_py()].as_py()
            count = pc.sum(is_too_large).as_py()
            raise DataError(
                f"{where}: column {self.column!r} holds {value} ({count:,} such rows), but a number must fit float32.",
                CORRECT_ROWS,
            )
        return pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)


def _nulls(values: Values) -> np.ndarray:
    assert isinstance(values, pa.Array)
    return values.is_null().to_numpy(zero_copy_only=False)
