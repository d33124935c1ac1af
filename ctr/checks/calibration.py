"""Checks of scores as probabilities."""

import math

from ctr.checks.significance import (
    RATE_MARGIN,
    STANDARD_ERRORS,
    Interval,
    Outcome,
    judge,
    judge_calibration,
    judge_excess,
    ratio_interval,
    too_few,
)
from ctr.checks.statements import Statement, Statements, percents, positives_of
from ctr.schema.levels import Level
from ctr.schema.report import Measured
from ctr.schema.split_metrics import SplitMetrics

TRAIN = "train"


def positive_rate(report: Measured, training: SplitMetrics, main: str) -> Statements:
    metrics, before = report["metrics"][main], training["positive_rate"]
    rate = metrics["positive_rate"]
    if main not in report["psi"]["score"] or not before or rate is None:
        return
    by_chance = max(metrics["positive_rate_error"], math.sqrt(before * (1 - before) / metrics["rows"]))
    of_training = training["positive_rate_error"]
    interval: Interval = (-1.0, math.inf)
    if rate:
        of_ratio = math.hypot(of_training / before, metrics["positive_rate_error"] / rate)
        interval = ratio_interval(rate / before, of_ratio * rate / before)
    told = f"{before:.4f} in training, {rate:.4f} in {main} ({percents(rate / before - 1, interval)}; "
    told += f"{positives_of(training)} and {positives_of(metrics)} positives)"
    error = math.hypot(of_training, by_chance)  # 0 where all rows of both are positive
    outcome = judge(rate / before - 1, (rate - before) / error if error else 0.0, interval, RATE_MARGIN)
    said: dict[Outcome, Statement] = {
        "off": (Level.WARNING, main, f"The label rate changed: {told}."),
        "holds": (Level.OK, main, f"The label rate holds: {told}."),
        "too few": (Level.NOTE, main, f"{too_few(metrics)} to say whether the label rate holds: {told}."),
    }
    yield said[outcome]


def calibration(report: Measured, training: SplitMetrics, main: str) -> Statements:
    if main != TRAIN:
        yield from _training_calibration(training)
    metrics = report["metrics"][main]
    if metrics.get("calibration_z") is None:
        return
    judged = judge_calibration(metrics)
    if judged is None:  # no positives
        told = f"the mean score is {metrics['mean_score']:.4f}, and none of {metrics['rows']:,} rows is positive"
        is_off = abs(metrics["calibration_z"]) > STANDARD_ERRORS
    else:
        told = _expected(metrics, judged[1])
        is_off = judged[0] == "off"
    if is_off:
        yield Level.WARNING, main, f"Miscalibrated: {told}. Calibrate the scores before you use them as probabilities."
        return
    off = [
        place
        for place, one in enumerate(report["deciles"][main], 1)
        if one["calibration_z"] is not None
        and abs(one["calibration_z"]) > STANDARD_ERRORS
        and abs((one["calibration"] or math.inf) - 1) > 0.1
    ]
    listed = f"decile{'s' * (len(off) > 1)} {', '.join(map(str, off))} of ten from the highest score down"
    if judged is not None and judged[0] == "holds":
        if off:
            yield Level.NOTE, main, f"Calibrated as a whole ({told}), but off by over 10% in {listed}."
        else:
            yield Level.OK, main, f"Calibrated as a whole: {told}."
        return
    yield Level.NOTE, main, f"{too_few(metrics)} to say whether the scores are calibrated: {told}."
    if off:
        yield Level.NOTE, main, f"Miscalibrated by over 10% in {listed}."


def _training_calibration(training: SplitMetrics) -> Statements:
    """A warning where the scores of the training data itself are off: then no other data is at fault."""
    judged = judge_calibration(training)
    if judged is not None and judged[0] == "off":
        yield (
            Level.WARNING,
            TRAIN,
            f"Miscalibrated on the training data itself: {_expected(training, judged[1])}. Train longer, or choose the "
            f"checkpoint by log loss (training.early_stopping.metric).",
        )


def _expected(metrics: SplitMetrics, interval: Interval) -> str:
    """`the scores expect 10.0% more positives than there are (95% CI +7.1% to +13.0%, 4,000 positives)`."""
    ratio = metrics["calibration"]
    low, high = (100 * end for end in interval)
    return (
        f"the scores expect {100 * abs(ratio - 1):.1f}% {'more' if ratio > 1 else 'fewer'} positives than there are "
        f"(95% CI {low:+.1f}% to {high:+.1f}%, {positives_of(metrics)} positives)"
    )


def constant(report: Measured, training: SplitMetrics, main: str) -> Statements:
    metrics = report["metrics"][main]
    outcome = judge_excess(metrics)
    if outcome is None:
        return
    excess, error, loss = metrics["log_loss_excess"], metrics["log_loss_excess_error"], metrics["log_loss"]
    side = "above" if excess > 0 else "below"
    told = f"{abs(excess):.5f} (± {error:.5f}) {side} the {loss - excess:.5f} of a constant, the label rate"
    counted = f"{positives_of(metrics)} positives"
    said: dict[Outcome, Statement] = {
        "off": (
            Level.WARNING,
            main,
            f"Worse than a constant: the log loss of {loss:.5f} is {told}. Do not use the scores as probabilities.",
        ),
        "holds": (Level.OK, main, f"Better than a constant: the log loss of {loss:.5f} is {told}."),
        "too few": (
            Level.NOTE,
            main,
            f"Too close to say whether the scores beat a constant: the log loss of {loss:.5f} is {told} ({counted}).",
        ),
    }
    yield said[outcome]
