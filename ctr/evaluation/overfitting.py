"""Tell overfitting from drift where the scores of new rows are distributed otherwise than those of the training data.

A model that has memorized its training rows scores their positives higher and their negatives lower than those of rows
that it has not seen. Scores then move from both sides to the middle without any drift. Drift that moves the scores of
both classes to one side, or that a feature's own shift explains, is never called overfitting.
"""

import math
from collections.abc import Mapping
from typing import Any

from ctr.checks.significance import STANDARD_ERRORS, auc_fall
from ctr.metrics import ScoreCounts
from ctr.metrics.counts import sum_of_products
from ctr.metrics.psi import Drift, PSIResult
from ctr.schema.drift import Driver, Overfitting

EXPLAINED = 0.1  # of the score's PSI: what a feature that drives it explains at least

ClassScores = Mapping[str, list[float]]


def class_scores(counts: ScoreCounts) -> dict[str, list[float]] | None:
    """Return the mean score of the positives and of the negatives, each with its standard error; None without a class.

    >>> import numpy as np
    >>> counts = ScoreCounts.of(np.array([0, 0, 0, 1000], np.float32), np.array([0, 0, 1, 1]))
    >>> class_scores(counts)["negatives"]
    [0.5, 0.0]
    """
    found = {}
    of_classes = {
        "positives": (counts.positives, counts.positive_squares),
        "negatives": (counts.negatives, counts.negative_squares),
    }
    for name, (weight, squares) in of_classes.items():
        total = float(weight.sum())
        if not total:
            return None
        mean = sum_of_products(weight, counts.probability) / total
        found[name] = [mean, math.sqrt(sum_of_products(squares, (counts.probability - mean) ** 2)) / total]
    return found


def find_overfitting(
    psi: PSIResult,
    drivers: list[Driver],
    metrics: Mapping[str, Any],
    training: Mapping[str, Any],
    scores: ClassScores | None,
    training_scores: ClassScores | None,
    unseen: Mapping[str, tuple[PSIResult, PSIResult]],
) -> Overfitting | None:
    """Return why the shift of a set's scores is overfitting and no drift, or None.

    It is overfitting where all of this holds:

    - the score has drifted against the training data;
    - the AUC is below that of the training data by more than four standard errors;
    - positives score lower and negatives higher than in the training data, each by more than four standard errors;
    - no feature's own shift explains over 10% of the score's PSI;
    - every other unseen set that has rows enough differs from the training data too, and not from this set.

    Args:
        psi: the score's, against the training data.
        drivers: the features, those that explain most first.
        metrics: of the set.
        training: the metrics of the training data's sample.
        scores: the set's mean scores by class.
        training_scores: those of the training data's sample.
        unseen: name of another set that was not trained on -> the PSI of its score against the training data, and of
            the set's score against it.
    """
    interval = metrics.get("auc_interval")
    if not psi["drift"].has_drifted or not drivers or interval is None or not training.get("auc"):
        return None
    if scores is None or training_scores is None:
        return None
    fall = auc_fall(metrics["auc"], interval, training["auc"], training.get("auc_interval"))
    if fall.errors <= STANDARD_ERRORS or drivers[0]["explained"] > EXPLAINED:
        return None
    if (
        _rise(scores, training_scores, "positives") >= -STANDARD_ERRORS
        or _rise(scores, training_scores, "negatives") <= STANDARD_ERRORS
    ):
        return None
    judged = {name: both for name, both in unseen.items() if all(one["drift"] != Drift.TOO_LITTLE_DATA for one in both)}
    if any(not alone["drift"].has_drifted or between["drift"].has_drifted for alone, between in judged.values()):
        return None
    return {
        "explained": drivers[0]["explained"],
        "positives": [training_scores["positives"][0], scores["positives"][0]],
        "negatives": [training_scores["negatives"][0], scores["negatives"][0]],
        "between": {name: [alone["psi"], between["psi"]] for name, (alone, between) in judged.items()},
    }


def _rise(scores: ClassScores, before: ClassScores, name: str) -> float:
    """How much higher a class scores than in training, in standard errors."""
    (mean, error), (mean_before, error_before) = scores[name], before[name]
    return (mean - mean_before) / max(math.hypot(error, error_before), 1e-300)
