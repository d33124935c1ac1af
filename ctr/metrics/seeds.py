"""Statistics over runs with different seeds: means, paired differences, multiple comparisons."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy import special
from scipy.optimize import brentq

from ctr.metrics.counts import Undefined
from ctr.metrics.paired import Difference, RowDifferences, student
from ctr.metrics.ranking import ROUNDING

TOO_FEW = "the variation over seeds cannot be estimated from one seed"


def mean_over_seeds(values: Sequence[float]) -> Difference:
    """Return the mean of one number per seed, with Student's 95% CI and the p-value for a mean of 0.

    For paired differences of two optimizers, the CI covers variation over training seeds.

    >>> mean = mean_over_seeds([0.1, 0.2, 0.3])
    >>> round(mean.value, 3), round(mean.low, 3), round(mean.high, 3)
    (0.2, -0.048, 0.448)
    """
    value = math.fsum(values) / len(values)
    if len(values) < 2:
        return Difference(value, reason=TOO_FEW)
    variance = _variance_of_mean(values)
    if variance < ROUNDING:
        return Difference(value, reason="all seeds give the same value")
    error, freedom = math.sqrt(variance), len(values) - 1
    margin = student(0.05, freedom) * error
    p_value = 2 * float(special.stdtr(freedom, -abs(value) / error))
    return Difference(value, value - margin, value + margin, p_value)


def metric_over_seeds(values: Sequence[float], interval: Callable[[float, float], tuple[float, float]]) -> Difference:
    """Return the mean of a metric over seeds, with Student's 95% CI on a scale that keeps it in the metric's range.

    Without the scale, the CI of two seeds is 12.7 standard errors to either side, so for an AUC it can exceed 1 and for
    a log loss it can be negative. The p-value is from `mean_over_seeds`.

    Args:
        values: value of the metric for each seed.
        interval: `scales.log_odds_interval` or `scales.log_interval`, called with the mean and the half-width.

    >>> from ctr.metrics.scales import log_odds_interval
    >>> mean = metric_over_seeds([0.90, 0.98], log_odds_interval)
    >>> round(mean.value, 3), round(mean.low, 3), round(mean.high, 3)
    (0.94, 0.002, 1.0)
    """
    mean = mean_over_seeds(values)
    if mean.value is None or mean.high is None:
        return mean
    low, high = interval(mean.value, mean.high - mean.value)
    return replace(mean, low=low, high=high)


def difference_over_both(by_seed: Sequence[RowDifferences]) -> Difference:
    """Return the mean of paired differences, with a 95% CI for variation over seeds and examples together.

    The variance of the mean over seeds is S^2 / k, from the differences of k seeds. Its variance over examples is V,
    from `RowDifferences` of the mean. With Student's t of k - 1 degrees of freedom for the first and z for the second,
    the normal quantile or, for clustered examples, Student's of `variance_by_cluster`, the margin is

        margin = sqrt(t^2 S^2 / k + z^2 V)

    which combines the margins of two independent errors, not their variances (Zou, Donner 2008, Construction of
    Confidence Limits about Effect Measures: a General Approach), because two or three seeds estimate their variance
    poorly. In simulations (tests/ctr/metrics/test_over_seeds.py) its coverage is not significantly below 95%.
    The p-value is the level at which the margin equals the mean.

    With one seed, the CI covers variation over examples only.
    """
    mean = RowDifferences.mean(by_seed)
    try:
        of_rows, freedom_of_rows = mean.spread()
    except Undefined as reason:
        return Difference(mean.value, reason=str(reason))
    if len(by_seed) == 1:
        return Difference.of(mean.value, of_rows, freedom_of_rows).within(mean.bound)
    of_seeds, freedom = _variance_of_mean([difference.value for difference in by_seed]), len(by_seed) - 1
    if of_rows + of_seeds < ROUNDING:
        return Difference(mean.value, reason="the estimated variance is 0")

    def margin(level: float) -> float:
        return math.sqrt(student(level, freedom) ** 2 * of_seeds + student(level, freedom_of_rows) ** 2 * of_rows)

    half, distance = margin(0.05), abs(mean.value)
    minimum = 1e-12
    p_value = minimum if margin(minimum) <= distance else brentq(lambda level: margin(level) - distance, minimum, 1.0)
    return Difference(mean.value, mean.value - half, mean.value + half, float(p_value)).within(mean.bound)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values adjusted for multiple comparisons by Holm's step-down rule; None stays and does not count.

    If all adjusted p below 0.05 count as significant, the probability of any false finding is at most 5%. Source:
    Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure.

    >>> [p and round(p, 3) for p in holm([0.01, 0.04, None, 0.03])]
    [0.03, 0.06, None, 0.06]
    """
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[index] = highest
    return adjusted


def _variance_of_mean(values: Sequence[float]) -> float:
    return float(np.var(values, ddof=1)) / len(values)
