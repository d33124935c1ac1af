"""The forward pass of CompressedDot, in evaluation mode: loops over rows, fields and compressed vectors, in float64."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference.dcn_v2 import mlp

Dense = tuple[np.ndarray, np.ndarray]


def adapt(values: Sequence[float], layers: Sequence[Dense]) -> list[float]:
    """Apply kernel^T v + bias, layer by layer, with relu after each layer except the last."""
    for place, (kernel, bias) in enumerate(layers):
        values = [
            sum(value * kernel[row, unit] for row, value in enumerate(values)) + bias[unit] for unit in range(len(bias))
        ]
        if place < len(layers) - 1:
            values = [max(value, 0.0) for value in values]
    return list(values)


def feature_compression(
    x: np.ndarray, groups: Sequence[Sequence[int]], matrices: Sequence[np.ndarray], layers: Sequence[Dense] = ()
) -> np.ndarray:
    """Return [dots, compressed], [batch, n * columns + k * columns].

    A compressed vector is a sum of the vectors of its group, y_j = sum_i C[i, j] x_i; the dots are <x_i, y_j>, field by
    field; the compressed vectors are written element by element, as the rows of Y [k, columns].

    Args:
        x: [batch, n, k].
        groups: field indices of each group, in the order of the rows of its matrix.
        matrices: C [members, c] of each group.
        layers: MLP that adapts Y to the row; without layers, Y stays as computed by C.
    """
    outputs = []
    for vectors in x.astype(np.float64):
        fields, width = vectors.shape
        compressed = []
        for places, matrix in zip(groups, matrices, strict=True):
            for feature in range(matrix.shape[1]):
                one = np.zeros(width)
                for member, place in enumerate(places):
                    one += float(matrix[member, feature]) * vectors[place]
                compressed.append(one)
        flat = [float(one[element]) for element in range(width) for one in compressed]
        if layers:
            flat = adapt(flat, layers)
            compressed = [np.array(flat[feature :: len(compressed)]) for feature in range(len(compressed))]
        dots = [sum(vectors[field] * one) for field in range(fields) for one in compressed]
        outputs.append([*dots, *flat])
    return np.array(outputs)


def compressed_dot(
    x0: np.ndarray, shape: tuple[int, int], groups: Sequence[Sequence[int]], structure: str, weights: Mapping[str, Any]
) -> np.ndarray:
    """Return logits [batch].

    Args:
        x0: [batch, width], the vectors first.
        shape: n and k.
        groups: same as in `feature_compression`.
        structure: `stacked` or `parallel`.
        weights: `matrices` and `adaptation` for `feature_compression`; `deep`: layers of `mlp`; `head`: (kernel, bias).
    """
    fields, width = shape
    vectors = np.array([[row[width * place : width * (place + 1)] for place in range(fields)] for row in x0])
    crossed = feature_compression(vectors, groups, weights["matrices"], weights["adaptation"])
    if structure == "stacked":
        last = mlp(np.hstack([x0, crossed]), weights["deep"])
    else:
        last = np.hstack([crossed, mlp(x0, weights["deep"])])
    kernel, bias = weights["head"]
    return (last @ kernel + bias)[:, 0]
