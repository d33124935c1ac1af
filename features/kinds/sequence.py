"""Sequence features: a list of categories per example, such as the items that a user has seen."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from features.casts import cast_advice
from features.errors import Advice
from features.kinds.embedded import Embedded
from features.kinds.feature import Feature, Holds
from features.layout import Layout
from features.ragged import Ragged, list_lengths
from features.types import is_list
from features.values import categories, is_category


class Sequence(Embedded):
    """List column as ids, limited to the last `max_length` values; a null list is an empty list."""

    type: Literal["sequence"] = "sequence"
    """Feature type."""
    max_length: int = Field(50, gt=0, le=100_000)
    """Maximum number of values. The last values of a longer list are kept."""
    pooling: Literal["mean", "sum", "none"] = "mean"
    """Pooling of the embeddings into one input of the dense tower. `none`: no input of its own, for `din` and `can`,
    which read each behavior."""

    @property
    def holds(self) -> Holds:
        return "sequence"

    @property
    def has_first_order(self) -> bool:
        return self.pooling != "none"

    def max_values(self, declared: Mapping[str, Feature]) -> int:
        return self.max_length

    def lay_out(self, layout: Layout, fit: Any, declared: Mapping[str, Feature]) -> None:
        ids = self.encoding.size(fit)
        layout.add_sequence(self.name, ids, self.table, self.dim, self.max_length, self.pooling)

    def _accepts(self, type_: pa.DataType) -> bool:
        return is_list(type_) and (is_category(type_.value_type) or pa.types.is_null(type_.value_type))

    @property
    def _accepted_types(self) -> str:
        return "lists of integers, strings or booleans"

    def _advice(self, column: str, type_: pa.DataType) -> Advice:
        return cast_advice(column, type_, "category")

    def _values(self, column: pa.Array, where: str) -> Ragged:
        """Return the last `max_length` values of each list; a null list is empty."""
        if pa.types.is_null(column.type):
            return Ragged(pa.array([], pa.large_string()), np.zeros(len(column), np.int64))
        lengths = list_lengths(column)
        flat = categories(pc.list_flatten(column), self.missing)
        to_end = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(flat))  # 1 for the last value of a list
        if lengths.max(initial=0) > self.max_length:
            flat = flat.filter(pa.array(to_end <= self.max_length))
            lengths = np.minimum(lengths, self.max_length)
        return Ragged(flat, lengths)
