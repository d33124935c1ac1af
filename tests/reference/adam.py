"""Adam with bias correction, epsilon outside the root (Kingma and Ba 2015, the efficient form of section 2)."""

from collections.abc import Iterable

import numpy as np


def adam(
    weight: np.ndarray,
    gradients: Iterable[np.ndarray],
    *,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> np.ndarray:
    """The weight after a step for each gradient.

    m = beta_1 m + (1 - beta_1) g
    v = beta_2 v + (1 - beta_2) g^2
    w = w - learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon),   t = 1, 2, ...
    """
    weight = weight.astype(np.float64)
    m, v = np.zeros_like(weight), np.zeros_like(weight)
    for t, gradient in enumerate(gradients, start=1):
        g = gradient.astype(np.float64)
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        rate = learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        weight = weight - rate * m / (np.sqrt(v) + epsilon)
    return weight
