"""The forward pass of GDCN (arXiv 2311.04635), one row and one number at a time."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.reference.dcn import deep_cross


def cross(x0: np.ndarray, x: np.ndarray, w: np.ndarray, b: np.ndarray, w_gate: np.ndarray) -> np.ndarray:
    """Return x_0 * (W x + b) * sigmoid(Wg x) + x of one row; W and Wg [width, width] as in the paper."""
    out = []
    for number, own, row, bias, gate_row in zip(x0, x, w, b, w_gate, strict=True):
        gate = 1 / (1 + np.exp(-sum(w_i * x_i for w_i, x_i in zip(gate_row, x, strict=True))))
        out.append(number * (sum(w_i * x_i for w_i, x_i in zip(row, x, strict=True)) + bias) * gate + own)
    return np.array(out)


def gdcn(x0: np.ndarray, structure: str, weights: Mapping[str, Any]) -> np.ndarray:
    """Return logits [batch] by `deep_cross`, where `weights` also has `cross`: a list of (W, b, Wg)."""
    layers = [lambda x0, x, one=one: cross(x0, x, *one) for one in weights["cross"]]
    return deep_cross(x0, structure, layers, weights)
