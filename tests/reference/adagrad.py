"""Adagrad with a bound on its accumulator, row by row."""

import numpy as np

State = dict[str, np.ndarray]


def adagrad(
    weight: np.ndarray,
    state: State,
    rows: np.ndarray,
    gradients: np.ndarray,
    *,
    learning_rate: float,
    initial_accumulator: float,
    epsilon: float,
    max_accumulator: float | None,
    l2_gradient: float = 0.0,
) -> tuple[np.ndarray, State]:
    """Return weight and state after one step on the rows of a batch.

        g = the sum of a row's gradients + l2_gradient * w
        n = min(n + g^2, max_accumulator)
        w = w - learning_rate * g / sqrt(n + epsilon)

    Args:
        weight: [rows, dim], before the step.
        state: `n`, [rows, dim], initially `initial_accumulator`; empty before the first step.
        rows: [n], with repetitions.
        gradients: [n, dim].
    """
    weight = weight.astype(np.float64)
    n = state["n"].copy() if state else np.full_like(weight, initial_accumulator)
    for row in set(rows.tolist()):
        g = gradients[rows == row].astype(np.float64).sum(axis=0) + l2_gradient * weight[row]
        n[row] = n[row] + g**2
        if max_accumulator is not None:
            n[row] = np.minimum(n[row], max_accumulator)
        weight[row] -= learning_rate * g / np.sqrt(n[row] + epsilon)
    return weight, {"n": n}
