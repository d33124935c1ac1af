"""Lazy Adam with each of its bias corrections, row by row."""

import numpy as np

State = dict[str, np.ndarray]


def lazy_adam(
    weight: np.ndarray,
    state: State,
    rows: np.ndarray,
    gradients: np.ndarray,
    *,
    learning_rate: float,
    beta_1: float,
    beta_2: float | str,
    epsilon: float,
    bias_correction: str | None,
    l2_gradient: float = 0.0,
) -> tuple[np.ndarray, State]:
    """Return weight and state after one step on the rows of a batch.

        g = the sum of a row's gradients + l2_gradient * w
        m = beta_1 m + (1 - beta_1) g
        v = beta_2 v + (1 - beta_2) g^2
        a = learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t), or learning_rate without correction
        w = w - a * m / (sqrt(v) + epsilon)

    With beta_2 = "1 - 1/t": v = ((t - 1) v + g^2) / t, and a = learning_rate / (1 - beta_1^t).

    Args:
        weight: [rows, dim], before the step.
        state: `m` and `v`, [rows, dim]; `steps`, the number of steps; `touches`, [rows]; empty before the first step.
        rows: [n], with repetitions.
        gradients: [n, dim].
        bias_correction: `row`: t counts the steps that touched the row; `table`: t counts all steps; None: t counts all
            steps, and there is no correction.
    """
    weight = weight.astype(np.float64)
    if state:
        m, v, touches = state["m"].copy(), state["v"].copy(), state["touches"].copy()
        steps = state["steps"] + 1
    else:
        m, v, touches = np.zeros_like(weight), np.zeros_like(weight), np.zeros(len(weight))
        steps = np.array(1)
    for row in set(rows.tolist()):
        g = gradients[rows == row].astype(np.float64).sum(axis=0) + l2_gradient * weight[row]
        touches[row] += 1
        t = float(touches[row] if bias_correction == "row" else steps)
        m[row] = beta_1 * m[row] + (1 - beta_1) * g
        rate = learning_rate
        if bias_correction is not None:
            rate /= 1 - beta_1**t
        if isinstance(beta_2, str):
            v[row] = ((t - 1) * v[row] + g**2) / t
        else:
            v[row] = beta_2 * v[row] + (1 - beta_2) * g**2
            if bias_correction is not None:
                rate *= np.sqrt(1 - beta_2**t)
        weight[row] -= rate * m[row] / (np.sqrt(v[row]) + epsilon)
    return weight, {"m": m, "v": v, "steps": steps, "touches": touches}
