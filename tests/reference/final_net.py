"""FINAL (SIGIR 2023) with one or two blocks, forward pass and losses, one layer at a time. Vectors are rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

EPSILON = 1e-3


def factorized(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, residual: str) -> np.ndarray:
    """Return [h_2, h_1 * h_2] or h_2 + h_1 * h_2, where h_2 is the first half of x W + b and h_1 the second."""
    half = kernel.shape[1] // 2
    h2 = x @ kernel[:, :half] + bias[:half]
    h1 = x @ kernel[:, half:] + bias[half:]
    return {"concat": np.hstack([h2, h1 * h2]), "sum": h2 + h1 * h2}[residual]


def block(x: np.ndarray, layers: Sequence[Mapping[str, Any]], residual: str, training: bool = False) -> np.ndarray:
    """Apply relu(norm(factorized(x))) for each layer; `norm` may be None.

    norm(x) = gamma * (x - mean) / sqrt(variance + EPSILON) + beta, with the moments of the batch in training.
    """
    for layer in layers:
        x = factorized(x, layer["kernel"], layer["bias"], residual)
        if layer["norm"] is not None:
            gamma, beta, mean, variance = layer["norm"]
            if training:
                mean, variance = x.mean(axis=0), x.var(axis=0)
            x = gamma * (x - mean) / np.sqrt(variance + EPSILON) + beta
        x = np.maximum(x, 0)
    return x


def field_gate(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the gated fields, [batch, fields, dim]: each column of the embeddings has gates of its own."""
    gated = np.empty_like(x)
    for example, fields in enumerate(x):
        for column in range(x.shape[2]):
            gates = fields[:, column] @ kernel + bias
            gated[example, :, column] = fields[:, column] * gates
    return gated


def final_net(
    x0: np.ndarray, shape: tuple[int, int], residual: str, weights: Mapping[str, Any], training: bool = False
) -> list[np.ndarray]:
    """Return the logits of each block, [batch] each, whose mean is the logit.

    Args:
        x0: [batch, width].
        shape: number and width of the embeddings at the start of x0.
        residual: `concat` or `sum`.
        weights: `gate`: (kernel, bias) or None; `blocks`: the layers of each block; `heads`: (kernel, bias) of each.
        training: True normalizes by the batch. There is no dropout.
    """
    first = x0
    if weights["gate"] is not None:
        width = shape[0] * shape[1]
        gated = field_gate(x0[:, :width].reshape(-1, *shape), *weights["gate"])
        first = np.hstack([x0, gated.reshape(len(x0), -1)])
    logits = []
    for x, layers, (kernel, bias) in zip([first, x0], weights["blocks"], weights["heads"], strict=False):
        logits.append((block(x, layers, residual, training) @ kernel + bias)[:, 0])
    return logits


def cross_entropy(target: np.ndarray, logit: np.ndarray) -> np.ndarray:
    """Return -t log s(l) - (1 - t) log(1 - s(l)) of each example."""
    return target * np.logaddexp(0, -logit) + (1 - target) * np.logaddexp(0, logit)
