"""Paired differences of two models' metrics on the same rows, with CIs that use the correlation of their scores."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from ctr.metrics.calibration import INFINITE_LOSS, log_losses
from ctr.metrics.clusters import Clusters, variance_by_cluster
from ctr.metrics.counts import ScoreCounts, Undefined, refuse_nan, scaled
from ctr.metrics.ranking import ROUNDING, auc, placements, variance_of_mean


@dataclass(frozen=True)
class Difference:
    """A difference a - b with its 95% CI, and the two-sided p-value for a difference of 0.

    `reason` explains a value of None.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    reason: str | None = None

    @classmethod
    def of(cls, value: float, variance: float, freedom: float = math.inf) -> "Difference":
        """Return the CI from Student's distribution with `freedom` degrees of freedom; inf is the normal one."""
        if variance < ROUNDING:
            return cls(value, reason="the estimated variance is 0")
        error = math.sqrt(variance)
        margin = student(0.05, freedom) * error
        p_value = 2 * float(special.stdtr(freedom, -abs(value) / error))
        return cls(value, value - margin, value + margin, p_value)

    def within(self, bound: float) -> "Difference":
        """Return the difference with its CI clipped to -bound and bound, the limits of a true difference.

        Clipping changes neither the coverage of the CI nor whether it contains 0.

        >>> Difference(0.4, -0.2, 1.1).within(1.0)
        Difference(value=0.4, low=-0.2, high=1.0, p_value=None, reason=None)
        """
        if self.low is None or self.high is None:
            return self
        return replace(self, low=max(self.low, -bound), high=min(self.high, bound))


@dataclass(frozen=True)
class RowDifferences:
    """A difference a - b of a metric, with the contribution of each row, from which its variance is estimated.

    Attributes:
        value: the difference.
        deviation: deviation of the contribution of each row from the mean of its stratum, float64 [rows].
        weight: float64 [rows], up to a factor.
        strata: masks of the rows of each stratum, bool [rows] each.
        bound: largest possible difference; infinite for a metric without an upper bound.
        clusters: independent clusters of the rows, such as users; None if rows are independent.
    """

    value: float
    deviation: np.ndarray
    weight: np.ndarray
    strata: tuple[np.ndarray, ...]
    bound: float = math.inf
    clusters: Clusters | None = None

    @classmethod
    def mean(cls, pairs: Sequence["RowDifferences"]) -> "RowDifferences":
        """Return the mean of the differences of several pairs of models on the same rows.

        The contribution of a row is the mean of its contributions, so that the variance accounts for the correlation of
        the pairs.
        """
        value = sum(pair.value for pair in pairs) / len(pairs)
        deviation = np.mean([pair.deviation for pair in pairs], axis=0)
        return replace(pairs[0], value=value, deviation=deviation)

    def spread(self) -> tuple[float, float]:
        """Return the variance of the difference over samples of rows or clusters, and its degrees of freedom.

        For independent rows, which are many, the degrees of freedom are infinite. The deviations of a cluster are
        summed across strata.

        Raises:
            Undefined: a stratum has fewer than two rows or clusters.
        """
        if self.clusters is None:
            of_strata = [(self.deviation[rows], self.weight[rows]) for rows in self.strata]
            return sum(variance_of_mean(deviation, weight, weight**2)[0] for deviation, weight in of_strata), math.inf
        weighted = self.weight * self.deviation
        return variance_by_cluster(
            *(
                (self.clusters.sums(weighted[rows], rows), self.clusters.sums(self.weight[rows], rows))
                for rows in self.strata
            )
        )

    def difference(self) -> Difference:
        """Return the difference with its CI over samples of rows or clusters."""
        try:
            return Difference.of(self.value, *self.spread()).within(self.bound)
        except Undefined as reason:
            return Difference(self.value, reason=str(reason))


