"""How many different values a stream has, in bounded memory."""

import numpy as np
import pandas as pd
import pyarrow as pa

KEPT = 4096


class DistinctCount:
    """The least 4096 hashes of the values: exact up to as many, beyond it an estimate with 1.6 % standard error.

    Of n different values, the hashes, spread evenly over [0, 1), have their k-th least near k / n; (k - 1) / U_k is
    unbiased (Beyer et al., On synopses for distinct-value estimation under multiset operations, 2007). Two states merge
    by `merge`.
    """

    def __init__(self) -> None:
        self._least = np.empty(0, np.uint64)  # ascending, distinct

    def add(self, distinct: pa.Array) -> None:
        """Count values, each once, none null: integers, floats or texts."""
        hashes = pd.util.hash_array(distinct.to_numpy(zero_copy_only=False))
        if not self.is_exact:
            hashes = hashes[hashes < self._least[-1]]
        self._keep_least(hashes)

    def merge(self, other: "DistinctCount") -> "DistinctCount":
        """Return the state of both together."""
        merged = DistinctCount()
        merged._least = self._least
        merged._keep_least(other._least)
        return merged

    @property
    def is_exact(self) -> bool:
        """Whether `estimate` is no estimate."""
        return len(self._least) < KEPT

    @property
    def estimate(self) -> int:
        """How many different values were added."""
        if self.is_exact:
            return len(self._least)
        return round((KEPT - 1) / (float(self._least[-1]) / 2.0**64))

    def _keep_least(self, hashes: np.ndarray) -> None:
        self._least = np.unique(np.concatenate([self._least, hashes]))[:KEPT]
