"""Vocabularies: the values of a table that have their own ids, most frequent first."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.errors import DataError
from features.fits.fit import Fit, Fitting
from features.ragged import Ragged
from features.settings import Count, Settings
from features.types import type_name
from features.values import Values, decoded
from features.vocabulary_index import VocabularyIndex

MERGE_ABOVE = 1_000_000  # counted values before a merge


class Vocabulary(Settings):
    """Ids by a vocabulary fitted on the training data, the most frequent value first."""

    min_count: Count = 1
    """Minimum number of occurrences in the training data. Rarer values share the out-of-vocabulary embedding."""
    max_distinct: Count = 20_000_000
    """Maximum number of distinct values. More are an error."""


@dataclass(frozen=True, eq=False)
class FittedVocabulary(Fit):
    """Vocabulary of a table.

    Args:
        values: distinct values; value k has row k + 3. Most frequent first; new values follow those of an earlier fit.
        counts: number of times that each value occurs in all training data, int64 `[values]`.
    """

    section = "vocabularies"

    values: pa.Array
    counts: np.ndarray

    @cached_property
    def index(self) -> VocabularyIndex:
        """Index from values to their positions in the vocabulary."""
        return VocabularyIndex(self.values)

    @classmethod
    def save(cls, fits: Mapping[str, Self], folder: Path) -> Any:
        for number, fit in enumerate(fits.values()):
            counted = pa.table({"value": fit.values, "count": fit.counts})
            pq.write_table(counted, folder / f"vocabulary-{number:03d}.parquet")
        return list(fits)

    @classmethod
    def load(cls, saved: Any, folder: Path) -> dict[str, Self]:
        counted = {key: pq.read_table(folder / f"vocabulary-{k:03d}.parquet") for k, key in enumerate(saved)}
        return {key: cls(table["value"].combine_chunks(), table["count"].to_numpy()) for key, table in counted.items()}


class ValueCounts(Fitting):
    """Exact counts of the distinct values of a table, from all features that share it.

    Counted values wait until more than `MERGE_ABOVE` of them, and more than were already merged, are waiting. Merging
    then takes time in proportion to the number of counted values, and waiting values at most double the memory of a
    large vocabulary.

    Args:
        key: name of the table.
        settings: limits of its vocabulary.
        known: vocabulary that the counts add to; None without such a vocabulary.
    """

    fit = FittedVocabulary

    def __init__(self, key: str, settings: Vocabulary, known: FittedVocabulary | None = None) -> None:
        self.key, self.settings = key, settings
        self.known = known or FittedVocabulary(pa.array([], pa.large_string()), np.empty(0, np.int64))
        self.type: pa.DataType | None = self.known.values.type if len(self.known.values) else None
        self.where = ""  # file and row group of the first values, for errors
        self.counted: list[pa.Table] = []  # the first table is merged: its values are distinct
        self.waiting = 0  # values added since the last merge

    @classmethod
    def of(cls, key: str, settings: Vocabulary, values: Values, where: str) -> Self:
        """Count the values of rows, without nulls; `where` names file and row group in errors."""
        counts = cls(key, settings)
        counted = pc.value_counts((values.flat if isinstance(values, Ragged) else values).drop_null())
        if len(counted):
            table = pa.table({"value": decoded(counted.field("values")), "count": counted.field("counts")})
            counts.type, counts.where = table.schema.field("value").type, where
            counts.counted, counts.waiting = [table], table.num_rows
        return counts

    def grow(self, known: Fit) -> Self:
        assert isinstance(known, FittedVocabulary)
        return type(self)(self.key, self.settings, known)

    def merge(self, other: Self) -> Self:
        assert not len(other.known.values), "only the first state adds to an earlier fit"
        if not other.counted:
            return self
        if other.type != (self.type or other.type):
            new, old = type_name(other.type), type_name(self.type)
            raise DataError(
                f"{other.where}: the values of table {self.key!r} are {new}, but {old} in earlier rows. "
                f"Use one type for all columns of the table."
            )
        self.type, self.where = other.type, self.where or other.where
        self.counted += other.counted
        self.waiting += sum(table.num_rows for table in other.counted)
        if self.waiting > max(MERGE_ABOVE, len(self.counted[0])):
            self._merge_counted()
        return self

    def result(self) -> FittedVocabulary:
        """Return the known values, then new values that occur at least `min_count` times, most frequent first.

        Raises:
            DataError: there are more than `max_distinct` values.
        """
        if not self.counted:
            return self.known
        self._merge_counted()
        known, counted = self.known.values.cast(self.type), self.counted[0]
        positions = pc.index_in(counted["value"], value_set=known).combine_chunks()
        counts = self.known.counts.copy()
        counts[positions.drop_null().to_numpy()] += counted["count"].filter(positions.is_valid()).to_numpy()
        new = counted.filter(pc.and_(positions.is_null(), pc.greater_equal(counted["count"], self.settings.min_count)))
        new = new.sort_by([("count", "descending"), ("value", "ascending")])
        values = pa.concat_arrays([known, new["value"].combine_chunks()])
        self._check_size(len(values))
        return FittedVocabulary(values, np.concatenate([counts, new["count"].to_numpy()]))

    def _merge_counted(self) -> None:
        if len(self.counted) > 1:  # Arrow's grouper aborts the process beyond 2 GiB of text
            merged = pa.concat_tables(self.counted)
            encoded = merged["value"].dictionary_encode().combine_chunks()
            counts = np.zeros(len(encoded.dictionary), np.int64)
            np.add.at(counts, encoded.indices.to_numpy(), merged["count"].to_numpy())
            self.counted, self.waiting = [pa.table({"value": encoded.dictionary, "count": counts})], 0
        self._check_size(len(self.counted[0]))

    def _check_size(self, distinct: int) -> None:
        if distinct > self.settings.max_distinct:
            raise DataError(
                f"table {self.key!r}: more than {self.settings.max_distinct:,} distinct values (max_distinct). "
                f"Raise it, or use `hash` instead of a vocabulary."
            )
