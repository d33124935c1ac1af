"""The forward pass of DCN-V2 (arXiv 2008.13535), in evaluation mode. Vectors are rows, so W x is written x @ W^T."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

BATCH_NORM_EPSILON = 1e-3


def cross(x0: np.ndarray, x: np.ndarray, matrices: Sequence[np.ndarray], bias: np.ndarray) -> np.ndarray:
    """Return x_0 * (W x + b) + x, where W^T is the product of one matrix (full rank) or two (low rank)."""
    product = np.linalg.multi_dot([x, *matrices])
    return x0 * (product + bias) + x


def mlp(x: np.ndarray, layers: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Apply relu(norm(x @ kernel + bias)) for each layer; `bias` and `norm` may be None.

    norm(x) = gamma * (x - mean) / sqrt(variance + BATCH_NORM_EPSILON) + beta.
    """
    for layer in layers:
        x = x @ layer["kernel"]
        if layer["bias"] is not None:
            x = x + layer["bias"]
        if layer["norm"] is not None:
            gamma, beta, mean, variance = layer["norm"]
            x = gamma * (x - mean) / np.sqrt(variance + BATCH_NORM_EPSILON) + beta
        x = np.maximum(x, 0)
    return x


def dcn_v2(x0: np.ndarray, structure: str, weights: Mapping[str, Any]) -> np.ndarray:
    """Return logits [batch] of one of four structures.

    Args:
        x0: [batch, width].
        structure: `stacked`, `parallel`, `stacked_parallel` or `cross_only`.
        weights: `cross`: a list of (matrices, bias); `deep_on_cross` and `deep`: layers of `mlp`, where the structure
            has them; `head`: (kernel, bias).
    """
    crossed = x0
    for matrices, bias in weights["cross"]:
        crossed = cross(x0, crossed, matrices, bias)
    last = {
        "stacked": lambda: mlp(crossed, weights["deep_on_cross"]),
        "parallel": lambda: np.hstack([crossed, mlp(x0, weights["deep"])]),
        "stacked_parallel": lambda: np.hstack([mlp(crossed, weights["deep_on_cross"]), mlp(x0, weights["deep"])]),
        "cross_only": lambda: crossed,
    }[structure]()
    kernel, bias = weights["head"]
    return (last @ kernel + bias)[:, 0]
