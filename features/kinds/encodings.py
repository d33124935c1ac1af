"""Encodings from a category to its table row: by a fitted vocabulary, by a hash, or by an id in the data."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.batch import NULL, OUT_OF_VOCABULARY, SPECIAL_ROWS, table_rows
from features.errors import Advice, DataError
from features.fits.vocabulary import FittedVocabulary
from features.hashing import fingerprints
from features.kinds.feature import UnknownIds
from features.types import type_name
from features.values import outside

UNUSED = 10  # largest ratio of rows to ids before a remark
SHARED = 0.5  # largest fraction of values that share a row before a remark


@dataclass(frozen=True)
class Encoding(ABC):
    """Encoding from the values of a column to rows of a table."""

    column: str
    """Name of the column, for errors."""

    unknown_ids: ClassVar[UnknownIds] = "unseen"
    """Ids that share the row of unknown values; see `Feature.unknown_ids`."""

    @abstractmethod
    def size(self, fit: Any) -> int:
        """Return the number of distinct ids, without the special ones."""

    @abstractmethod
    def ids(self, values: pa.Array, fit: Any, where: str) -> np.ndarray:
        """Return the row of each value, int32 `[values]`.

        Raises:
            DataError: a value does not have an id.
        """

    def id_counts(self, fit: Any) -> np.ndarray | None:
        """Return how often each id occurs in the training data, int64 `[ids]`; None if unknown."""
        return None

    def decode(self, ids: pa.Array, fit: Any) -> pa.Array:
        """Return the values of ids counted from 0, int64 with nulls."""
        return ids

    def describe(self, value: Any) -> str:
        """Return a short description of a value that `decode` returned."""
        return repr(value)

    def remarks(self, name: str, distinct: int, high: Any) -> Iterator[str]:
        """Yield reasons why the table of the feature `name` is too large or too small for its training values.

        Args:
            name: name of the feature.
            distinct: approximate number of distinct training values.
            high: largest training value.
        """
        yield from ()


@dataclass(frozen=True)
class ByVocabulary(Encoding):
    """Ids by a fitted vocabulary; `fit` is the `FittedVocabulary`."""

    unknown_ids = "fitted"

    def size(self, fit: FittedVocabulary) -> int:
        return len(fit.values)

    def ids(self, values: pa.Array, fit: FittedVocabulary, where: str) -> np.ndarray:
        encoded = values.dictionary_encode()
        distinct, fitted = encoded.dictionary, fit.values.type
        if len(distinct) and distinct.type != fitted and len(fit.values):
            raise DataError(
                f"{where}: the values of {self.column!r} are {type_name(distinct.type)}, "
                f"but {type_name(fitted)} in the training data. Use that type."
            )
        positions = fit.index.positions(distinct) if distinct.type == fitted else np.full(len(distinct), -1)
        return _spread(np.where(positions < 0, OUT_OF_VOCABULARY, positions + SPECIAL_ROWS), encoded)

    def id_counts(self, fit: FittedVocabulary) -> np.ndarray:
        return fit.counts

    def decode(self, ids: pa.Array, fit: FittedVocabulary) -> pa.Array:
        return fit.values.take(ids)


@dataclass(frozen=True)
class ByHash(Encoding):
    """Ids by FarmHash64 of the text."""

    buckets: int

    def size(self, fit: None) -> int:
        return self.buckets

    def ids(self, values: pa.Array, fit: None, where: str) -> np.ndarray:
        encoded = values.dictionary_encode()
        rows = (fingerprints(encoded.dictionary) % np.uint64(self.buckets)).astype(np.int64) + SPECIAL_ROWS
        return _spread(rows, encoded)

    def describe(self, value: Any) -> str:
        return f"hash bucket {value}"

    def remarks(self, name: str, distinct: int, high: Any) -> Iterator[str]:
        shared = 1 - math.exp(-(distinct - 1) / self.buckets)
        if shared > SHARED:
            yield (
                f"{100 * shared:.0f}% of the about {distinct:,} values of {name!r} share an embedding with another "
                f"value. Raise `hash: {self.buckets}`"
            )


@dataclass(frozen=True)
class ByIdentity(Encoding):
    """Ids that the column already contains: 0 <= id < limit."""

    limit: int

    def size(self, fit: None) -> int:
        return self.limit

    def ids(self, values: pa.Array, fit: None, where: str) -> np.ndarray:
        if not pa.types.is_integer(values.type) and values.null_count < len(values):
            raise DataError(
                f"{where}: column {self.column!r} must be integers for `identity`. Received: {type_name(values.type)}"
            )
        if values.null_count == len(values):
            return np.full(len(values), NULL, np.int32)
        extremes = pc.min_max(values).as_py()
        if not 0 <= extremes["min"] <= extremes["max"] < self.limit:
            is_outside = outside(values, self.limit)
            value, count = values[pc.index(is_outside, True).as_py()].as_py(), pc.sum(is_outside).as_py()
            raise DataError(
                f"{where}: column {self.column!r} holds the id {value} ({count:,} such values), but "
                f"`identity: {self.limit}` allows 0 to {self.limit - 1}.",
                Advice(
                    "Raise `identity`, or use `hash`.",
                    "Correct the rows, or train another run with a larger `identity`.",
                ),
            )
        return table_rows(values)

    def remarks(self, name: str, distinct: int, high: Any) -> Iterator[str]:
        if self.limit > UNUSED * (high + 1):
            yield (
                f"{name!r} has `identity: {self.limit}`, but its largest id in the training data is {high}. Lower "
                f"`identity` to save memory"
            )


def _spread(rows: np.ndarray, encoded: pa.DictionaryArray) -> np.ndarray:
    """Return the row of each value, int32 `[values]`, from the row of each distinct value."""
    with_null = np.append(rows, NULL).astype(np.int32)
    return with_null[pc.fill_null(encoded.indices, len(rows)).to_numpy()]
