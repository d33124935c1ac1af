"""The self-ensemble loss of QNN (arXiv 2505.17999) in float64, as formulas of probabilities."""

from collections.abc import Sequence

import numpy as np


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-logit))."""
    return 1 / (1 + np.exp(-logit))


def cross_entropy(p: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of probabilities p and targets from 0 to 1, in nats."""
    return -target * np.log(p) - (1 - target) * np.log1p(-p)


def terms(
    logits: Sequence[np.ndarray], label: np.ndarray, target: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the cross-entropy of the mean probability, and the sum of those of each pass and that mean, [batch].

    Args:
        logits: logits of each pass, [batch].
        label: labels, 0 or 1, [batch].
        target: mean probability that the passes learn from, as a constant; None: that of `logits`.
    """
    probabilities = [sigmoid(logit) for logit in logits]
    mean = sum(probabilities) / len(probabilities)
    target = mean if target is None else target
    return cross_entropy(mean, label), sum(cross_entropy(p, target) for p in probabilities)
