"""All checks of a report; each is a function that yields sentences with their level."""

from collections.abc import Callable

from ctr.checks.calibration import calibration, constant, positive_rate
from ctr.checks.drift import feature_drift, score_drift
from ctr.checks.leaks import duplicates, single_features
from ctr.checks.ranking import long_tail_ids, overfitting, ranking, slices
from ctr.checks.statements import Statements
from ctr.schema.report import Check, Measured
from ctr.schema.split_metrics import SplitMetrics


def check(report: Measured, training: SplitMetrics) -> list[Check]:
    """Return all checks of the main split, and of leaks in every split, the worst level first.

    Args:
        report: metrics, deciles, psi, slices, frequency and leakage of each split.
        training: the metrics of the training data's sample.
    """
    checks: list[Check] = [
        {"check": function.__name__, "split": split, "level": level, "sentence": sentence}
        for function in CHECKS
        for level, split, sentence in function(report, training, report["main_split"])
    ]
    return sorted(checks, key=lambda check: check["level"].rank)


CHECKS: tuple[Callable[[Measured, SplitMetrics, str], Statements], ...] = (
    ranking,
    overfitting,
    single_features,
    duplicates,
    positive_rate,
    calibration,
    constant,
    score_drift,
    feature_drift,
    long_tail_ids,
    slices,
)
