"""Differences of two models' metrics on the same rows, with intervals that use how alike their scores are."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ctr.metrics.calibration import log_losses
from ctr.metrics.counts import ScoreCounts, Undefined
from ctr.metrics.ranking import ROUNDING, auc, placements, variance_of_mean


@dataclass(frozen=True)
class Difference:
    """A difference a - b with its 95 % interval, and the two-sided p-value of there being none.

    What the rows do not define is None, and `reason` says why.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    reason: str | None = None

    @classmethod
    def of(cls, value: float, variance: float) -> "Difference":
        """By the normal distribution."""
        if variance < ROUNDING:
            return cls(value, reason="the estimated variance is 0")
        error = math.sqrt(variance)
        margin = NormalDist().inv_cdf(0.975) * error
        return cls(value, value - margin, value + margin, math.erfc(abs(value) / error / math.sqrt(2)))


def auc_difference(
    logit_a: np.ndarray, logit_b: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None
) -> Difference:
    """AUC of a minus AUC of b on the same rows in the same order.

    The variance is that of the paired test of DeLong, DeLong, Clarke-Pearson 1988, Comparing the Areas under Two or
    More Correlated Receiver Operating Characteristic Curves: S_aa + S_bb - 2 S_ab of the covariances of the structural
    components, which is the variance of each row's difference of them. O(rows log rows).

    Args:
        logit_a: float32 [rows].
        logit_b: float32 [rows].
        label: 0 or 1, [rows].
        weight: [rows], None for 1.
    """
    is_positive = label == 1
    weights = np.ones(len(label)) if weight is None else weight.astype(np.float64)
    value = None
    try:
        auc_a, components_a = _components(logit_a, label, weight)
        auc_b, components_b = _components(logit_b, label, weight)
        value = auc_a - auc_b
        deviation = components_a - components_b - value
        above, below = (
            variance_of_mean(deviation[rows], weights[rows], weights[rows] ** 2)[0]
            for rows in (is_positive, ~is_positive)
        )
    except Undefined as reason:
        return Difference(value, reason=str(reason))
    return Difference.of(value, above + below)


def log_loss_difference(
    logit_a: np.ndarray, logit_b: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None
) -> Difference:
    """Log loss of a minus log loss of b in nats on the same rows in the same order: below 0, a is better.

    The mean of the differences of each row, with the variance of a mean of independent rows (`variance_of_mean`).
    Arguments as of `auc_difference`.

    >>> log_loss_difference(np.array([1, 1, -1]), np.array([0, 0, 0]), np.array([1, 1, 0])).value
    -0.3798854930417224
    """
    weights = np.ones(len(label)) if weight is None else weight.astype(np.float64)
    if weights.sum() == 0:
        return Difference(None, reason="no rows with a weight above 0")
    loss_a, loss_b = (log_losses(logit, label, 1 - label) for logit in (logit_a, logit_b))
    value = float(np.average(loss_a - loss_b, weights=weights))
    try:
        variance, _ = variance_of_mean(loss_a - loss_b - value, weights, weights**2)
    except Undefined as reason:
        return Difference(value, reason=str(reason))
    return Difference.of(value, variance)


def _components(logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None) -> tuple[float, np.ndarray]:
    """The AUC, and the structural component of each row: of V10 for a positive, of V01 for a negative."""
    counts = ScoreCounts.of(logit, label, weight)
    beaten, lost = placements(counts)
    at = np.searchsorted(counts.score, logit)
    return auc(counts), np.where(label == 1, beaten[at], lost[at])
