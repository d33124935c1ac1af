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
    epsilon_inside: bool = True,
    momentum: float = 0.0,
    decay: str = "touch",
) -> tuple[np.ndarray, State]:
    """Return weight and state after one step on the rows of a batch.

        g = the sum of a row's gradients + l2_gradient * w
        v = beta^k * v + g^2, k = 1, or with decay by time the steps since the row's last
        m = momentum * m + learning_rate * g / sqrt(v + epsilon), or over sqrt(v) + epsilon
        w = w - m

    Args:
        weight: [rows, dim], before the step.
        state: `accumulator` and `m`, [rows, dim], `age`, [rows], in steps; empty before the first step.
        rows: [n], with repetitions.
        gradients: [n, dim].
        learning_rate: learning rate.
        beta: factor by which v decays.
        epsilon: number added to v, or to its root.
        l2_gradient: coefficient of w in the gradient.
        epsilon_inside: True to add epsilon inside the root.
        momentum: factor by which m decays.
        decay: `touch` (k = 1) or `time`.
    """
    weight = weight.astype(np.float64)
    accumulator = state["accumulator"].copy() if state else np.zeros_like(weight)
    m = state["m"].copy() if state else np.zeros_like(weight)
    age = (state["age"] if state else np.zeros(len(weight), int)) + 1
    for row in set(rows.tolist()):
        g = gradients[rows == row].astype(np.float64).sum(axis=0) + l2_gradient * weight[row]
        for _ in range(age[row] if decay == "time" else 1):
            accumulator[row] *= beta
        accumulator[row] += g**2
        root = np.sqrt(accumulator[row] + epsilon) if epsilon_inside else np.sqrt(accumulator[row]) + epsilon
        m[row] = momentum * m[row] + learning_rate * g / root
        weight[row] -= m[row]
        age[row] = 0
    return weight, {"accumulator": accumulator, "m": m, "age": age}
