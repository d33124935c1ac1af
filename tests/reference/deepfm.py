"""The forward pass of DeepFM (arXiv 1703.04247, equations 1 to 4), in evaluation mode, in float64."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference.dcn_v2 import mlp
from tests.reference.fm import pairs
from tests.reference.linear import first_order


def deepfm(
    features: Sequence[Mapping[str, Any]], numbers: np.ndarray, vectors: np.ndarray, weights: Mapping[str, Any]
) -> np.ndarray:
    """Return logits [batch].

    Args:
        features: same as in `first_order`.
        numbers: plain numbers, [batch, n].
        vectors: embeddings, [batch, fields, k].
        weights: `kernel` of `first_order`; `deep`: layers of `mlp`; `head`: (kernel, bias).
    """
    x0 = np.hstack([vectors.reshape(len(vectors), -1), numbers]).astype(np.float64)
    kernel, bias = weights["head"]
    deep = (mlp(x0, weights["deep"]) @ kernel.astype(np.float64) + bias)[:, 0]
    return first_order(features, numbers, weights["kernel"]) + pairs(vectors) + deep
