"""Crosses: several features of an example as one category, or as a sequence of categories."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from features.batch import table_rows
from features.hashing import cross, cross_sequence
from features.kinds.embedded import without_encodings
from features.kinds.feature import Feature, Holds, UnknownIds
from features.layout import Layout
from features.ragged import Ragged
from features.settings import Size, Width, nearest
from features.values import Values


class _Crossed(Feature):
    """Feature made of other features: the hash of their values."""

    _made_of: ClassVar[str]
    """Features that it can be made of, for errors."""

    if TYPE_CHECKING:  # each type declares its own, in the order of its settings
        of: tuple[str, ...]
        hash: int
        dim: int

    @classmethod
    def completed(cls, name: str, settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        complete = super().completed(name, settings, without_encodings(defaults))
        if isinstance(complete.get("of"), list):
            complete["of"] = [str(part) for part in complete["of"]]  # as the names in `columns`
        return complete

    @property
    def parts(self) -> tuple[str, ...]:
        return self.of

    @property
    def is_wide_only(self) -> bool:
        return self.dim == 1

    @property
    def unknown_ids(self) -> UnknownIds:
        return "unseen"

    def ids(self, values: Values, fit: None, where: str) -> np.ndarray:
        return table_rows(values.flat if isinstance(values, Ragged) else values)

    def describe(self, value: Any, fit: None) -> str:
        return f"hash bucket {value}"

    def check_features(self, declared: Mapping[str, Feature]) -> None:
        sequences = [name for name, feature in declared.items() if feature.holds == "sequence" and not feature.parts]
        categories = [name for name, feature in declared.items() if feature.holds == "category" and not feature.parts]
        for index, part in enumerate(self.of):
            if part not in declared:
                raise ValueError(f"columns.{self.name}.of: no feature {part!r}; {nearest(part, list(declared))}")
            if part not in self._crossable(categories, sequences):
                hint = " For a sequence, use `type: sequence_cross`." if part in sequences else ""
                raise ValueError(
                    f"columns.{self.name}.of: {part!r} is a {declared[part].type} feature. A {self.type} takes "
                    f"{self._made_of} and numeric features `as: buckets`.{hint}"
                )
            if part in self.of[:index]:
                raise ValueError(f"columns.{self.name}.of: duplicate feature {part!r}. Remove one.")

    @abstractmethod
    def _crossable(self, categories: list[str], sequences: list[str]) -> list[str]:
        """Return the features that it can be made of."""


class Cross(_Crossed):
    """Two or more features with one category per example, as one category: the hash of their values.

    Null if one of them is null.
    """

    type: Literal["cross"] = "cross"
    """Feature type."""
    of: tuple[str, ...] = Field(min_length=2)
    """Names of two or more features: categoricals, and numerics with `as: buckets`."""
    hash: Size
    """Number of hash buckets, by `tf.sparse.cross_hashed` of the texts."""
    dim: Width = 1
    """Width of the embeddings. 1: a wide weight only, for `linear`, `wide_deep`, `fm` and `deepfm`. Above 1: also an
    input of the dense tower."""

    _made_of: ClassVar[str] = "categorical"

    @property
    def holds(self) -> Holds:
        return "category"

    def values(self, table: pa.Table, parts: list[Values], where: str) -> Values:
        return cross(parts, self.hash)

    def lay_out(self, layout: Layout, fit: None, declared: Mapping[str, Feature]) -> None:
        layout.add_category(self.name, self.hash, self.name, self.dim, has_vector=not self.is_wide_only)

    def _crossable(self, categories: list[str], sequences: list[str]) -> list[str]:
        return categories


class SequenceCross(_Crossed):
    """Each value of a sequence together with one or more categories of its example: a list of hashes.

    A value is null if one of its parts is null.
    """

    type: Literal["sequence_cross"] = "sequence_cross"
    """Feature type."""
    of: tuple[str, ...] = Field(min_length=2)
    """Names of two or more features: one sequence, of which the last `max_length` values count, and otherwise the
    features that a cross allows."""
    hash: Size
    """Number of hash buckets, by `tf.sparse.cross_hashed` of the texts."""
    dim: Width = 1
    """Width of the embeddings. 1: wide weights only, for `linear`, `wide_deep`, `fm` and `deepfm`. Above 1: also an
    input of the dense tower."""
    pooling: Literal["mean", "sum", "none"] = "sum"
    """Pooling of the embeddings, see `sequence`. The wide weights are always summed."""

    _made_of: ClassVar[str] = "one sequence, categorical"

    @property
    def holds(self) -> Holds:
        return "sequence"

    def max_values(self, declared: Mapping[str, Feature]) -> int:
        return max(declared[part].max_values(declared) for part in self.of)

    def values(self, table: pa.Table, parts: list[Values], where: str) -> Values:
        return cross_sequence(parts, self.hash)

    def lay_out(self, layout: Layout, fit: None, declared: Mapping[str, Feature]) -> None:
        length = self.max_values(declared)
        layout.add_sequence(
            self.name,
            self.hash,
            self.name,
            self.dim,
            length,
            self.pooling,
            has_vectors=not self.is_wide_only,
            crossed=True,
        )

    def check_features(self, declared: Mapping[str, Feature]) -> None:
        super().check_features(declared)
        sequences = [part for part in self.of if declared[part].holds == "sequence"]
        if len(sequences) != 1:
            hint = "" if sequences else " For none, use `type: cross`."
            raise ValueError(
                f"columns.{self.name}.of: must have exactly one sequence.{hint} "
                f"Received: {', '.join(sequences) or 'none'}"
            )

    def _crossable(self, categories: list[str], sequences: list[str]) -> list[str]:
        return [*categories, *sequences]
