"""The label and weight columns, checked."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.errors import DataError

FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Columns:
    """The columns that are not features: the binary label and, if there is one, the weight of a row."""

    label: str
    weight: str | None = None

    @property
    def names(self) -> list[str]:
        """The label column, and the weight column if there is one."""
        return [self.label] if self.weight is None else [self.label, self.weight]

    def labels(self, table: pa.Table, where: str) -> np.ndarray:
        """Labels as float32 [rows].

        Raises:
            DataError: a label that is null or neither 0 nor 1; `where` names the file and row group.
        """
        column = table.column(self.label).combine_chunks()
        if not (_is_number(column.type) or pa.types.is_boolean(column.type)):
            raise DataError(f"{where}: label {self.label!r} has type {column.type}; it needs 0 and 1, or booleans")
        return _checked(column, self.label, where, lambda x: (x == 0) | (x == 1), "a label is 0 or 1")

    def weights(self, table: pa.Table, where: str) -> np.ndarray:
        """Weights as float32 [rows]; 1 where the data has none.

        Raises:
            DataError: a weight that is null, negative or infinite.
        """
        if self.weight is None:
            return np.ones(table.num_rows, np.float32)
        column = table.column(self.weight).combine_chunks()
        if not _is_number(column.type):
            raise DataError(f"{where}: weight {self.weight!r} has type {column.type}; it needs numbers")
        return _checked(
            column, self.weight, where, lambda x: (x >= 0) & (x <= FLOAT32_MAX), "a weight is finite and at least 0"
        )


def _checked(
    column: pa.Array, name: str, where: str, is_good: Callable[[np.ndarray], np.ndarray], rule: str
) -> np.ndarray:
    numbers = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    bad = ~is_good(numbers)  # a null is NaN here, which no rule accepts
    if bad.any():
        value = column[int(bad.argmax())].as_py()
        raise DataError(
            f"{where}: {name!r} is {'null' if value is None else value} ({int(bad.sum())} such rows); {rule}"
        )
    return numbers.astype(np.float32)


def _is_number(type_: pa.DataType) -> bool:
    return pa.types.is_integer(type_) or pa.types.is_floating(type_)
