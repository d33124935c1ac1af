"""Ranking metrics: AUC with its 95% CI, average precision, Kolmogorov-Smirnov. Pure functions of ScoreCounts."""

import math

import numpy as np
from scipy import special

from ctr.metrics.counts import ScoreCounts, Undefined, sum_of_products
from ctr.metrics.scales import log_odds_interval

ROUNDING = 1e-24  # variances below count as 0, because sums of weights are rounded: the square of 1e-12


def auc(counts: ScoreCounts) -> float:
    """Return the probability that a positive scores above a negative (ties count half).

    Raises:
        Undefined: a class is absent.
    """
    positives, negatives = counts.both_classes()
    twice = sum_of_products(counts.positives, twice_below(counts.negatives))
    return min(twice / 2 / (positives * negatives), 1.0)  # sums of weights are rounded


def placements(counts: ScoreCounts) -> tuple[np.ndarray, np.ndarray]:
    """Return, at each score, the fraction of negatives that a positive beats and of positives that a negative loses to.

    Ties count half; float64 [k] each. These are the structural components V10 and V01 of DeLong et al. 1988: the mean
    of each over the rows of its class is the AUC.

    Raises:
        Undefined: a class is absent.
    """
    positives, negatives = counts.both_classes()
    return twice_below(counts.negatives) / (2 * negatives), 1 - twice_below(counts.positives) / (2 * positives)


def auc_interval(counts: ScoreCounts) -> tuple[float, float]:
    """Return the 95% CI of the AUC for independent rows.

    The variance is DeLong's, S10 / m + S01 / n, with the squares of the weights (`variance_of_mean`). The interval is
    symmetric in ln(AUC / (1 - AUC)), which keeps it between 0 and 1, with Student's t at Satterthwaite's degrees of
    freedom, (a + b)^2 / (a^2 / (m - 1) + b^2 / (n - 1)) for the two terms a and b, because a rare class has few rows.
    In simulations (`scripts/auc_coverage.py`), this choice has the most even coverage. Rows of one user are not
    independent, and make this CI too narrow: use `clusters.auc_interval` for them.

    Sources: DeLong, DeLong, Clarke-Pearson 1988, Comparing the Areas under Two or More Correlated Receiver Operating
    Characteristic Curves; Brunner, Munzel 2000, The Nonparametric Behrens-Fisher Problem, for the degrees of freedom.

    Raises:
        Undefined: a class is absent or has one row only, or the variance is 0, as for a perfect ranking.
    """
    value = auc(counts)
    beaten, lost = placements(counts)
    above, above_rows = variance_of_mean(beaten - value, counts.positives, counts.positive_squares)
    below, below_rows = variance_of_mean(lost - value, counts.negatives, counts.negative_squares)
    variance = above + below
    if variance < ROUNDING or not 0 < value < 1:
        raise Undefined("the estimated variance is 0")
    freedom = variance**2 / (above**2 / (above_rows - 1) + below**2 / (below_rows - 1))
    return log_odds_interval(value, float(special.stdtrit(freedom, 0.975)) * math.sqrt(variance))


def variance_of_mean(deviation: np.ndarray, weight: np.ndarray, squares: np.ndarray) -> tuple[float, float]:
    """Return the variance of a weighted mean of independent rows, and the effective number of rows.

    sum w^2 d^2 / ((sum w)^2 - sum w^2), which is sum d^2 / (m (m - 1)) for m rows of weight 1, and Kish's
    (sum w)^2 / sum w^2. Weights are importance weights: a row of weight 2 is one observation, not two.

    Args:
        deviation: [k], deviations from the mean.
        weight: [k], weights of the rows at each deviation.
        squares: [k], sums of their squared weights.

    Raises:
        Undefined: there are fewer than two rows, or the squares overflow or vanish.
    """
    total, square = float(weight.sum()), float(squares.sum())
    if not 0 < square < math.inf:
        raise Undefined("the squares of the weights are beyond float64")
    rows = total * total / square
    if rows - 1 < 1e-9:
        raise Undefined("fewer than two examples to estimate a variance from")
    return sum_of_products(squares, deviation**2) / square / (rows - 1), rows


def auc_error(counts: ScoreCounts) -> float:
    """Return a bound of the error of the AUC of binned scores: half the fraction of pairs within one bin.

    It is sum p n / (2 P N): a pair within a bin counts 1/2, but its exact value is 0, 1/2 or 1.

    Raises:
        Undefined: a class is absent.
    """
    positives, negatives = counts.both_classes()
    return sum_of_products(counts.positives, counts.negatives) / 2 / (positives * negatives)


def average_precision(counts: ScoreCounts) -> float:
    """Return the mean precision at the score of each positive: sum over thresholds of (R_k - R_(k-1)) P_k.

    Raises:
        Undefined: there are no positives.
    """
    positives = counts.some_positives()
    gained = counts.positives[::-1]
    hits, selected = np.cumsum(gained), np.cumsum(gained + counts.negatives[::-1])
    counted = hits > 0  # skips scores above the first positive, where with weights of 0 nothing might be selected
    return sum_of_products(gained[counted], hits[counted] / selected[counted]) / positives


def ks(counts: ScoreCounts) -> tuple[float, float]:
    """Return the Kolmogorov-Smirnov distance between the score distributions of the classes, and the score there.

    It is the maximum of |TPR - FPR| over thresholds score >= t; among equal maxima, t is the highest.

    Raises:
        Undefined: a class is absent.
    """
    positives, negatives = counts.both_classes()
    distance = np.abs(np.cumsum(counts.positives[::-1]) / positives - np.cumsum(counts.negatives[::-1]) / negatives)
    best = int(np.argmax(distance))
    return float(distance[best]), float(counts.score[-1 - best])


def twice_below(weight: np.ndarray) -> np.ndarray:
    """Return twice the weight below each score plus the weight at it, in the same type (ties count half).

    >>> twice_below(np.array([1, 2, 3])).tolist()
    [1, 4, 9]
    """
    return 2 * np.cumsum(weight) - weight
