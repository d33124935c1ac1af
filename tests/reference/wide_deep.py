"""The forward pass of Wide & Deep (arXiv 1606.07792, equation 3), in evaluation mode. Vectors are rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference.dcn_v2 import mlp


def wide_deep(x0: np.ndarray, ids: np.ndarray, wide: Sequence[np.ndarray], weights: Mapping[str, Any]) -> np.ndarray:
    """Return logits [batch]: the sum of a weight for each category's value, and the head on the MLP.

    Args:
        x0: [batch, width].
        ids: [batch, categories].
        wide: weights of each category's values, [rows, 1].
        weights: `deep`: layers of `mlp`; `head`: (kernel, bias).
    """
    kernel, bias = weights["head"]
    logits = (mlp(x0.astype(np.float64), weights["deep"]) @ kernel.astype(np.float64) + bias)[:, 0]
    for row, row_ids in enumerate(ids):
        for table, id_ in zip(wide, row_ids, strict=True):
            logits[row] += float(table[id_, 0])
    return logits
