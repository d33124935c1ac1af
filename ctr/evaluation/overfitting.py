"""Distinguish overfitting from drift if the scores of new examples differ in distribution from training scores.

A model that has memorized training examples scores their positives higher and their negatives lower than those of
unseen examples. On unseen examples, scores are then less extreme without any drift. A difference that moves the scores
of both classes in one direction, or that the drift of a feature explains, is never called overfitting.
"""

import math
from collections.abc import Mapping
from typing import Any

from ctr.checks.significance import STANDARD_ERRORS, auc_fall
from ctr.metrics import ScoreCounts
from ctr.metrics.counts import sum_of_products
from ctr.metrics.psi import Drift, PSIResult
from ctr.schema.drift import Driver, Overfitting

EXPLAINED = 0.1  # fraction of the score's PSI above which a feature counts as its cause

ClassScores = Mapping[str, list[float]]


def class_scores(counts: ScoreCounts) -> dict[str, list[float]] | None:
    """Return the mean score of the positives and of the negatives, each with its standard error; None without a class.

    >>> import numpy as np
    >>> counts = ScoreCounts.of(np.array([0, 0, 0, 1000], np.float32), np.array([0, 0, 1, 1]))
    >>> class_scores(counts)["negatives"]
    [0.5, 0.0]
    """
    by_class = {}
    of_classes = {
        "positives": (counts.positives, counts.positive_squares),
        "negatives": (counts.negatives, counts.negative_squares),
    }
    for name, (weight, squares) in of_classes.items():
        total = float(weight.sum())
        if not total:
            return None
        mean = sum_of_products(weight, counts.probability) / total
        by_class[name] = [mean, math.sqrt(sum_of_products(squares, (counts.probability - mean) ** 2)) / total]
    return by_class


def find_overfitting(
    psi: PSIResult,
    drivers: list[Driver],
    metrics: Mapping[str, Any],
    training: Mapping[str, Any],
    scores: ClassScores | None,
    training_scores: ClassScores | None,
    unseen: Mapping[str, tuple[PSIResult, PSIResult]],
) -> Overfitting | None:
    """Return the evidence that the drift of a split's scores is overfitting, or None.

    It is overfitting if all of these conditions hold:

    - the score has drifted against the training data;
    - the AUC is below that of the training data by more than four standard errors;
    - positives score lower and negatives higher than in the training data, each by more than four standard errors;
    - no feature's drift explains over 10% of the score's PSI;
    - every other unseen split with enough data has drifted against the training data too, but not against this split.

    Args:
        psi: PSI of the score against the training data.
        drivers: features that explain it, the most first.
        metrics: metrics of the split.
        training: the metrics of the training data's sample.
        scores: mean scores of the split by class.
        training_scores: mean scores of the training data's sample by class.
        unseen: name of another split that was not trained on -> PSI of its score against the training data, and PSI
            of this split's score against it.
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
    judged = {
        name: pair for name, pair in unseen.items() if all(result["drift"] != Drift.TOO_LITTLE_DATA for result in pair)
    }
    if any(not alone["drift"].has_drifted or between["drift"].has_drifted for alone, between in judged.values()):
        return None
    return {
        "explained": drivers[0]["explained"],
        "positives": [training_scores["positives"][0], scores["positives"][0]],
        "negatives": [training_scores["negatives"][0], scores["negatives"][0]],
        "between": {name: [alone["psi"], between["psi"]] for name, (alone, between) in judged.items()},
    }


def _rise(scores: ClassScores, training_scores: ClassScores, name: str) -> float:
    """Return by how many standard errors a class scores higher than in training."""
    (mean, error), (training_mean, training_error) = scores[name], training_scores[name]
    return (mean - training_mean) / max(math.hypot(error, training_error), 1e-300)
