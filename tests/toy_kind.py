"""A toy feature kind: a number rounded to steps, with an id for each step up to the highest of the training data."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features import OUT_OF_VOCABULARY, SPECIAL_ROWS, ColumnFeature, Fit, Fitting, as_floats, is_number, table_rows


@dataclass(frozen=True)
class Highest(Fit):
    section = "highest"
    step: int


@dataclass(frozen=True)
class HighestSoFar(Fitting):
    fit = Highest
    key: str
    step: int = 0

    def merge(self, other):
        return HighestSoFar(self.key, max(self.step, other.step))

    def result(self):
        return Highest(self.step)


class Rounded(ColumnFeature):
    """A number of at least 0 as a category: the nearest step."""

    column: str
    type: Literal["rounded"] = "rounded"
    step: float = 1.0
    dim: int = 4

    holds = property(lambda self: "category")
    unknown_ids = property(lambda self: "fitted")
    _accepted_types = property(lambda self: "numbers")

    def _accepts(self, type_):
        return is_number(type_)

    def _values(self, column, where):
        return pc.round(pc.divide(as_floats(column), self.step)).cast(pa.int64())

    def fitting(self):
        return HighestSoFar(self.name)

    def fitting_of(self, values, is_sampled, where):
        return HighestSoFar(self.name, pc.max(values).as_py() or 0)

    def lay_out(self, layout, fit, declared):
        layout.add_category(self.name, fit.step + 1, self.name, self.dim)

    def ids(self, values, fit, where):
        rows = table_rows(values)
        return np.where(rows > SPECIAL_ROWS + fit.step, np.int32(OUT_OF_VOCABULARY), rows)

    def decode(self, ids, fit):
        return pc.multiply(ids.cast(pa.float64()), self.step)

    def describe(self, value, fit):
        return f"about {value:g}"
