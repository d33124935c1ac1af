"""Intervals on a scale that keeps them in the range of a metric: log-odds for an AUC, logarithm for a loss or a ratio.

By the delta method, value -+ margin becomes g(value) -+ margin g'(value) on a scale g, which is transformed back.
If the margin is small compared with the distance to the bound, both intervals nearly agree.

Sources: Pepe 2003, The Statistical Evaluation of Medical Tests for Classification and Prediction, chapter 5, for the
log-odds of an AUC; Bland, Altman 1996, Transformations, Means, and Confidence Intervals, for the logarithm.
"""

import math

from scipy import special


def linear_interval(value: float, margin: float) -> tuple[float, float]:
    """Return value -+ margin, for a metric without bounds."""
    return value - margin, value + margin


def log_odds_interval(value: float, margin: float) -> tuple[float, float]:
    """Return value -+ margin on the scale ln(v / (1 - v)), between 0 and 1.

    Args:
        value: a number above 0 and below 1.
        margin: half the width of the interval on the scale of the value itself.

    >>> [round(end, 3) for end in log_odds_interval(0.9, 0.2)]
    [0.494, 0.988]
    """
    log_odds, half = math.log(value / (1 - value)), margin / (value * (1 - value))
    return float(special.expit(log_odds - half)), float(special.expit(log_odds + half))


def log_interval(value: float, margin: float) -> tuple[float, float]:
    """Return value -+ margin on the scale ln v, above 0.

    Args:
        value: a number above 0.
        margin: half the width of the interval on the scale of the value itself.

    >>> [round(end, 3) for end in log_interval(0.5, 0.6)]
    [0.151, 1.66]
    """
    factor = math.exp(margin / value)
    return value / factor, value * factor
