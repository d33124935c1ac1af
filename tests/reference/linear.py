"""Logistic regression on one weight per value (McMahan et al. 2013): loops over examples and values, in float64."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def first_order(features: Sequence[Mapping[str, Any]], numbers: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return the sum of the first-order terms, [batch].

    Args:
        features: `table` [rows, 1] with a weight per id, `ids` as one list per example, `pooling` (`sum` or `mean`) of
            the weights of a list, and `factors` [batch] or None, for each feature.
        numbers: plain numbers, [batch, n].
        kernel: weights of the numbers, [n, 1].
    """
    logits = np.zeros(len(numbers))
    for example, values in enumerate(numbers):
        for value, weight in zip(values, kernel[:, 0], strict=True):
            logits[example] += float(value) * float(weight)
        for feature in features:
            ids = feature["ids"][example]
            total = sum(float(feature["table"][id_, 0]) for id_ in ids)
            if feature["pooling"] == "mean" and len(ids):
                total /= len(ids)
            factor = 1.0 if feature["factors"] is None else float(feature["factors"][example])
            logits[example] += factor * total
    return logits


def linear(features: Sequence[Mapping[str, Any]], numbers: np.ndarray, weights: Mapping[str, Any]) -> np.ndarray:
    """Return logits [batch]; `weights`: `kernel` and `bias` [1]."""
    return first_order(features, numbers, weights["kernel"]) + float(weights["bias"][0])
