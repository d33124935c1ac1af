"""RMSProp, row by row."""

import numpy as np

State = dict[str, np.ndarray]


def rmsprop(
    weight: np.ndarray,
    state: State,
    rows: np.ndarray,
    gradients: np.ndarray,
    *,
    learning_rate: float,
    rho: float,
    epsilon: float,
    l2_gradient: float = 0.0,
) -> tuple[np.ndarray, State]:
    """Return weight and state after one step on the rows of a batch.

        g = the sum of a row's gradients + l2_gradient * w
        v = rho * v + (1 - rho) * g^2
        w = w - learning_rate * g / sqrt(v + epsilon)

    Args:
        weight: [rows, dim], before the step.
        state: `v`, [rows, dim]; empty before the first step.
        rows: [n], with repetitions.
        gradients: [n, dim].
    """
    weight = weight.astype(np.float64)
    v = state["v"].copy() if state else np.zeros_like(weight)
    for row in set(rows.tolist()):
        g = gradients[rows == row].astype(np.float64).sum(axis=0) + l2_gradient * weight[row]
        v[row] = rho * v[row] + (1 - rho) * g**2
        weight[row] -= learning_rate * g / np.sqrt(v[row] + epsilon)
    return weight, {"v": v}
