"""Label and weight columns, with their checks."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.casts import cast_advice
from features.errors import CORRECT_ROWS, Advice, DataError
from features.numbers import as_floats
from features.types import is_number, type_name

NOT_A_LABEL = "label is neither 0 nor 1"
"""Reason of `Columns.faults` for a label with another value."""
MANY_LABELS = 0.1  # fraction of rows
OTHER_LABELS = "Map its values to 0 and 1 in the files, or set `data.label` to another column."
MAP_LABELS = Advice(OTHER_LABELS, "Map its values to 0 and 1 in the data.")
"""Advice if more than `MANY_LABELS` of the rows have a label that is neither 0 nor 1. Skipping them would not help."""
FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Columns:
    """Columns that are not features: the binary label and an optional sample weight."""

    label: str
    weight: str | None = None

    @property
    def names(self) -> list[str]:
        """Names of the label column and, if there is one, the weight column."""
        return [self.label] if self.weight is None else [self.label, self.weight]

    def labels(self, table: pa.Table, where: str) -> np.ndarray:
        """Return the labels, float32 `[rows]`; `where` names the file and row group in errors.

        Raises:
            DataError: a label is null or neither 0 nor 1.
        """
        column = self._label(table, where)
        numbers = _floats(column)
        rule, what = "but a label must be 0 or 1", f"{where}: {self.label!r}"
        is_other = ~_is_label(numbers) & ~np.isnan(numbers)
        if is_other.sum() <= MANY_LABELS * len(numbers):
            return _checked(column, numbers, _is_label(numbers), what, rule)
        distinct = np.unique(numbers[~np.isnan(numbers)])
        if len(distinct) == 2 and (distinct == np.round(distinct)).all() and np.isfinite(distinct).all():
            raise DataError(f"{what} has the values {distinct[0]:g} and {distinct[1]:g}, {rule}.", MAP_LABELS)
        return _checked(column, numbers, ~is_other, what, rule, MAP_LABELS)

    def weights(self, table: pa.Table, where: str) -> np.ndarray:
        """Return the sample weights, float32 `[rows]`; all 1 without a weight column.

        Raises:
            DataError: a weight is null, negative or not finite.
        """
        if self.weight is None:
            return np.ones(table.num_rows, np.float32)
        column = self._weight(table, where)
        numbers, rule = _floats(column), "but a weight must be finite and at least 0"
        return _checked(column, numbers, _is_weight(numbers), f"{where}: {self.weight!r}", rule)

    def faults(self, table: pa.Table, where: str) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each reason why `labels` or `weights` rejects single rows, with these rows, bool `[rows]`.

        Raises:
            DataError: the type of a column is wrong, so no single row is at fault.
        """
        label = self._label(table, where)
        yield "label is null", _nulls(label)
        yield NOT_A_LABEL, ~_is_label(_floats(label))
        if self.weight is not None:
            weight = self._weight(table, where)
            numbers = _floats(weight)
            yield "weight is null", _nulls(weight)
            yield "weight is negative", numbers < 0
            yield "weight is not finite", ~_is_weight(numbers)

    def _label(self, table: pa.Table, where: str) -> pa.Array:
        column = table.column(self.label).combine_chunks()
        if not (is_number(column.type) or pa.types.is_boolean(column.type)):
            raise DataError(
                f"{where}: label {self.label!r} has type {type_name(column.type)}, expected 0 and 1, or booleans.",
                cast_advice(self.label, column.type, "number"),
            )
        return column

    def _weight(self, table: pa.Table, where: str) -> pa.Array:
        column = table.column(self.weight).combine_chunks()
        if not is_number(column.type):
            raise DataError(
                f"{where}: weight {self.weight!r} has type {type_name(column.type)}, expected numbers.",
                cast_advice(str(self.weight), column.type, "number"),
            )
        return column


def _checked(
    column: pa.Array,
    numbers: np.ndarray,
    is_good: np.ndarray,
    what: str,
    rule: str,
    advice: Advice = CORRECT_ROWS,
) -> np.ndarray:
    if not is_good.all():
        value = column[int(is_good.argmin())].as_py()
        count = int((~is_good).sum())
        text = "null" if value is None else value
        raise DataError(f"{what} is {text} ({count:,} such rows), {rule}.", advice)
    return numbers.astype(np.float32)


def _floats(column: pa.Array) -> np.ndarray:
    """Return float64 `[rows]`; a null becomes NaN, which is neither a label nor a weight."""
    return as_floats(column).to_numpy(zero_copy_only=False)


def _nulls(column: pa.Array) -> np.ndarray:
    return column.is_null().to_numpy(zero_copy_only=False)


def _is_label(numbers: np.ndarray) -> np.ndarray:
    return (numbers == 0) | (numbers == 1)


def _is_weight(numbers: np.ndarray) -> np.ndarray:
    return (numbers >= 0) & (numbers <= FLOAT32_MAX)
