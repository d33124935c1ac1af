"""RMSPropV2, row by row."""

import numpy as np

State = dict[str, np.ndarray]


def rmsprop_v2(
    weight: np.ndarray,
    state: State,
    rows: np.ndarray,
    gradients: np.ndarray,
    *,
    learning_rate: float,
    beta: float,
    epsilon: float,
    l2_gradient: float,
) -> tuple[np.ndarray, State]:
    """One step on the rows of a batch.

        g = the sum of a row's gradients + l2_gradient * w
        v = beta * v + g^2
        w = w - learning_rate * g / sqrt(v + epsilon)

    Args:
        weight: [rows, dim], before the step.
        state: `accumulator`, [rows, dim]; empty before the first step.
        rows: [n], with repetitions.
        gradients: [n, dim].
        learning_rate: eta.
        beta: what is kept of v.
        epsilon: inside the root.
        l2_gradient: lambda.
    """
    weight = weight.astype(np.float64)
    accumulator = state["accumulator"].copy() if state else np.zeros_like(weight)
    for row in set(rows.tolist()):
        g = gradients[rows == row].astype(np.float64).sum(axis=0) + l2_gradient * weight[row]
        accumulator[row] = beta * accumulator[row] + g**2
        weight[row] -= learning_rate * g / np.sqrt(accumulator[row] + epsilon)
    return weight, {"accumulator": accumulator}
