"""SGD and SGD with momentum, row by row."""

import numpy as np

State = dict[str, np.ndarray]


def sgd(
    weight: np.ndarray,
    state: State,
    rows: np.ndarray,
    gradients: np.ndarray,
    *,
    learning_rate: float,
    l2_gradient: float = 0.0,
) -> tuple[np.ndarray, State]:
    """Return weight and state after one step on the rows of a batch: w = w - learning_rate * g, g as in `momentum`.

    Args:
        weight: [rows, dim], before the step.
        state: always empty.
        rows: [n], with repetitions.
        gradients: [n, dim].
    """
    weight = weight.astype(np.float64)
    for row in set(rows.tolist()):
        g = gradients[rows == row].astype(np.float64).sum(axis=0) + l2_gradient * weight[row]
        weight[row] -= learning_rate * g
    return weight, {}


def momentum(
    weight: np.ndarray,
    state: State,
    rows: np.ndarray,
    gradients: np.ndarray,
    *,
    learning_rate: float,
    momentum: float,
    nesterov: bool,
    l2_gradient: float = 0.0,
) -> tuple[np.ndarray, State]:
    """Return weight and state after one step on the rows of a batch.

        g = the sum of a row's gradients + l2_gradient * w
        m = momentum * m - learning_rate * g
        w = w + m, or with `nesterov` w + momentum * m - learning_rate * g

    Args:
        weight: [rows, dim], before the step.
        state: `m`, [rows, dim]; empty before the first step.
        rows: [n], with repetitions.
        gradients: [n, dim].
    """
    weight = weight.astype(np.float64)
    m = state["m"].copy() if state else np.zeros_like(weight)
    for row in set(rows.tolist()):
        g = gradients[rows == row].astype(np.float64).sum(axis=0) + l2_gradient * weight[row]
        m[row] = momentum * m[row] - learning_rate * g
        if nesterov:
            weight[row] += momentum * m[row] - learning_rate * g
        else:
            weight[row] += m[row]
    return weight, {"m": m}
