"""Checks of scores as probabilities: positive rate, calibration, log loss."""

import math

from ctr.checks.significance import (
    RATE_MARGIN,
    STANDARD_ERRORS,
    Interval,
    Outcome,
    criterion,
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
    """Check that the positive rate of a split is within RATE_MARGIN of the training data."""
    metrics, expected = report["metrics"][main], training["positive_rate"]
    rate = metrics["positive_rate"]
    if main not in report["psi"]["score"] or not expected or rate is None:
        return
    sampling_error = max(metrics["positive_rate_error"], math.sqrt(expected * (1 - expected) / metrics["rows"]))
    training_error = training["positive_rate_error"]
    interval: Interval = (-1.0, math.inf)
    if rate:
        relative_error = math.hypot(training_error / expected, metrics["positive_rate_error"] / rate)
        interval = ratio_interval(rate / expected, relative_error * rate / expected)
    numbers = f"{expected:.4f} in training, {rate:.4f} in {main} ({percents(rate / expected - 1, interval)}; "
    numbers += f"{positives_of(training)} and {positives_of(metrics)} positives)"
    error = math.hypot(training_error, sampling_error)  # 0 if all examples of both are positive
    errors = (rate - expected) / error if error else 0.0
    outcome = judge(rate / expected - 1, errors, interval, RATE_MARGIN)
    statements: dict[Outcome, Statement] = {
        "off": (Level.WARNING, main, f"The positive rate changed: {numbers}."),
        "holds": (Level.OK, main, f"The positive rate is within {100 * RATE_MARGIN:.0f}% of training: {numbers}."),
        "too few": (
            Level.NOTE,
            main,
            f"{too_few(metrics)} to tell whether the positive rate changed: {numbers}.{criterion(errors)}",
        ),
    }
    yield statements[outcome]


def calibration(report: Measured, training: SplitMetrics, main: str) -> Statements:
    """Check that scores are calibrated, overall and by decile, and on the training data itself."""
    if main != TRAIN:
        yield from _training_calibration(training)
    metrics = report["metrics"][main]
    if metrics.get("calibration_z") is None:
        return
    outcome = judge_calibration(metrics)
    if outcome is None:  # no positives
        numbers = f"the mean score is {metrics['mean_score']:.4f}, and none of {metrics['rows']:,} examples is positive"
        is_off = abs(metrics["calibration_z"]) > STANDARD_ERRORS
    else:
        numbers = _describe(metrics, outcome[1])
        is_off = outcome[0] == "off"
    if is_off:
        yield (
            Level.WARNING,
            main,
            f"Miscalibrated: {numbers}. Calibrate the scores before you use them as probabilities.",
        )
        return
    off = [
        number
        for number, decile in enumerate(report["deciles"][main], 1)
        if decile["calibration_z"] is not None
        and abs(decile["calibration_z"]) > STANDARD_ERRORS
        and abs((decile["calibration"] or math.inf) - 1) > 0.1
    ]
    deciles = f"score decile{'s' * (len(off) > 1)} {', '.join(map(str, off))} (1 has the highest scores)"
    if outcome is not None and outcome[0] == "holds":
        if off:
            yield Level.NOTE, main, f"Calibrated overall ({numbers}), but off by more than 10% in {deciles}."
        else:
            yield Level.OK, main, f"Calibrated overall: {numbers}."
        return
    note = criterion(metrics["calibration_z"])
    yield Level.NOTE, main, f"{too_few(metrics)} to tell whether the scores are calibrated: {numbers}.{note}"
    if off:
        yield Level.NOTE, main, f"Miscalibrated by more than 10% in {deciles}."


def _training_calibration(training: SplitMetrics) -> Statements:
    """Yield a warning if the scores are off on the training data itself: then drift is not the cause."""
    outcome = judge_calibration(training)
    if outcome is not None and outcome[0] == "off":
        yield (
            Level.WARNING,
            TRAIN,
            f"Miscalibrated on the training data itself: {_describe(training, outcome[1])}. Train longer, or choose "
            f"the checkpoint by log loss (training.early_stopping.metric).",
        )


def _describe(metrics: SplitMetrics, interval: Interval) -> str:
    """Return `the scores predict 10.0% more positives than observed (95% CI +7.1% to +13.0%, 4,000 positives)`."""
    ratio = metrics["calibration"]
    low, high = (100 * end for end in interval)
    return (
        f"the scores predict {100 * abs(ratio - 1):.1f}% {'more' if ratio > 1 else 'fewer'} positives than observed "
        f"(95% CI {low:+.1f}% to {high:+.1f}%, {positives_of(metrics)} positives)"
    )


def constant(report: Measured, training: SplitMetrics, main: str) -> Statements:
    """Check that the log loss is below that of always predicting the positive rate."""
    metrics = report["metrics"][main]
    outcome = judge_excess(metrics)
    if outcome is None:
        return
    excess, error, loss = metrics["log_loss_excess"], metrics["log_loss_excess_error"], metrics["log_loss"]
    side = "above" if excess > 0 else "below"
    numbers = f"log loss {loss:.5f} is {abs(excess):.5f} (SE {error:.5f}) {side} {loss - excess:.5f}"
    statements: dict[Outcome, Statement] = {
        "off": (
            Level.WARNING,
            main,
            f"Worse than always predicting the positive rate: {numbers}. Do not use the scores as probabilities.",
        ),
        "holds": (Level.OK, main, f"Better than always predicting the positive rate: {numbers}."),
        "too few": (
            Level.NOTE,
            main,
            f"Inconclusive against always predicting the positive rate: {numbers} ({positives_of(metrics)} positives)."
            f"{criterion(excess / error, 'difference')}",
        ),
    }
    yield statements[outcome]
