"""The forward pass of AutoInt (arXiv 1810.11921) in evaluation mode, one example, head and field at a time."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.reference.dcn_v2 import mlp

LAYER_NORM_EPSILON = 1e-5


def softmax(scores: list[float]) -> list[float]:
    """Return exp(score) / sum of exp(score)."""
    total = sum(np.exp(score) for score in scores)
    return [float(np.exp(score) / total) for score in scores]


def attend(vectors: list[np.ndarray], layer: Mapping[str, Any], heads: int, scale: bool) -> list[np.ndarray]:
    """Return the output of each field of an attention layer.

    `layer` has the matrices `query`, `key` and `value`; `projection`, a matrix, or None for the identity, or "none" for
    no residual; `norm`, a pair of scale and offset, or None.
    """
    q, k, v = ([vector @ layer[name] for vector in vectors] for name in ("query", "key", "value"))
    size = len(q[0]) // heads
    outputs = []
    for i, vector in enumerate(vectors):
        read = []
        for head in range(heads):
            columns = slice(head * size, (head + 1) * size)
            scores = [float(np.dot(q[i][columns], one[columns])) for one in k]
            weights = softmax([score / np.sqrt(size) for score in scores] if scale else scores)
            read += list(sum(weight * one[columns] for weight, one in zip(weights, v, strict=True)))
        output = np.array(read)
        if layer["projection"] is None:
            output = output + vector
        elif not isinstance(layer["projection"], str):
            output = output + vector @ layer["projection"]
        if layer["norm"] is not None:
            gamma, beta = layer["norm"]
            output = gamma * (output - output.mean()) / np.sqrt(output.var() + LAYER_NORM_EPSILON) + beta
        outputs.append(np.maximum(output, 0))
    return outputs


def auto_int(x0: np.ndarray, fields: int, dim: int, heads: int, scale: bool, weights: Mapping[str, Any]) -> np.ndarray:
    """Return logits [batch].

    Args:
        x0: [batch, width], the vectors of the fields first.
        fields: number of vectors.
        dim: width of a vector.
        heads: number of heads.
        scale: True if products are divided by sqrt(width of a head).
        weights: `attention`: layers of `attend`; `deep`: layers of `mlp` or None; `heads`: kernels of the heads;
            `bias`.
    """
    logits = []
    for example in x0:
        vectors = [example[place * dim : (place + 1) * dim] for place in range(fields)]
        for layer in weights["attention"]:
            vectors = attend(vectors, layer, heads, scale)
        logit = np.concatenate(vectors) @ weights["heads"][0][:, 0]
        if weights["deep"] is not None:
            logit += mlp(example, weights["deep"]) @ weights["heads"][1][:, 0]
        logits.append(logit + weights["bias"][0])
    return np.array(logits)
