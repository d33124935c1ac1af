"""Every check of a report, each a function that yields plain sentences."""

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
    found: list[Check] = [
        {"check": look.__name__, "split": split, "level": level, "sentence": sentence}
        for look in CHECKS
        for level, split, sentence in look(report, training, report["main_split"])
    ]
    return sorted(found, key=lambda one: one["level"].rank)


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
