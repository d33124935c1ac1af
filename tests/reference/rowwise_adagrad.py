"""Row-wise Adagrad as FBGEMM computes it, row by row."""

import numpy as np

State = dict[str, np.ndarray]


def rowwise_adagrad(
    weight: np.ndarray,
    state: State,
    rows: np.ndarray,
    gradients: np.ndarray,
    *,
    learning_rate: float,
    epsilon: float,
    l2_gradient: float = 0.0,
) -> tuple[np.ndarray, State]:
    """Return weight and state after one step on the rows of a batch.

        g = the sum of a row's gradients + l2_gradient * w
        n = n + sum_i(g_i^2) / dim
        w = w - learning_rate / (sqrt(n) + epsilon) * g

    Args:
        weight: [rows, dim], before the step.
        state: `n`, [rows]; empty before the first step.
        rows: [n], with repetitions.
        gradients: [n, dim].
    """
    weight = weight.astype(np.float64)
    n = state["n"].copy() if state else np.zeros(len(weight))
    for row in set(rows.tolist()):
        g = gradients[rows == row].astype(np.float64).sum(axis=0) + l2_gradient * weight[row]
        n[row] += np.dot(g, g) / len(g)
        weight[row] -= learning_rate / (np.sqrt(n[row]) + epsilon) * g
    return weight, {"n": n}
