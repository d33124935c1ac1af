"""FOBOS with a group lasso, in the form that Monolith's GroupAdaGrad is written in, row by row."""

import numpy as np

State = dict[str, np.ndarray]


def fobos_group_lasso(
    weight: np.ndarray,
    state: State,
    rows: np.ndarray,
    gradients: np.ndarray,
    *,
    learning_rate: float,
    beta: float,
    initial_accumulator: float,
    l21: float,
    scale_sqrt_dim: bool,
    catch_up: bool,
    l2_gradient: float = 0.0,
    weight_decay: float = 0.0,
) -> tuple[np.ndarray, State]:
    """Return weight and state after one step on the rows of a batch.

        g   = the sum of a row's gradients + l2_gradient * w
        h   = h + max g^2
        eta = learning_rate / (beta + sqrt(h))
        u   = g - w / eta
        w   = 0                                    where ||u|| <= radius
              -eta (||u|| - radius) / ||u|| * u    elsewhere

    with the radius l21 sqrt(dim), or l21. `catch_up` first does this with g = 0, h unchanged, once for each step that
    passed the row by.

    Args:
        weight: [rows, dim], before the step.
        state: `h`, [rows], and `missed`, [rows], in steps; empty before the first step.
        rows: [n], with repetitions.
        gradients: [n, dim].
    """
    w = weight.astype(np.float64)
    radius = l21 * np.sqrt(w.shape[1]) if scale_sqrt_dim else l21
    h = state["h"].copy() if state else np.full(len(w), initial_accumulator)
    missed = state["missed"].copy() if state else np.zeros(len(w), int)

    def shrink_step(w: np.ndarray, g: np.ndarray, h: float) -> np.ndarray:
        eta = learning_rate / (beta + np.sqrt(h))
        u = g - w / eta
        length = np.sqrt((u**2).sum())
        return np.zeros_like(w) if length <= radius else -eta * (length - radius) / length * u

    for row in range(len(w)):
        here = rows == row
        if not here.any():
            missed[row] += 1
            continue
        for _ in range(missed[row] if catch_up else 0):
            w[row] = shrink_step(w[row], np.zeros_like(w[row]), h[row])
        missed[row] = 0
        g = gradients[here].astype(np.float64).sum(axis=0) + l2_gradient * w[row]
        w[row] *= 1 - learning_rate * weight_decay
        h[row] += max(abs(g)) ** 2
        w[row] = shrink_step(w[row], g, h[row])
    return w, {"h": h, "missed": missed}
