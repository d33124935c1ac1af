"""Catalog of all metrics, in the order of every report."""

from collections.abc import Callable
from typing import Any

from ctr.metrics import calibration, ranking, thresholds
from ctr.metrics.counts import ScoreCounts, sigmoid
from ctr.metrics.metric import Better, Companion, Measure, Metric, Place, Question
from ctr.metrics.paired import RowDifferences, auc_row_differences, log_loss_row_differences
from ctr.metrics.scales import log_interval, log_odds_interval

EVERYWHERE = frozenset(Place)


def _of(measure: Callable[[ScoreCounts], Any]) -> Measure:
    """Return a function of the counts alone as a `Measure`."""
    return lambda counts, threshold: measure(counts)


CATALOG: list[Metric] = [
    Metric(
        key="auc",
        label="AUC",
        meaning="probability that a random positive scores higher than a random negative: 0.5 is chance, 1 is perfect; "
        "with its 95% CI",
        definition="probability that a random positive scores above a random negative (ties count half); exact",
        better=Better.HIGHER,
        question=Question.RANKING,
        compute=_of(ranking.auc),
        places=EVERYWHERE,
        companions=(
            Companion(
                "auc_interval",
                "95% CI of `auc` from DeLong's variance, on the log-odds scale with Student's t. In 10,000 simulations "
                "of each of 17 settings it covers the true AUC in 94.3% to 95.5% (`scripts/auc_coverage.py`). It is "
                "between 0 and 1; null for a perfect AUC",
                _of(lambda counts: list(ranking.auc_interval(counts))),
                list[float],
            ),
        ),
        interval="auc_interval",
        over_seeds=log_odds_interval,
        paired=auc_row_differences,
    ),
    Metric(
        key="gauc",
        label="GAUC",
        meaning="mean of the AUC within each group, such as a user, weighted by group size; groups without positives "
        "or without negatives are left out",
        definition="sum of n AUC / sum of n over the groups of `report.group` that have positives and negatives; n is "
        "the weight of a group",
        better=Better.HIGHER,
        question=Question.RANKING,
        places=EVERYWHERE,
        companions=(
            Companion("gauc_group", "the column of `report.group`", type=str),
            Companion("gauc_groups", "number of groups with positives and negatives", type=int),
            Companion("gauc_rows", "fraction of the examples that are in such groups"),
        ),
        over_seeds=log_odds_interval,
    ),
    Metric(
        key="mean_group_auc",
        label="mean group AUC",
        meaning="mean of the AUC within each group, with equal weights",
        definition="`gauc` with equal weights for all groups",
        better=Better.HIGHER,
        question=Question.RANKING,
        over_seeds=log_odds_interval,
    ),
    Metric(
        key="average_precision",
        label="average precision",
        meaning="mean precision over all recalls; random scores reach the positive rate",
        definition="mean of the precision at each positive: sum of (R_k - R_(k-1)) P_k",
        better=Better.HIGHER,
        question=Question.RANKING,
        compute=_of(ranking.average_precision),
        over_seeds=log_odds_interval,
    ),
    Metric(
        key="ks",
        label="KS",
        meaning="largest gap between the fractions of positives and of negatives above one score",
        definition="largest distance between the score distributions of positives and negatives",
        better=Better.HIGHER,
        question=Question.RANKING,
        compute=_of(lambda counts: ranking.ks(counts)[0]),
        companions=(
            Companion(
                "ks_threshold",
                "score at which the distance is largest, a probability",
                _of(lambda counts: float(sigmoid(ranking.ks(counts)[1]))),
            ),
        ),
        over_seeds=log_odds_interval,
    ),
    Metric(
        key="log_loss",
        label="log loss",
        meaning="in nats, lower is better; comparable only at equal positive rates; with its standard error (SE), and "
        "the difference from a constant score, the positive rate",
        definition="mean of -ln p or -ln(1 - p), in nats",
        better=Better.LOWER,
        question=Question.PROBABILITIES,
        compute=_of(calibration.log_loss),
        places=EVERYWHERE,
        companions=(
            Companion("log_loss_error", "standard error of `log_loss`", _of(calibration.log_loss_error)),
            Companion(
                "log_loss_excess",
                "log loss minus that of a constant score, the positive rate of the same split, in nats",
                _of(calibration.log_loss_excess),
            ),
            Companion(
                "log_loss_excess_error",
                "paired standard error of `log_loss_excess`, from the difference of each example. Estimating the "
                "rate adds nothing at first order",
                _of(calibration.log_loss_excess_error),
            ),
        ),
        over_seeds=log_interval,
        paired=log_loss_row_differences,
    ),
    Metric(
        key="normalized_entropy",
        label="normalized entropy",
        meaning="log loss divided by that of a constant score, the positive rate; below 1 is better than the constant",
        definition="log loss divided by that of a constant score, the positive rate of the same split; below 1 the "
        "scores are better than the constant",
        better=Better.LOWER,
        question=Question.PROBABILITIES,
        compute=_of(calibration.normalized_entropy),
        places=frozenset({Place.MARKDOWN}),
        over_seeds=log_interval,
    ),
    Metric(
        key="brier",
        label="Brier score",
        meaning="mean squared error of the scores; lower is better",
        definition="mean of (p - y)^2",
        better=Better.LOWER,
        question=Question.PROBABILITIES,
        compute=_of(calibration.brier),
        over_seeds=log_interval,
    ),
    Metric(
        key="calibration",
        label="calibration",
        meaning="mean score / positive rate, with its standard error (SE); the deviation is significant if z is beyond "
        "± 4",
        definition="sum of p / sum of y; above 1 the scores are too high",
        better=Better.ONE,
        question=Question.PROBABILITIES,
        compute=_of(calibration.calibration),
        places=frozenset({Place.MARKDOWN, Place.COMPARISON}),
        companions=(
            Companion(
                "calibration_error",
                "standard error of `calibration`, a ratio of two means. For a slice, the standard error if each "
                "example is positive with probability p",
                _of(calibration.calibration_error),
            ),
            Companion(
                "calibration_z",
                "(sum wy - sum wp) / sqrt(sum w^2 p (1 - p)); beyond ± 4 the scores are significantly miscalibrated",
                _of(calibration.calibration_z),
            ),
        ),
        over_seeds=log_interval,
    ),
    Metric(
        key="expected_calibration_error",
        label="expected calibration error",
        meaning="mean distance between mean score and positive rate, over deciles of the score",
        definition="mean of \\|mean score - positive rate\\| over the ten deciles",
        better=Better.LOWER,
        question=Question.PROBABILITIES,
        compute=_of(calibration.expected_calibration_error),
    ),
    Metric(
        key="positive_rate",
        label="positive rate",
        meaning="fraction of positives, with its standard error (SE)",
        definition="mean of y",
        better=Better.NEITHER,
        question=Question.PROBABILITIES,
        compute=_of(calibration.positive_rate),
        places=frozenset({Place.MARKDOWN, Place.TERMINAL}),
        companions=(
            Companion("positive_rate_error", "standard error of `positive_rate`", _of(calibration.positive_rate_error)),
            Companion(
                "positives",
                "effective number of positives, (sum wy)^2 / (sum w^2 y); their count if all weights are equal",
                _of(calibration.positives),
            ),
        ),
    ),
    Metric(
        key="mean_score",
        label="mean score",
        meaning="mean predicted probability; if it is far from the positive rate, calibrate the scores before use",
        definition="mean of p",
        better=Better.NEITHER,
        question=Question.PROBABILITIES,
        compute=_of(calibration.mean_score),
        places=frozenset({Place.TERMINAL}),
    ),
    Metric(
        key="precision",
        label="precision",
        meaning="fraction of positives among the examples that score at least the threshold",
        definition="fraction of positives among the examples with p at or above `report.threshold`",
        better=Better.HIGHER,
        question=Question.DECISIONS,
        compute=thresholds.precision,
        companions=(Companion("threshold", "`report.threshold`, a probability", lambda counts, threshold: threshold),),
    ),
    Metric(
        key="recall",
        label="recall",
        meaning="fraction of the positives that score at least the threshold",
        definition="fraction of the positives with p at or above `report.threshold`",
        better=Better.HIGHER,
        question=Question.DECISIONS,
        compute=thresholds.recall,
    ),
    Metric(
        key="f1",
        label="F1",
        meaning="harmonic mean of precision and recall",
        definition="harmonic mean of `precision` and `recall`",
        better=Better.HIGHER,
        question=Question.DECISIONS,
        compute=thresholds.f1,
    ),
    Metric(
        key="best_f1",
        label="best F1",
        meaning="highest F1 of any threshold, chosen on the same examples",
        definition="`f1` at the threshold that maximizes it on the same examples",
        better=Better.HIGHER,
        question=Question.DECISIONS,
        compute=_of(lambda counts: thresholds.best_f1(counts)[0]),
        companions=(
            Companion(
                "best_f1_threshold",
                "the threshold of `best_f1`, a probability",
                _of(lambda counts: float(sigmoid(thresholds.best_f1(counts)[1]))),
            ),
        ),
    ),
]


def shown_in(place: Place) -> list[Metric]:
    """Return the metrics that a place shows, in the order of the catalog."""
    return [metric for metric in CATALOG if place in metric.places]


def entry(key: str) -> Metric:
    """Return the metric with a key."""
    return next(metric for metric in CATALOG if metric.key == key)


def paired_metrics() -> dict[str, Callable[..., RowDifferences]]:
    """Return key -> paired difference of the metrics that comparisons test."""
    return {metric.key: metric.paired for metric in CATALOG if metric.paired is not None}
