"""The forward pass of DCN-Mix (arXiv 2008.13535, equations 3 and 4), one row and one expert at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference.dcn import deep_cross

ACTIVATIONS = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "linear": lambda z: z}


def gates(x: np.ndarray, kernel: np.ndarray, gate: str) -> list[float]:
    """Return the weight of each expert in one row; column k of the kernel [width, experts] is expert k's."""
    scores = [float(np.dot(x, column)) for column in kernel.T]
    if gate == "sigmoid":
        return [1 / (1 + np.exp(-score)) for score in scores]
    total = sum(np.exp(score) for score in scores)
    return [np.exp(score) / total for score in scores]


def cross(
    x0: np.ndarray,
    x: np.ndarray,
    experts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    b: np.ndarray,
    gate_kernel: np.ndarray,
    gate: str,
    activation: str,
) -> np.ndarray:
    """Return sum_k G_k(x) x_0 * (U_k g(C_k g(V_k^T x)) + b) + x of one row.

    `experts` are (U, C, V) in the paper's shapes, [width, rank], [rank, rank] and [width, rank].
    """
    g = ACTIVATIONS[activation]
    out = x
    for weight, (u, c, v) in zip(gates(x, gate_kernel, gate), experts, strict=True):
        out = out + weight * x0 * (u @ g(c @ g(v.T @ x)) + b)
    return out


def dcn_mix(x0: np.ndarray, structure: str, weights: Mapping[str, Any], gate: str, activation: str) -> np.ndarray:
    """Return logits [batch] by `deep_cross`, where `weights` also has `cross`: a list of (experts, b, gate kernel)."""
    layers = [lambda x0, x, one=one: cross(x0, x, *one, gate, activation) for one in weights["cross"]]
    return deep_cross(x0, structure, layers, weights)
