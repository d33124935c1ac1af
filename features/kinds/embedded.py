"""Base class of categorical and sequence features: values become ids, and ids are rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import BeforeValidator, model_validator

from features.fits.fit import Fitting
from features.fits.vocabulary import ValueCounts, Vocabulary
from features.kinds.encodings import ByHash, ByIdentity, ByVocabulary, Encoding
from features.kinds.feature import ColumnFeature, UnknownIds
from features.ragged import Ragged
from features.settings import ONE_AS_LIST, Size, Width
from features.values import Values, outside

ENCODINGS = ("vocabulary", "hash", "identity", "part")


def without_encodings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without those that choose an encoding."""
    return {key: value for key, value in settings.items() if key not in ENCODINGS}


def _quoted(values: Any) -> Any:
    """Return the values that mean null, unless YAML has converted one: pydantic would take `no` for the integer 0."""
    for value in values if isinstance(values, list) else [values]:
        if value is None or isinstance(value, bool):
            raise ValueError(
                'must be strings or integers, but YAML converts words such as null and no. Quote them, as in ["null"].'
            )
    return values


class Embedded(ColumnFeature):
    """Feature of a column whose values become ids of a table."""

    column: str
    """Column of the files."""
    dim: Width = 16
    """Width of the embeddings."""
    table: str
    """Name of the embedding table. Features with the same table share its embeddings and its vocabulary, and must have
    the same `dim` and encoding."""
    vocabulary: Vocabulary | None = None
    """Encoding by a vocabulary of the training data, the most frequent value first. The default encoding."""
    hash: Size | None = None
    """Encoding by FarmHash64 of the text into this many buckets, as `tf.strings.to_hash_bucket_fast`."""
    identity: Size | None = None
    """Encoding of a column that already holds ids, from 0 to this number minus 1."""
    missing: Annotated[list[str | int], BeforeValidator(_quoted), ONE_AS_LIST] = []
    """Values that mean null: strings for a string column, integers for an integer column. Quote words that YAML
    converts: `"null"` is the text, `null` is not."""

    @model_validator(mode="after")
    def _has_one_encoding(self) -> Embedded:
        encodings = [key for key in ENCODINGS if getattr(self, key, None) is not None]
        if len(encodings) != 1:
            raise ValueError(
                f"must have exactly one of {', '.join(ENCODINGS)}. Received: {', '.join(encodings) or 'none'}"
            )
        return self

    @classmethod
    def completed(cls, name: str, settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        if any(settings.get(key) is not None for key in ENCODINGS):
            defaults = without_encodings(defaults)
        complete = {"table": name, **super().completed(name, settings, defaults)}
        if all(complete.get(key) is None for key in ENCODINGS):
            complete["vocabulary"] = {}
        return complete

    @property
    def encoding(self) -> Encoding:
        """Encoding from values to ids that the settings choose."""
        if self.hash is not None:
            return ByHash(self.column, self.hash)
        if self.identity is not None:
            return ByIdentity(self.column, self.identity)
        return ByVocabulary(self.column)

    @property
    def table_name(self) -> str:
        return self.table

    @property
    def shared_table(self) -> Mapping[str, Any]:
        return {key: getattr(self, key, None) for key in ("dim", *ENCODINGS)}

    @property
    def unknown_ids(self) -> UnknownIds:
        return self.encoding.unknown_ids

    @property
    def leaves_out_rare(self) -> bool:
        return self.vocabulary is not None and self.vocabulary.min_count > 1

    @property
    def can_be_invalid(self) -> bool:
        return self.identity is not None

    def faults(self, table: pa.Table, fit: Any, where: str) -> Iterator[tuple[str, np.ndarray]]:
        if self.identity is None:
            return
        values = self.values(table, [], where)
        lists = values if isinstance(values, Ragged) else Ragged(values, np.ones(len(values), np.int64))
        if not pa.types.is_integer(lists.flat.type):  # only nulls, or a type error of the whole column
            return
        is_outside = outside(lists.flat, self.identity).to_numpy(zero_copy_only=False)
        rows = np.repeat(np.arange(len(lists.lengths)), lists.lengths)
        counts = np.bincount(rows[is_outside], minlength=len(lists.lengths))
        yield f"{self.column!r} holds an id outside 0 to {self.identity - 1}", counts > 0

    def fitting(self) -> Fitting | None:
        return None if self.vocabulary is None else ValueCounts(self.table, self.vocabulary)

    def fitting_of(self, values: Values, is_sampled: np.ndarray, where: str) -> Fitting:
        assert self.vocabulary is not None
        return ValueCounts.of(self.table, self.vocabulary, values, where)

    def ids(self, values: Values, fit: Any, where: str) -> np.ndarray:
        return self.encoding.ids(values.flat if isinstance(values, Ragged) else values, fit, where)

    def id_counts(self, fit: Any) -> np.ndarray | None:
        return self.encoding.id_counts(fit)

    def decode(self, ids: pa.Array, fit: Any) -> pa.Array:
        return self.encoding.decode(ids, fit)

    def describe(self, value: Any, fit: Any) -> str:
        return self.encoding.describe(value)

    def remarks(self, distinct: int, high: Any) -> Iterator[str]:
        return self.encoding.remarks(self.name, distinct, high)
