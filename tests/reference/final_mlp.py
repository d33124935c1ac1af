"""The forward pass of FinalMLP (arXiv 2304.00902), in evaluation mode. Vectors are rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

EPSILON = 1e-3


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def gate(context: np.ndarray, layers: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return 2 sigmoid(MLP(context)): relu between the layers (kernel, bias), and a linear last one."""
    for index, (kernel, bias) in enumerate(layers):
        context = context @ kernel + bias
        if index < len(layers) - 1:
            context = np.maximum(context, 0)
    return 2 * sigmoid(context)


def mlp(x: np.ndarray, layers: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Apply relu(norm(x @ kernel + bias)) for each layer; `bias` and `norm` may be None."""
    for layer in layers:
        x = x @ layer["kernel"]
        if layer["bias"] is not None:
            x = x + layer["bias"]
        if layer["norm"] is not None:
            gamma, beta, mean, variance = layer["norm"]
            x = gamma * (x - mean) / np.sqrt(variance + EPSILON) + beta
        x = np.maximum(x, 0)
    return x


def bilinear(x: np.ndarray, y: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Return sum over heads h of x_h^T W_h y_h for each example, number by number.

    Args:
        x: [batch, heads * rows].
        y: [batch, heads * columns].
        matrices: [heads, rows, columns].
    """
    heads, rows, columns = matrices.shape
    logits = np.zeros(len(x))
    for head in range(heads):
        for row in range(rows):
            for column in range(columns):
                product = x[:, head * rows + row] * y[:, head * columns + column]
                logits += matrices[head, row, column] * product
    return logits


def final_mlp(x0: np.ndarray, contexts: Sequence[np.ndarray | None], weights: Mapping[str, Any]) -> np.ndarray:
    """Return logits [batch].

    Args:
        x0: [batch, width].
        contexts: context of each gate, [batch, context width]; None: a gate that is the same for all examples.
        weights: `gates`: for each gate the layers of its MLP, or the vector v of 2 sigmoid(v); None: no gates.
            `deep`: the layers of each MLP; `matrices`: see `bilinear`; `heads`: kernel of each, [width, 1]; `bias`.
    """
    inputs = [x0, x0]
    if weights["gates"] is not None:
        for index, (context, own) in enumerate(zip(contexts, weights["gates"], strict=True)):
            inputs[index] = x0 * (2 * sigmoid(own) if context is None else gate(context, own))
    one, two = (mlp(x, layers) for x, layers in zip(inputs, weights["deep"], strict=True))
    linear = one @ weights["heads"][0] + two @ weights["heads"][1] + weights["bias"]
    return linear[:, 0] + bilinear(one, two, weights["matrices"])
