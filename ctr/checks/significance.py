"""Thresholds of the report: which slices it judges, and when it reports that a number is off or that it holds.

Every judgement has a margin, the smallest deviation that matters, and one of three outcomes:

- `off`: the deviation is beyond the margin and beyond four standard errors. Four, because a report looks at hundreds of
  numbers.
- `holds`: the 95% CI lies within the margin, so the data would have shown a deviation of that size.
- `too few`: everything else. More examples of the rarer class would decide it, so this is a note and never `ok`.

Two numbers of a split are judged differently. Its AUC is near chance according to the 95% CI. Its log loss is compared
with the log loss of a constant prediction at a margin of 0 and four standard errors.

A sentence states its number with the 95% CI or the standard error, and the count of positives if they are scarce.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from scipy import special

from ctr.metrics.psi import NOISE_LEVEL, PSIResult

STANDARD_ERRORS = 4.0  # beyond which a deviation counts as significant
MIN_ROWS = 100
MIN_OF_A_CLASS = 10  # with fewer, standard errors are far too small
Z95 = 1.959964  # standard errors on either side of a 95% CI
CALIBRATION_MARGIN = 0.05
RATE_MARGIN = 0.1  # change of the positive rate from training, as a fraction of it
DUPLICATE_MARGIN = 0.005  # fraction of examples that duplicate training examples

Outcome = Literal["off", "holds", "too few"]
Interval = tuple[float, float]


def judge(deviation: float, errors: float, interval: Interval, margin: float) -> Outcome:
    """Return the outcome for a deviation from 0.

    Args:
        deviation: the estimate.
        errors: the deviation in standard errors, of either sign.
        interval: its 95% CI.
        margin: the smallest deviation that matters.

    >>> judge(0.3, 5.0, (0.18, 0.42), 0.05), judge(0.01, 1.0, (-0.01, 0.03), 0.05), judge(0.3, 2.0, (0.0, 0.6), 0.05)
    ('off', 'holds', 'too few')
    """
    if abs(deviation) > margin and abs(errors) > STANDARD_ERRORS:
        return "off"
    return "holds" if -margin <= interval[0] and interval[1] <= margin else "too few"


def ratio_interval(ratio: float, error: float) -> Interval:
    """Return the 95% CI of a ratio above 0 minus 1, symmetric in the logarithm so that it stays above -1.

    >>> low, high = ratio_interval(1.0, 0.1)
    >>> round(low, 3), round(high, 3)
    (-0.178, 0.217)
    """
    factor = math.exp(min(Z95 * error / ratio, 700.0))
    return ratio / factor - 1, ratio * factor - 1


def judge_calibration(metrics: Mapping[str, Any]) -> tuple[Outcome, Interval] | None:
    """Return the outcome for the calibration of a split, and the 95% CI of calibration - 1; None where undefined."""
    ratio, error, z = (metrics.get(key) for key in ("calibration", "calibration_error", "calibration_z"))
    if ratio is None or error is None or z is None:
        return None
    interval = ratio_interval(ratio, error)
    return judge(ratio - 1, z, interval, CALIBRATION_MARGIN), interval


def judge_excess(metrics: Mapping[str, Any]) -> Outcome | None:
    """Return the outcome for the log loss against a constant prediction: `off` is worse, `holds` is better.

    Both need four standard errors. None where the excess is undefined.
    """
    excess, error = metrics.get("log_loss_excess"), metrics.get("log_loss_excess_error")
    if excess is None or error is None:
        return None
    if excess > STANDARD_ERRORS * error:
        return "off"
    return "holds" if excess < -STANDARD_ERRORS * error else "too few"


def too_few(metrics: Mapping[str, Any]) -> str:
    """Return the start of a sentence about a split whose CI is too wide.

    >>> too_few({"interval_unit": "row"}), too_few({"interval_unit": "cluster", "cluster_column": "user"})
    ('Too few positives', 'Too few positives (clustered by user)')
    """
    by = f" (clustered by {metrics['cluster_column']})" if metrics.get("interval_unit") == "cluster" else ""
    return f"Too few positives{by}"


def criterion(errors: float, what: str = "deviation") -> str:
    """Return a sentence if a deviation is significant at 95%, but does not reach the criterion; else nothing.

    Args:
        errors: the deviation in standard errors, of either sign.
        what: name of the deviation.

    >>> criterion(-2.94), criterion(1.5)
    (' The deviation is 2.9 standard errors, and the criterion is 4.', '')
    """
    if not Z95 < abs(errors) <= STANDARD_ERRORS:
        return ""
    return f" The {what} is {abs(errors):.1f} standard errors, and the criterion is {STANDARD_ERRORS:.0f}."


def largest_psi(psi: PSIResult) -> float:
    """Return the upper end of the 95% CI of a PSI, as `ctr.metrics.psi.compare` describes it.

    PSI / (1/n + 1/m) is about noncentral chi-square with bins - 1 degrees of freedom, its noncentrality the true PSI /
    (1/n + 1/m). The end is the true PSI under which so small a PSI has a chance of 2.5%.

    Source: Patnaik 1949, The Non-Central chi-square- and F-Distributions and their Applications.
    """
    value, freedom = psi["psi"], psi["bins"] - 1
    assert value is not None
    if freedom < 1:
        return value
    per_degree = psi["noise"] / float(special.chdtri(freedom, NOISE_LEVEL))
    end = float(special.chndtrinc(value / per_degree, freedom, 0.025))
    return per_degree * end if math.isfinite(end) else value


class Fall(NamedTuple):
    """Decrease of an AUC from training, as a fraction of the AUC in training."""

    fraction: float
    errors: float  # `fraction` in standard errors
    interval: Interval  # 95% CI of `fraction`


def auc_fall(auc: float, interval: Interval, trained: float, trained_interval: Interval | None) -> Fall:
    """Return the fall of an AUC, from the 95% CIs of both; without a CI the AUC in training counts as exact.

    >>> fall = auc_fall(0.75, (0.74, 0.76), 0.80, (0.795, 0.805))
    >>> round(fall.fraction, 4), round(fall.errors, 1)
    (0.0625, 8.9)
    """
    error = (interval[1] - interval[0]) / (2 * Z95)
    trained_error = (trained_interval[1] - trained_interval[0]) / (2 * Z95) if trained_interval else 0.0
    ratio_error = auc / trained * math.hypot(error / auc, trained_error / trained)
    low, high = ratio_interval(auc / trained, ratio_error)
    fall = 1 - auc / trained
    return Fall(fall, fall / ratio_error if ratio_error else math.copysign(math.inf, fall), (-high, -low))


def auc_error(auc: float, metrics: Mapping[str, Any]) -> float:
    """Return the standard error of an AUC on the examples of a split, from its positives and its positive rate.

    Source: Hanley, McNeil 1982, The Meaning and Use of the Area under a ROC Curve, equation 1.
    """
    positives = metrics["positives"]
    negatives = positives * (1 - metrics["positive_rate"]) / metrics["positive_rate"]
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    return math.sqrt(max(auc * (1 - auc) + spread, 0.0) / (positives * negatives))


def has_enough_examples(metrics: Mapping[str, Any]) -> bool:
    """Return True if a slice, a bucket or a split has enough examples of both classes to be reported."""
    rows, rate = metrics["rows"], metrics["positive_rate"]
    return metrics["auc"] is not None and rows >= MIN_ROWS and rows * min(rate, 1 - rate) >= MIN_OF_A_CLASS


def is_ranked_worse(metrics: Mapping[str, Any], auc: float | None, margin: float = 0.0) -> bool:
    """Return True if the AUC of a slice is significantly below `auc` minus `margin`."""
    return (
        auc is not None
        and has_enough_examples(metrics)
        and metrics["auc"] + STANDARD_ERRORS * metrics["auc_standard_error"] < auc - margin
    )


def is_ranked_similarly(metrics: Mapping[str, Any], auc: float, margin: float) -> bool:
    """Return True if the 95% CI of the AUC of a slice lies above `auc` minus `margin`."""
    return has_enough_examples(metrics) and lower_end(metrics) >= auc - margin


def lower_end(metrics: Mapping[str, Any]) -> float:
    """Return the lower end of the 95% CI of the AUC of a slice, which must have an AUC."""
    return metrics["auc"] - Z95 * metrics["auc_standard_error"]


def is_miscalibrated(metrics: Mapping[str, Any], margin: float = 0.0) -> bool:
    """Return True if the calibration of a slice is significantly off by more than `margin`."""
    expected = metrics["rows"] * min(metrics["mean_score"] or 0, 1 - (metrics["mean_score"] or 0))
    return (
        expected >= MIN_OF_A_CLASS
        and metrics["rows"] >= MIN_ROWS
        and abs((metrics["calibration"] or 1) - 1) > margin
        and abs(metrics["calibration_z"] or 0) > STANDARD_ERRORS
    )
