"""The forward pass and the loss of FCN (arXiv 2407.13349) in evaluation mode, one example and head at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

LAYER_NORM_EPSILON, BATCH_NORM_EPSILON = 1e-5, 1e-3


def head_of(example: np.ndarray, fields: int, dim: int, heads: int, head: int) -> list[float]:
    """Return the first halves of a head's columns of all fields, then the second halves."""
    half = dim // heads // 2
    numbers = []
    for part in (0, 1):
        for field in range(fields):
            start = field * dim + head * 2 * half + part * half
            numbers += [float(number) for number in example[start : start + half]]
    return numbers


def cross(anchor: Sequence[float], x: Sequence[float], layer: Mapping[str, Any], head: int) -> list[float]:
    """Return the next x of a head.

    `layer` has `kernel` (W^T), `bias`, `norm` (gamma, beta, mean, variance, each [heads]) or None, `mask` (gamma, beta)
    or None.
    """
    c = [sum(number * weight for number, weight in zip(x, column, strict=True)) for column in layer["kernel"].T]
    if layer["norm"] is not None:
        gamma, beta, mean, variance = (values[head] for values in layer["norm"])
        c = [gamma * (number - mean) / np.sqrt(variance + BATCH_NORM_EPSILON) + beta for number in c]
    mask = np.array(c)
    if layer["mask"] is not None:
        gamma, beta = layer["mask"]
        mask = gamma * (mask - mask.mean()) / np.sqrt(mask.var() + LAYER_NORM_EPSILON) + beta
    z = [*c, *(number * max(0.0, one) for number, one in zip(c, mask, strict=True))]
    return [a * (one + b) + own for a, one, b, own in zip(anchor, z, layer["bias"], x, strict=True)]


def logits_of_networks(
    x0: np.ndarray, fields: int, dim: int, heads: int, weights: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return the logits [batch] of each network.

    Args:
        x0: [batch, fields * dim].
        fields: number of fields.
        dim: width of an embedding.
        heads: number of heads.
        weights: network, `exponential` or `linear` -> layers of `cross`, and kernel and bias of its head.
    """
    logits = {}
    for name, (layers, (kernel, bias)) in weights.items():
        of_examples = []
        for example in x0:
            of_heads = []
            for head in range(heads):
                first = x = head_of(example, fields, dim, heads, head)
                for layer in layers:
                    x = cross(x if name == "exponential" else first, x, layer, head)
                of_heads.append(np.dot(x, kernel[:, 0]) + bias[0])
            of_examples.append(sum(of_heads) / heads)
        logits[name] = np.array(of_examples)
    return logits


def tri_bce(logits: Mapping[str, np.ndarray], label: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Return `loss`, and `loss/n` of each of two networks, as weighted means over the batch."""

    def mean_loss(logit: np.ndarray) -> float:
        p = 1 / (1 + np.exp(-logit))
        losses = -(label * np.log(p) + (1 - label) * np.log(1 - p))
        return float((losses * weight).sum() / weight.sum())

    of_model = mean_loss(sum(logits.values()) / len(logits))
    of_networks = {name: mean_loss(logit) for name, logit in logits.items()}
    return {"loss": of_model} | {f"loss/{name}": one * max(0.0, one - of_model) for name, one in of_networks.items()}
