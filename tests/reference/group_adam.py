"""Group Adam as printed in algorithm 1 of arXiv 2107.14432, on the rows of a batch only, coordinate by coordinate."""

import math

import numpy as np

State = dict[str, np.ndarray]


def group_adam(
    weight: np.ndarray,
    state: State,
    rows: np.ndarray,
    gradients: np.ndarray,
    *,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    l1: float,
    l21: float,
    l2: float,
    scale_sqrt_dim: bool = True,
    l2_gradient: float = 0.0,
) -> tuple[np.ndarray, State]:
    """Return weight and state after one step on the rows of a batch; t counts the steps of the table.

        g = the sum of a row's gradients + l2_gradient * w
        m = beta_1 m + (1 - beta_1) g;    v = beta_2 v + (1 - beta_2) g^2
        c' = (sqrt(v / (1 - beta_2^t)) + epsilon) / learning_rate
        z = z + m / (1 - beta_1^t) - (c' - c) w
        s = 0 where |z| <= l1, sign(z) l1 - z elsewhere
        w = max(1 - l21 sqrt(dim) / ||s||, 0) s / (c' + l2)

    Args:
        weight: [rows, dim], before the step.
        state: `m`, `v`, `z` and `c`, [rows, dim], and `t`, []; empty before the first step.
        rows: [n], with repetitions.
        gradients: [n, dim].
    """
    w = weight.astype(np.float64)
    m, v, z, c = (state[key].copy() if state else np.zeros_like(w) for key in "mvzc")
    t = int(state["t"]) + 1 if state else 1
    radius = l21 * math.sqrt(w.shape[1]) if scale_sqrt_dim else l21
    for row in set(rows.tolist()):
        s = np.zeros(w.shape[1])
        for i in range(w.shape[1]):
            at = row, i
            g = float(gradients[rows == row, i].astype(np.float64).sum()) + l2_gradient * w[at]
            m[at] = beta_1 * m[at] + (1 - beta_1) * g
            v[at] = beta_2 * v[at] + (1 - beta_2) * g * g
            before, c[at] = c[at], (math.sqrt(v[at] / (1 - beta_2**t)) + epsilon) / learning_rate
            z[at] += m[at] / (1 - beta_1**t) - (c[at] - before) * w[at]
            s[i] = 0.0 if abs(z[at]) <= l1 else math.copysign(l1, z[at]) - z[at]
        length = math.sqrt(sum(s**2))
        w[row] = max(1 - radius / length, 0) * s / (c[row] + l2) if length else 0.0
    return w, {"m": m, "v": v, "z": z, "c": c, "t": np.array(t)}
