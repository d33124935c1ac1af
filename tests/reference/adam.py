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
    amsgrad: bool = False,
    bias_correction: bool = True,
) -> np.ndarray:
    """Return the weight after one step for each gradient.

    m = beta_1 m + (1 - beta_1) g
    v = beta_2 v + (1 - beta_2) g^2
    w = w - learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon),   t = 1, 2, ...

    With amsgrad, the largest v so far replaces v in the root. Without bias correction, w changes by learning_rate times
    the quotient.
    """
    weight = weight.astype(np.float64)
    m, v, largest = np.zeros_like(weight), np.zeros_like(weight), np.zeros_like(weight)
    for t, gradient in enumerate(gradients, start=1):
        g = gradient.astype(np.float64)
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        largest = np.maximum(largest, v) if amsgrad else v
        correction = np.sqrt(1 - beta_2**t) / (1 - beta_1**t) if bias_correction else 1
        weight = weight - learning_rate * correction * m / (np.sqrt(largest) + epsilon)
    return weight
