"""One-hot columns of encoded examples, for linear models."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from features import Batch


@dataclass(frozen=True)
class OneHot:
    """Columns of a linear model: one for each id of each feature in the training data, then the numerics.

    A sequence is the mean of the columns of its ids, and has no columns if it is empty. An id that does not occur in
    the training data has no column.

    Attributes:
        known: key of the batch, and column of `ids` -> sorted ids that have a column, int32.
        numerics: number of columns of `numerics`.
    """

    known: dict[tuple[str, int], np.ndarray]
    numerics: int

    @classmethod
    def fitted(cls, batch: Batch) -> "OneHot":
        """Return the columns for the ids of the training examples."""
        known = {key: np.unique(ids[is_id]) for key, ids, is_id in id_arrays(batch)}
        return cls(known, batch["numerics"].shape[1])

    @property
    def columns(self) -> int:
        """Number of columns."""
        return sum(map(len, self.known.values())) + self.numerics

    def matrix(self, batch: Batch) -> sparse.csr_matrix:
        """Return the columns of examples, float64 `[rows, columns]`, without zeros."""
        columns, values, offset = [], [], 0
        rows = len(batch["ids"])
        for key, ids, is_id in id_arrays(batch):
            known = self.known[key]
            index = np.searchsorted(known, ids).clip(max=max(len(known) - 1, 0))
            has_column = is_id & (known[index] == ids) if len(known) else np.zeros_like(is_id)
            columns.append(np.where(has_column, offset + index, -1).astype(np.int32))
            lengths = np.maximum(is_id.sum(axis=1, keepdims=True), 1)
            values.append(np.broadcast_to(1 / lengths, ids.shape))
            offset += len(known)
        numerics = batch["numerics"].astype(np.float64)
        columns.append(np.broadcast_to(np.arange(offset, offset + self.numerics, dtype=np.int32), numerics.shape))
        index, value = np.concatenate(columns, axis=1), np.concatenate([*values, numerics], axis=1)
        stored = (index >= 0) & (value != 0)
        starts = np.concatenate([[0], np.cumsum(stored.sum(axis=1))])
        matrix = sparse.csr_matrix((value[stored], index[stored], starts), shape=(rows, self.columns))
        matrix.sum_duplicates()  # an id that a sequence repeats
        return matrix


def id_arrays(batch: Batch) -> Iterator[tuple[tuple[str, int], np.ndarray, np.ndarray]]:
    """Yield key, ids `[rows, length]`, and bool `[rows, length]`, True for ids that are not padding, of each feature.

    The key is `("ids", column)` for a feature with one id per example, with length 1, or `(key of the batch, 0)` for
    a sequence.
    """
    for column in range(batch["ids"].shape[1]):
        ids = batch["ids"][:, column : column + 1]
        yield ("ids", column), ids, np.ones(ids.shape, bool)
    for key, ids in batch.items():
        if key.startswith("sequences/"):
            lengths = batch[key.replace("sequences/", "lengths/", 1)]
            yield (key, 0), ids, np.arange(ids.shape[1]) < lengths[:, None]
