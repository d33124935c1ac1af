"""Differences of two models' metrics on the same rows, with intervals that use how alike their scores are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class RowDifferences:
    """A difference a - b of a metric, and each row's part in it, which its variance is estimated from.

    Attributes:
        value: the difference.
        deviation: of each row's part from the mean of its stratum, float64 [rows].
        weight: float64 [rows].
        strata: rows that are one sample, bool [rows] each.
    """

    value: float
    deviation: np.ndarray
    weight: np.ndarray
    strata: tuple[np.ndarray, ...]

    @classmethod
    def mean(cls, several: Sequence["RowDifferences"]) -> "RowDifferences":
        """The mean of the differences of several pairs of models on the same rows.

        A row's part in it is the mean of its parts, so that its variance knows how alike the pairs are.
        """
        value = sum(one.value for one in several) / len(several)
        deviation = np.mean([one.deviation for one in several], axis=0)
        return replace(several[0], value=value, deviation=deviation)

    def variance(self) -> float:
        """Of the difference, were other rows drawn.

        Raises:
            Undefined: a stratum has fewer than two rows.
        """
        return sum(
            variance_of_mean(self.deviation[rows], self.weight[rows], self.weight[rows] ** 2)[0] for rows in self.strata
        )

    def difference(self) -> Difference:
        """With the interval of other rows."""
        try:
            return Difference.of(self.value, self.variance())
        except Undefined as reason:
            return Difference(self.value, reason=str(reason))


def auc_row_differences(
    logit_a: np.ndarray, logit_b: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None
) -> RowDifferences:
    """AUC of a minus AUC of b on the same rows in the same order.

    The variance is that of the paired test of DeLong, DeLong, Clarke-Pearson 1988, Comparing the Areas under Two or
    More Correlated Receiver Operating Characteristic Curves: S_aa + S_bb - 2 S_ab of the covariances of the structural
    components, which is the variance of each row's difference of them. O(rows log rows).

    Args:
        logit_a: float32 [rows].
        logit_b: float32 [rows].
        label: 0 or 1, [rows].
        weight: [rows], None for 1.

    Raises:
        Undefined: a class is absent.
    """
    auc_a, components_a = _components(logit_a, label, weight)
    auc_b, components_b = _components(logit_b, label, weight)
    value = auc_a - auc_b
    is_positive = label == 1
    return RowDifferences(
        value, components_a - components_b - value, _weights(label, weight), (is_positive, ~is_positive)
    )


def log_loss_row_differences(
    logit_a: np.ndarray, logit_b: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None
) -> RowDifferences:
    """Log loss of a minus log loss of b in nats on the same rows in the same order: below 0, a is better.

    The mean of the differences of each row, with the variance of a mean of independent rows (`variance_of_mean`).
    Arguments as of `auc_row_differences`.

    Raises:
        Undefined: no row has a weight above 0.
    """
    weights = _weights(label, weight)
    if weights.sum() == 0:
        raise Undefined("no rows with a weight above 0")
    loss_a, loss_b = (log_losses(logit, label, 1 - label) for logit in (logit_a, logit_b))
    value = float(np.average(loss_a - loss_b, weights=weights))
    return RowDifferences(value, loss_a - loss_b - value, weights, (np.ones(len(label), bool),))


def auc_difference(
    logit_a: np.ndarray, logit_b: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None
) -> Difference:
    """AUC of a minus AUC of b with its interval, see `auc_row_differences`."""
    try:
        return auc_row_differences(logit_a, logit_b, label, weight).difference()
    except Undefined as reason:
        return Difference(None, reason=str(reason))


def log_loss_difference(
    logit_a: np.ndarray, logit_b: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None
) -> Difference:
    """Log loss of a minus log loss of b with its interval, see `log_loss_row_differences`.

    >>> log_loss_difference(np.array([1, 1, -1]), np.array([0, 0, 0]), np.array([1, 1, 0])).value
    -0.3798854930417224
    """
    try:
        return log_loss_row_differences(logit_a, logit_b, label, weight).difference()
    except Undefined as reason:
        return Difference(None, reason=str(reason))


def _weights(label: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    return np.ones(len(label)) if weight is None else weight.astype(np.float64)


def _components(logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None) -> tuple[float, np.ndarray]:
    """The AUC, and the structural component of each row: of V10 for a positive, of V01 for a negative."""
    counts = ScoreCounts.of(logit, label, weight)
    beaten, lost = placements(counts)
    at = np.searchsorted(counts.score, logit)
    return auc(counts), np.where(label == 1, beaten[at], lost[at])
