"""Lists of values, end to end."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Ragged:
    """Lists of values of different lengths, end to end."""

    flat: pa.Array
    lengths: np.ndarray  # int64 [rows], sums to len(flat)


def list_lengths(lists: pa.Array) -> np.ndarray:
    """Return how many values each list has, int64 [rows]; a null list has none.

    >>> list_lengths(pa.array([["a", None], None, []])).tolist()
    [2, 0, 0]
    """
    return pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
