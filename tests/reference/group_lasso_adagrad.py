"""Group-lasso Adagrad (Facebook's GFtrl with the l1 term of arXiv 2107.14432), row by row."""

import numpy as np

State = dict[str, np.ndarray]


def group_lasso_adagrad(
    weight: np.ndarray,
    state: State,
    rows: np.ndarray,
    gradients: np.ndarray,
    *,
    learning_rate: float,
    beta: float,
    l1: float,
    l21: float,
    l2: float,
    l2_gradient: float = 0.0,
    keep_initial_weights: bool,
    scale_sqrt_dim: bool = True,
) -> tuple[np.ndarray, State]:
    """Return weight and state after one step on the rows of a batch.

        g  = the sum of a row's gradients + l2_gradient * w
        z += g - (sqrt(n + g^2) - sqrt(n)) / learning_rate * w
        n += g^2
        s  = -z moved towards zero by l1, in each coordinate
        w  = 0                                                        where ||s|| <= l21 sqrt(dim)
             (1 - l21 sqrt(dim) / ||s||) s / ((beta + sqrt(n)) / learning_rate + l2)   elsewhere

    With `keep_initial_weights`, the initial z makes this w equal the initial weight. Without `scale_sqrt_dim`, the
    factor sqrt(dim) is absent.

    Args:
        weight: [rows, dim], before the step.
        state: `n` and `z`, [rows, dim]; empty before the first step.
        rows: [n], with repetitions.
        gradients: [n, dim].
    """
    w = weight.astype(np.float64)
    radius = l21 * np.sqrt(w.shape[1]) if scale_sqrt_dim else l21
    if state:
        n, z = state["n"].copy(), state["z"].copy()
    else:
        n, z = np.zeros_like(w), np.zeros_like(w)
        for row in range(len(w) if keep_initial_weights else 0):
            s = w[row] * (beta / learning_rate + l2)
            length = np.linalg.norm(s)
            s = s * (length + radius) / length if length else s
            z[row] = -s - l1 * np.sign(s)
    for row in set(rows.tolist()):
        g = gradients[rows == row].astype(np.float64).sum(axis=0) + l2_gradient * w[row]
        z[row] += g - (np.sqrt(n[row] + g**2) - np.sqrt(n[row])) / learning_rate * w[row]
        n[row] += g**2
        s = np.array([0.0 if abs(one) <= l1 else -one + np.copysign(l1, one) for one in z[row]])
        length = np.linalg.norm(s)
        w[row] = 0.0
        if length > radius:
            w[row] = (1 - radius / length) * s / ((beta + np.sqrt(n[row])) / learning_rate + l2)
    return w, {"n": n, "z": z}
