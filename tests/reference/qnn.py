"""The forward pass of QNN-alpha (arXiv 2505.17999) in evaluation mode, one example and one number at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

EPSILON = 1e-3


def relu_rows(x: np.ndarray, layer: Mapping[str, Any]) -> np.ndarray:
    """Return ReLU(BN(W x + b)) of one example; `kernel` is W^T, and `bias` and `norm` may be None."""
    z = np.array([sum(x_i * w_i for x_i, w_i in zip(x, column, strict=True)) for column in layer["kernel"].T])
    if layer["bias"] is not None:
        z = z + layer["bias"]
    if layer["norm"] is not None:
        gamma, beta, mean, variance = layer["norm"]
        z = gamma * (z - mean) / np.sqrt(variance + EPSILON) + beta
    return np.maximum(z, 0)


def quadratic(x: np.ndarray, layer: Mapping[str, Any], rows: int, heads: int, dim: int) -> np.ndarray:
    """Return a quadratic layer's output for one example of fields with `dim` numbers each.

    Product number i of head h is the i-th of the numbers that the h-th chunks of all fields hold. It is added to number
    h * (width / heads) + i of x.
    """
    h = relu_rows(x, layer)
    width, chunk = len(x) // heads, dim // heads
    out = list(x)
    for head in range(heads):
        numbers = [x[field * dim + head * chunk + place] for field in range(len(x) // dim) for place in range(chunk)]
        for i, number in enumerate(numbers):
            gate = sum(h[(head * rows + row) * width + i] for row in range(rows))
            out[head * width + i] = number * gate + x[head * width + i]
    return np.array(out)


def qnn(
    x0: np.ndarray,
    layers: Sequence[Mapping[str, Any]],
    cross: Sequence[Mapping[str, Any]],
    head: Sequence[np.ndarray],
    rows: int,
    heads: int = 1,
    dim: int | None = None,
) -> np.ndarray:
    """Return logits [batch].

    Args:
        x0: [batch, width].
        layers: kernel, bias and norm of each quadratic layer, see `relu_rows`.
        cross: kernel, bias and norm of each cross layer.
        head: kernel and bias of the head.
        rows: rows of each head.
        heads: number of heads.
        dim: numbers of a field; None: one field.
    """
    logits = []
    for example in x0:
        x = crossed = example
        for layer in layers:
            x = quadratic(x, layer, rows, heads, dim or len(example))
        for layer in cross:
            crossed = crossed + example * relu_rows(crossed, layer)
        last = np.concatenate([x, crossed]) if cross else x
        logits.append(np.dot(last, head[0][:, 0]) + head[1][0])
    return np.array(logits)