def auc_row_differences(
    logit_a: np.ndarray,
    logit_b: np.ndarray,
    label: np.ndarray,
    weight: np.ndarray | None = None,
    clusters: Clusters | None = None,
) -> RowDifferences:
    """Return the AUC of a minus the AUC of b on the same rows in the same order.

    The variance is from the paired test of DeLong, DeLong, Clarke-Pearson 1988, Comparing the Areas under Two or
    More Correlated Receiver Operating Characteristic Curves: S_aa + S_bb - 2 S_ab of the covariances of the structural
    components, which is the variance of each row's difference of them. O(rows log rows).

    Args:
        logit_a: float32 [rows], not NaN.
        logit_b: float32 [rows], not NaN.
        label: 0 or 1, [rows].
        weight: [rows], finite, not negative; None for 1.
        clusters: clusters of these rows, for the variance of `clusters.variance_by_cluster`; None if rows are
            independent.

    Raises:
        Undefined: a class is absent.
        ValueError: a logit is NaN.
    """
    auc_a, components_a = _components(logit_a, label, weight)
    auc_b, components_b = _components(logit_b, label, weight)
    value = auc_a - auc_b
    is_positive = label == 1
    deviation, strata = components_a - components_b - value, (is_positive, ~is_positive)
    return RowDifferences(value, deviation, _weights(label, weight), strata, bound=1.0, clusters=clusters)


def log_loss_row_differences(
    logit_a: np.ndarray,
    logit_b: np.ndarray,
    label: np.ndarray,
    weight: np.ndarray | None = None,
    clusters: Clusters | None = None,
) -> RowDifferences:
    """Return the log loss of a minus the log loss of b in nats on the same rows; below 0, a is better.

    The value is the mean of the differences of rows, with the variance of a mean of independent rows
    (`variance_of_mean`). The arguments are the same as for `auc_row_differences`.

    Raises:
        Undefined: no row has a weight above 0, or a row with a weight has an infinite loss.
        ValueError: a logit is NaN.
    """
    for logit in (logit_a, logit_b):
        refuse_nan(logit)
    weights = _weights(label, weight)
    if weights.sum() == 0:
        raise Undefined("no examples with a weight above 0")
    loss_a, loss_b = (log_losses(logit, label, 1 - label) for logit in (logit_a, logit_b))
    is_infinite = np.isinf(loss_a) | np.isinf(loss_b)
    if (is_infinite & (weights > 0)).any():
        raise Undefined(INFINITE_LOSS)
    difference = np.where(is_infinite, 0, loss_a) - np.where(is_infinite, 0, loss_b)
    value = float(np.average(difference, weights=weights))
    return RowDifferences(value, difference - value, weights, (np.ones(len(label), bool),), clusters=clusters)


def paired_difference(row_differences: Callable[..., RowDifferences], *arguments: Any) -> Difference:
    """Return the difference with its CI, or without a value and with the reason if it is undefined.

    Args:
        row_differences: function such as `auc_row_differences`.
        *arguments: arguments of the function.
    """
    try:
        return row_differences(*arguments).difference()
    except Undefined as reason:
        return Difference(None, reason=str(reason))


def auc_difference(
    logit_a: np.ndarray,
    logit_b: np.ndarray,
    label: np.ndarray,
    weight: np.ndarray | None = None,
    clusters: Clusters | None = None,
) -> Difference:
    """Return the AUC of a minus the AUC of b with its CI, see `auc_row_differences`."""
    return paired_difference(auc_row_differences, logit_a, logit_b, label, weight, clusters)


def log_loss_difference(
    logit_a: np.ndarray,
    logit_b: np.ndarray,
    label: np.ndarray,
    weight: np.ndarray | None = None,
    clusters: Clusters | None = None,
) -> Difference:
    """Return the log loss of a minus the log loss of b with its CI, see `log_loss_row_differences`.

    >>> log_loss_difference(np.array([1, 1, -1]), np.array([0, 0, 0]), np.array([1, 1, 0])).value
    -0.3798854930417224
    """
    return paired_difference(log_loss_row_differences, logit_a, logit_b, label, weight, clusters)


def student(level: float, freedom: float) -> float:
    """Return the two-sided quantile of Student's t: |t| exceeds it with probability `level`.

    >>> round(student(0.05, 2), 3), round(student(0.05, math.inf), 3)
    (4.303, 1.96)
    """
    return -float(special.stdtrit(freedom, level / 2))


def _weights(label: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    return np.ones(len(label)) if weight is None else scaled(weight)[0]


def _components(logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None) -> tuple[float, np.ndarray]:
    """Return the AUC, and the structural component of each row: V10 for a positive, V01 for a negative."""
    counts = ScoreCounts.of(logit, label, weight)
    beaten, lost = placements(counts)
    index = np.searchsorted(counts.score, logit)
    return auc(counts), np.where(label == 1, beaten[index], lost[index])
