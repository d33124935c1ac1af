"""The toy tower with losses of its own, in float64 NumPy."""

import numpy as np


def terms(x0, kernel, bias, head, head_bias, label, coefficient):
    """Return the cross-entropy and the two losses of each example.

    Args:
        x0: [batch, width].
        kernel, bias: weights of the only hidden layer, [width, units] and [units].
        head, head_bias: weights of the logit, [units, 1] and [1].
        label: [batch].
        coefficient: factor of `loss/activity`.

    Returns:
        `loss`, `loss/activity` and `loss/logit`, [batch] each.
    """
    x0, kernel, bias, head, head_bias, label = (
        np.asarray(one, np.float64) for one in (x0, kernel, bias, head, head_bias, label)
    )
    hidden = np.maximum(x0 @ kernel + bias, 0)
    logit = hidden @ head[:, 0] + head_bias[0]
    return {
        "loss": label * np.logaddexp(0, -logit) + (1 - label) * np.logaddexp(0, logit),
        "loss/activity": coefficient * (hidden**2).mean(axis=1),
        "loss/logit": 0.05 * logit**2,
    }
