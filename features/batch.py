"""Batch contract: the interface between `features` and `models`.

A batch is a dict of arrays:

    ids               int32   [batch, fields]     local to their table; 0 padding, 1 null, 2 out of vocabulary
    numerics          float32 [batch, numerics]
    sequences/<name>  int32   [batch, length]     padded with 0
    lengths/<name>    int32   [batch]
    label             float32 [batch]             0 or 1
    weight            float32 [batch]             1 without a weight column
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Batch = dict[str, np.ndarray]

PADDING, NULL, OUT_OF_VOCABULARY, SPECIAL_ROWS = 0, 1, 2, 3
"""First rows of every table, and their number."""


def table_rows(ids: pa.Array) -> np.ndarray:
    """Return the table rows of ids counted from 0, int32; a null becomes the row for nulls.

    >>> table_rows(pa.array([0, None, 5])).tolist()
    [3, 1, 8]
    """
    numbers = pc.fill_null(ids.cast(pa.int64()), NULL - SPECIAL_ROWS).to_numpy()
    return np.add(numbers, SPECIAL_ROWS, dtype=np.int32, casting="unsafe")


def batch_rows(batch: Batch) -> int:
    """Return the number of examples in a batch."""
    return len(batch["ids"])


def concatenate(batches: Iterable[Batch]) -> Batch:
    """Stack batches of the same columns, first rows first."""
    batches = list(batches)
    if len(batches) == 1:
        return batches[0]
    return {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}


def take(batch: Batch, rows: np.ndarray | slice) -> Batch:
    """Return a batch of the selected examples."""
    return {key: array[rows] for key, array in batch.items()}
