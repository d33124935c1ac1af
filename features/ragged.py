"""Lists of values, concatenated."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Ragged:
    """Lists of values of different lengths, concatenated."""

    flat: pa.Array
    """Values of all lists, in order."""
    lengths: np.ndarray
    """Number of values in each list, int64 `[rows]`; the sum is `len(flat)`."""


def list_lengths(lists: pa.Array) -> np.ndarray:
    """Return the number of values in each list, int64 `[rows]`; 0 for a null list.

    >>> list_lengths(pa.array([["a", None], None, []])).tolist()
    [2, 0, 0]
    """
    return pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
