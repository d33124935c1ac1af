"""A factorization machine (Rendle 2010, equation 1): a loop over all pairs of vectors, in float64."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from tests.reference.linear import linear


def pairs(vectors: np.ndarray) -> np.ndarray:
    """Return the sum of the dot products of all pairs of vectors, [batch, n, k] -> [batch]."""
    return np.array(
        [
            sum(float(np.dot(v.astype(np.float64), w.astype(np.float64))) for v, w in combinations(example, 2))
            for example in vectors
        ]
    )


def fm(
    features: Sequence[Mapping[str, Any]], numbers: np.ndarray, vectors: np.ndarray, weights: Mapping[str, Any]
) -> np.ndarray:
    """Return logits [batch]; see `linear` and `pairs`."""
    return linear(features, numbers, weights) + pairs(vectors)
