"""What several trainings with different seeds say together: means, paired differences, many comparisons."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy import special
from scipy.optimize import brentq

from ctr.metrics.counts import Undefined
from ctr.metrics.paired import Difference, RowDifferences, student
from ctr.metrics.ranking import ROUNDING

TOO_FEW = "one seed tells nothing of others"


def mean_over_seeds(values: Sequence[float]) -> Difference:
    """The mean of one number per seed, with Student's 95 % interval and p of the mean being 0.

    Paired differences of two optimizers go in as they are: then the interval is that of training both again.

    >>> found = mean_over_seeds([0.1, 0.2, 0.3])
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.2, -0.048, 0.448)
    """
    value = math.fsum(values) / len(values)
    if len(values) < 2:
        return Difference(value, reason=TOO_FEW)
    variance = _variance_of_mean(values)
    if variance < ROUNDING:
        return Difference(value, reason="all seeds give the same")
    error, freedom = math.sqrt(variance), len(values) - 1
    margin = student(0.05, freedom) * error
    p_value = 2 * float(special.stdtr(freedom, -abs(value) / error))
    return Difference(value, value - margin, value + margin, p_value)


def metric_over_seeds(values: Sequence[float], interval: Callable[[float, float], tuple[float, float]]) -> Difference:
    """Return the mean of a metric over seeds, with Student's 95% interval on a scale that keeps it where it can be.

    Student's own interval of two seeds is 12.7 standard errors to either side, so of AUCs it can reach above 1 and of
    log losses below 0. p is that of `mean_over_seeds`.

    Args:
        values: one for each seed.
        interval: `scales.log_odds_interval` or `scales.log_interval`, of the mean and half the width of Student's.

    >>> from ctr.metrics.scales import log_odds_interval
    >>> found = metric_over_seeds([0.90, 0.98], log_odds_interval)
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.94, 0.002, 1.0)
    """
    found = mean_over_seeds(values)
    if found.value is None or found.high is None:
        return found
    low, high = interval(found.value, found.high - found.value)
    return replace(found, low=low, high=high)


def difference_over_both(by_seed: Sequence[RowDifferences]) -> Difference:
    """The mean of paired differences, with the 95 % interval of training again and of other rows at once.

    Training again moves the mean as the differences of the seeds vary, S^2 / k; other rows move it as `RowDifferences`
    of the mean say, V. With Student's t of k - 1 degrees of freedom for the first and z for the second, the normal
    quantile or, where rows come in clusters, Student's of `variance_by_cluster`

        margin = sqrt(t^2 S^2 / k + z^2 V)

    which joins the margins of two independent errors, not their variances (Zou, Donner 2008, Construction of
    Confidence Limits about Effect Measures: a General Approach), because two or three seeds say little of their own
    variance. In simulations (tests/ctr/metrics/test_over_seeds.py) it covers the truth at least as often as it says. p
    is the level at which the margin reaches the mean.

    With one seed it is the interval of other rows alone.
    """
    mean = RowDifferences.mean(by_seed)
    try:
        of_rows, freedom_of_rows = mean.spread()
    except Undefined as reason:
        return Difference(mean.value, reason=str(reason))
    if len(by_seed) == 1:
        return Difference.of(mean.value, of_rows, freedom_of_rows).within(mean.bound)
    of_seeds, freedom = _variance_of_mean([one.value for one in by_seed]), len(by_seed) - 1
    if of_rows + of_seeds < ROUNDING:
        return Difference(mean.value, reason="the estimated variance is 0")

    def margin(level: float) -> float:
        return math.sqrt(student(level, freedom) ** 2 * of_seeds + student(level, freedom_of_rows) ** 2 * of_rows)

    half, distance = margin(0.05), abs(mean.value)
    least = 1e-12
    p_value = least if margin(least) <= distance else brentq(lambda level: margin(level) - distance, least, 1.0)
    return Difference(mean.value, mean.value - half, mean.value + half, float(p_value)).within(mean.bound)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values adjusted for there being several, by Holm's step-down rule; None stays and does not count.

    Below 0.05 of an adjusted p, the chance that even one of the differences so found is none is at most 5 %. Source:
    Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure.

    >>> [p and round(p, 3) for p in holm([0.01, 0.04, None, 0.03])]
    [0.03, 0.06, None, 0.06]
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[place] = highest
    return adjusted


def _variance_of_mean(values: Sequence[float]) -> float:
    return float(np.var(values, ddof=1)) / len(values)
