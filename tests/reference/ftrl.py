"""FTRL-Proximal as printed in McMahan et al. (2013), coordinate by coordinate."""

import math

import numpy as np

State = dict[str, np.ndarray]


def ftrl(
    weight: np.ndarray,
    state: State,
    rows: np.ndarray,
    gradients: np.ndarray,
    *,
    learning_rate: float,
    beta: float,
    l1: float,
    l2: float,
    l2_gradient: float = 0.0,
    keep_initial_weights: bool,
    l2_shrinkage: float = 0.0,
    learning_rate_power: float = -0.5,
) -> tuple[np.ndarray, State]:
    """Return weight and state after one step on the rows of a batch.

        g     = the sum of a row's gradients + l2_gradient * w
        sigma = (sqrt(n + g^2) - sqrt(n)) / learning_rate
        z     = z + g - sigma * w
        n     = n + g^2
        w     = 0                                                            where |z| <= l1
                -(z - sign(z) l1) / ((beta + sqrt(n)) / learning_rate + l2)  elsewhere

    with n^-learning_rate_power for each sqrt(n), and l2_shrinkage * w added to z, as in TensorFlow's kernels.
    With `keep_initial_weights`, the initial z makes this w equal the initial weight.

    Args:
        weight: [rows, dim], before the step.
        state: `n` and `z`, [rows, dim]; empty before the first step.
        rows: [n], with repetitions.
        gradients: [n, dim].
    """
    w = weight.astype(np.float64)
    power = -learning_rate_power
    if state:
        n, z = state["n"].copy(), state["z"].copy()
    else:
        n, z = np.zeros_like(w), np.zeros_like(w)
        if keep_initial_weights:
            z = -(w * ((beta + 0.0**power) / learning_rate + l2) + np.sign(w) * l1)
    for row in set(rows.tolist()):
        for column in range(w.shape[1]):
            g = float(gradients[rows == row, column].astype(np.float64).sum()) + l2_gradient * w[row, column]
            sigma = (math.pow(n[row, column] + g * g, power) - math.pow(n[row, column], power)) / learning_rate
            z[row, column] += g + l2_shrinkage * w[row, column] - sigma * w[row, column]
            n[row, column] += g * g
            if abs(z[row, column]) <= l1:
                w[row, column] = 0.0
            else:
                signed = math.copysign(l1, z[row, column])
                curvature = (beta + math.pow(n[row, column], power)) / learning_rate + l2
                w[row, column] = -(z[row, column] - signed) / curvature
    return w, {"n": n, "z": z}
