"""Count of the distinct values of a stream, in bounded memory."""

import numpy as np
import pandas as pd
import pyarrow as pa

KEPT = 4096


class DistinctCount:
    """Sketch of the 4096 smallest hashes: exact up to 4096 values, then an estimate with a standard error of 1.6%.

    With n distinct values, whose hashes are uniform on [0, 1), the k-th smallest hash U_k is near k / n, and
    (k - 1) / U_k is an unbiased estimate of n. `merge` merges two states.

    Source: Beyer et al. 2007, On synopses for distinct-value estimation under multiset operations.
    """

    def __init__(self) -> None:
        self._smallest = np.empty(0, np.uint64)  # ascending, distinct

    def add(self, distinct: pa.Array) -> None:
        """Add values: integers, floats or texts, distinct and without nulls."""
        hashes = pd.util.hash_array(distinct.to_numpy(zero_copy_only=False))
        if not self.is_exact:
            hashes = hashes[hashes < self._smallest[-1]]
        self._keep_smallest(hashes)

    def merge(self, other: "DistinctCount") -> "DistinctCount":
        """Return the state of the union of both streams."""
        merged = DistinctCount()
        merged._smallest = self._smallest
        merged._keep_smallest(other._smallest)
        return merged

    @property
    def is_exact(self) -> bool:
        """True if `estimate` is the exact count."""
        return len(self._smallest) < KEPT

    @property
    def estimate(self) -> int:
        """Number of distinct values that were added."""
        if self.is_exact:
            return len(self._smallest)
        return round((KEPT - 1) / (float(self._smallest[-1]) / 2.0**64))

    def _keep_smallest(self, hashes: np.ndarray) -> None:
        self._smallest = np.unique(np.concatenate([self._smallest, hashes]))[:KEPT]
