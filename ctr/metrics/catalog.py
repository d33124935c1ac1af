"""The one list of metrics, in the order in which they are shown."""

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
        meaning="how often a row with label 1 scores higher than one with label 0: 0.5 is chance, 1 is perfect; "
        "with its 95 % interval",
        definition="probability that a row with label 1 scores above one with label 0, ties counted half; exact",
        better=Better.HIGHER,
        question=Question.RANKING,
        compute=_of(ranking.auc),
        shown=EVERYWHERE,
        companions=(
            Companion(
                "auc_interval",
                "95 % interval of `auc` by DeLong's variance, on the log-odds, with Student's t: in 10,000 simulations "
                "each of 17 settings it covers the truth in 94.3 to 95.5 % (`scripts/auc_coverage.py`). It lies "
                "between 0 and 1; a perfect AUC has none",
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
        meaning="the AUC within each group, such as a user, the mean weighted by rows; groups of one class are left "
        "out",
        definition="sum of n AUC / sum of n over the groups of `report.group` with both classes, n the weight of a "
        "group",
        better=Better.HIGHER,
        question=Question.RANKING,
        shown=EVERYWHERE,
        companions=(
            Companion("gauc_group", "the column of `report.group`", type=str),
            Companion("gauc_groups", "number of groups with both classes", type=int),
            Companion("gauc_rows", "share of the rows that are in such groups"),
        ),
        over_seeds=log_odds_interval,
    ),
    Metric(
        key="mean_group_auc",
        label="mean group AUC",
        meaning="the same, every group counted once",
        definition="`gauc` with each group counted once",
        better=Better.HIGHER,
        question=Question.RANKING,
        over_seeds=log_odds_interval,
    ),
    Metric(
        key="average_precision",
        label="average precision",
        meaning="the mean precision over all recalls; chance: the label rate",
        definition="mean of the precision at each positive: sum of (R_k - R_(k-1)) P_k",
        better=Better.HIGHER,
        question=Question.RANKING,
        compute=_of(ranking.average_precision),
        over_seeds=log_odds_interval,
    ),
    Metric(
        key="ks",
        label="KS",
        meaning="the widest gap between the classes' shares above one score",
        definition="largest distance between the score distributions of the classes",
        better=Better.HIGHER,
        question=Question.RANKING,
        compute=_of(lambda counts: ranking.ks(counts)[0]),
        companions=(
            Companion(
                "ks_threshold",
                "the score of `ks`, a probability",
                _of(lambda counts: float(sigmoid(ranking.ks(counts)[1]))),
            ),
        ),
        over_seeds=log_odds_interval,
    ),
    Metric(
        key="log_loss",
        label="log loss",
        meaning="in nats, lower is better, with its standard error; compares sets of the same label rate only; with "
        "its difference from that of the label rate alone",
        definition="mean of -ln p or -ln(1 - p), in nats",
        better=Better.LOWER,
        question=Question.PROBABILITIES,
        compute=_of(calibration.log_loss),
        shown=EVERYWHERE,
        companions=(
            Companion("log_loss_error", "standard error of `log_loss`", _of(calibration.log_loss_error)),
            Companion(
                "log_loss_excess",
                "log loss minus that of the constant label rate of the same set, in nats",
                _of(calibration.log_loss_excess),
            ),
            Companion(
                "log_loss_excess_error",
                "paired standard error of `log_loss_excess`, from each row's difference. Estimating the rate adds "
                "nothing at first order",
                _of(calibration.log_loss_excess_error),
            ),
        ),
        over_seeds=log_interval,
        paired=log_loss_row_differences,
    ),
    Metric(
        key="normalized_entropy",
        label="normalized entropy",
        meaning="log loss over that of the label rate alone; below 1 is a gain",
        definition="log loss over that of the constant label rate of the same set: below 1 the scores say more than "
        "the rate",
        better=Better.LOWER,
        question=Question.PROBABILITIES,
        compute=_of(calibration.normalized_entropy),
        shown=frozenset({Place.MARKDOWN}),
        over_seeds=log_interval,
    ),
    Metric(
        key="brier",
        label="Brier score",
        meaning="the mean squared error of the scores; lower is better",
        definition="mean of (p - y)^2",
        better=Better.LOWER,
        question=Question.PROBABILITIES,
        compute=_of(calibration.brier),
        over_seeds=log_interval,
    ),
    Metric(
        key="calibration",
        label="calibration",
        meaning="sum of scores over sum of labels, with its standard error; a z beyond ± 4 is more than chance",
        definition="sum of p / sum of y: above 1 the scores promise too much",
        better=Better.ONE,
        question=Question.PROBABILITIES,
        compute=_of(calibration.calibration),
        shown=frozenset({Place.MARKDOWN, Place.COMPARISON}),
        companions=(
            Companion(
                "calibration_error",
                "standard error of `calibration`, that of a ratio of two means. In a slice, the error if each row is "
                "positive by its p",
                _of(calibration.calibration_error),
            ),
            Companion(
                "calibration_z",
                "(sum wy - sum wp) / sqrt(sum w^2 p (1 - p)): beyond 4 it is not chance",
                _of(calibration.calibration_z),
            ),
        ),
        over_seeds=log_interval,
    ),
    Metric(
        key="expected_calibration_error",
        label="expected calibration error",
        meaning="how far mean score and label rate lie apart, the mean over deciles of the score",
        definition="mean of \\|mean score - label rate\\| over the ten deciles",
        better=Better.LOWER,
        question=Question.PROBABILITIES,
        compute=_of(calibration.expected_calibration_error),
    ),
    Metric(
        key="positive_rate",
        label="label rate",
        meaning="the share of rows with label 1, with its standard error",
        definition="mean of y",
        better=Better.NEITHER,
        question=Question.PROBABILITIES,
        compute=_of(calibration.positive_rate),
        shown=frozenset({Place.MARKDOWN, Place.TERMINAL}),
        companions=(
            Companion("positive_rate_error", "standard error of `positive_rate`", _of(calibration.positive_rate_error)),
            Companion(
                "positives",
                "effective number of rows with label 1, (sum wy)^2 / (sum w^2 y): their count where they weigh the "
                "same",
                _of(calibration.positives),
            ),
        ),
    ),
    Metric(
        key="mean_score",
        label="mean score",
        meaning="where far from the label rate, calibrate the scores before use",
        definition="mean of p",
        better=Better.NEITHER,
        question=Question.PROBABILITIES,
        compute=_of(calibration.mean_score),
        shown=frozenset({Place.TERMINAL}),
    ),
    Metric(
        key="precision",
        label="precision",
        meaning="of rows that score at least the threshold, the share with label 1",
        definition="share of label 1 among the rows with p at or above `report.threshold`",
        better=Better.HIGHER,
        question=Question.DECISIONS,
        compute=thresholds.precision,
        companions=(Companion("threshold", "`report.threshold`, a probability", lambda counts, threshold: threshold),),
    ),
    Metric(
        key="recall",
        label="recall",
        meaning="of rows with label 1, the share that scores at least so",
        definition="share of the rows with label 1 whose p is at or above `report.threshold`",
        better=Better.HIGHER,
        question=Question.DECISIONS,
        compute=thresholds.recall,
    ),
    Metric(
        key="f1",
        label="F1",
        meaning="the harmonic mean of both",
        definition="harmonic mean of `precision` and `recall`",
        better=Better.HIGHER,
        question=Question.DECISIONS,
        compute=thresholds.f1,
    ),
    Metric(
        key="best_f1",
        label="best F1",
        meaning="the highest that a threshold gives on these very rows",
        definition="`f1` at the threshold that maximizes it on these rows",
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
    """Return the metrics that a place shows, in their order."""
    return [metric for metric in CATALOG if place in metric.shown]


def entry(key: str) -> Metric:
    """Return the metric of a key."""
    return next(metric for metric in CATALOG if metric.key == key)


def paired_metrics() -> dict[str, Callable[..., RowDifferences]]:
    """Return key -> paired difference, of the metrics whose differences comparisons test."""
    return {metric.key: metric.paired for metric in CATALOG if metric.paired is not None}
