"""How well scores rank: AUC with its interval, average precision, Kolmogorov-Smirnov. Pure functions of ScoreCounts."""

import math

import numpy as np
from scipy import special

from ctr.metrics.counts import ScoreCounts, Undefined, sum_of_products
from ctr.metrics.scales import log_odds_interval

ROUNDING = 1e-24  # a variance below it is what is left of 0 when weights are added: the square of 1e-12


def auc(counts: ScoreCounts) -> float:
    """Probability that a positive scores above a negative, ties counted half.

    Raises:
        Undefined: a class is absent.
    """
    positives, negatives = counts.both_classes()
    twice = sum_of_products(counts.positives, twice_below(counts.negatives))
    return min(twice / 2 / (positives * negatives), 1.0)  # sums of weights are rounded


def placements(counts: ScoreCounts) -> tuple[np.ndarray, np.ndarray]:
    """At each score the share of negatives that a positive beats there, and of positives that a negative loses to.

    Ties count half; float64 [k] each. These are the structural components V10 and V01 of DeLong et al. 1988: the mean
    of either over the rows of its class is the AUC.

    Raises:
        Undefined: a class is absent.
    """
    positives, negatives = counts.both_classes()
    return twice_below(counts.negatives) / (2 * negatives), 1 - twice_below(counts.positives) / (2 * positives)


def auc_interval(counts: ScoreCounts) -> tuple[float, float]:
    """The 95 % interval of the AUC for rows drawn independently.

    The variance is DeLong's, S10 / m + S01 / n, with the squares of the weights (`variance_of_mean`). The interval is
    symmetric in ln(AUC / (1 - AUC)), so that it stays within 0 and 1, with Student's t at Satterthwaite's degrees of
    freedom, (a + b)^2 / (a^2 / (m - 1) + b^2 / (n - 1)) for the two terms a and b, because a rare class has few rows.
    In simulations (`scripts/auc_coverage.py`) that covers the truth most evenly. Rows that belong together, as those
    of one user do, are not independent: then it is too narrow, and `clusters.auc_interval` is the one to use.

    Sources: DeLong, DeLong, Clarke-Pearson 1988, Comparing the Areas under Two or More Correlated Receiver Operating
    Characteristic Curves; Brunner, Munzel 2000, The Nonparametric Behrens-Fisher Problem, for the degrees of freedom.

    Raises:
        Undefined: a class is absent, has one row only, or the variance is 0, as of a perfect ranking.
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
    """The variance of a weighted mean of independent rows, and how many equally weighted rows have as much of it.

    sum w^2 d^2 / ((sum w)^2 - sum w^2), which is sum d^2 / (m (m - 1)) for m rows of weight 1, and Kish's
    (sum w)^2 / sum w^2. A weight is taken as importance: a row of weight 2 is one observation, not two.

    Args:
        deviation: [k], from the mean.
        weight: [k], of the rows there.
        squares: [k], the sum of their squared weights.

    Raises:
        Undefined: there are fewer than two rows, or the squares overflow or vanish.
    """
    total, square = float(weight.sum()), float(squares.sum())
    if not 0 < square < math.inf:
        raise Undefined("the squares of the weights are beyond float64")
    rows = total * total / square
    if rows - 1 < 1e-9:
        raise Undefined("fewer than two rows to estimate a variance from")
    return sum_of_products(squares, deviation**2) / square / (rows - 1), rows


def auc_error(counts: ScoreCounts) -> float:
    """How far the AUC of scores in bins is at most from that of the scores: half the share of pairs within one bin.

    sum p n / (2 P N): such a pair counts 1/2, and is 0, 1/2 or 1 in truth.

    Raises:
        Undefined: a class is absent.
    """
    positives, negatives = counts.both_classes()
    return sum_of_products(counts.positives, counts.negatives) / 2 / (positives * negatives)


def average_precision(counts: ScoreCounts) -> float:
    """Mean, over the positives, of the precision at their score: sum over thresholds of (R_k - R_(k-1)) P_k.

    Raises:
        Undefined: there are no positives.
    """
    positives = counts.some_positives()
    gained = counts.positives[::-1]
    hits, selected = np.cumsum(gained), np.cumsum(gained + counts.negatives[::-1])
    found = hits > 0  # above the first positive nothing counts, and with weights of 0 nothing may be selected
    return sum_of_products(gained[found], hits[found] / selected[found]) / positives


def ks(counts: ScoreCounts) -> tuple[float, float]:
    """Kolmogorov-Smirnov: the largest distance between the score distributions of the classes, and the score there.

    max |TPR - FPR| over the thresholds score >= t; of equal ones the highest t.

    Raises:
        Undefined: a class is absent.
    """
    positives, negatives = counts.both_classes()
    distance = np.abs(np.cumsum(counts.positives[::-1]) / positives - np.cumsum(counts.negatives[::-1]) / negatives)
    best = int(np.argmax(distance))
    return float(distance[best]), float(counts.score[-1 - best])


def twice_below(weight: np.ndarray) -> np.ndarray:
    """Twice the weight at lower scores plus the weight at each: twice what it beats, ties counted half; the same type.

    >>> twice_below(np.array([1, 2, 3])).tolist()
    [1, 4, 9]
    """
    return 2 * np.cumsum(weight) - weight
