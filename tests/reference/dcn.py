"""The forward pass of DCN (arXiv 1708.05123, equation 3), in evaluation mode, one row at a time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference.dcn_v2 import mlp


def cross(x0: np.ndarray, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return x_0 (w^T x) + b + x of one row; all are [width]."""
    return x0 * sum(w_i * x_i for w_i, x_i in zip(w, x, strict=True)) + b + x


def deep_cross(
    x0: np.ndarray, structure: str, layers: Sequence[Callable[..., np.ndarray]], weights: Mapping[str, Any]
) -> np.ndarray:
    """Return logits [batch] of cross layers, functions of x_0 and x of one row, in one of four structures.

    Args:
        x0: [batch, width].
        structure: `stacked`, `parallel`, `stacked_parallel` or `cross_only`.
        layers: cross layers, first to last.
        weights: `deep_on_cross` and `deep`: layers of `mlp`, where the structure has them; `head`: (kernel, bias).
    """
    kernel, bias = weights["head"]
    logits = []
    for row in x0:
        crossed = row
        for layer in layers:
            crossed = layer(row, crossed)
        below = mlp(crossed, weights["deep_on_cross"]) if structure in ("stacked", "stacked_parallel") else crossed
        beside = mlp(row, weights["deep"]) if structure in ("parallel", "stacked_parallel") else []
        last = [*below, *beside]
        logits.append(np.dot(last, kernel[:, 0]) + bias[0])
    return np.array(logits)


def dcn(x0: np.ndarray, structure: str, weights: Mapping[str, Any]) -> np.ndarray:
    """Return logits [batch] by `deep_cross`, where `weights` also has `cross`: a list of (w, b)."""
    layers = [lambda x0, x, w=w, b=b: cross(x0, x, w, b) for w, b in weights["cross"]]
    return deep_cross(x0, structure, layers, weights)
