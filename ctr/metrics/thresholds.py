"""Metrics of rows selected by score: precision, recall and F1 above a threshold, and ten groups of equal weight."""

import math
from bisect import bisect_left

import numpy as np
from typing_extensions import TypedDict

from ctr.metrics.counts import ScoreCounts, Undefined, sigmoid
from ctr.metrics.records import record

GROUPS = 10


def precision(counts: ScoreCounts, threshold: float) -> float:
    """Return the weighted fraction of positives among the rows whose probability is at least `threshold`.

    Raises:
        Undefined: no row reaches the threshold.
    """
    counts.classes()
    hits, selected = _cut(counts, threshold)
    if selected == 0:
        raise Undefined(f"no score reaches {threshold:g}")
    return hits / selected


def recall(counts: ScoreCounts, threshold: float) -> float:
    """Return the fraction of the positives whose probability is at least `threshold`.

    Raises:
        Undefined: there are no positives.
    """
    hits, _ = _cut(counts, threshold)
    return hits / counts.some_positives()


def f1(counts: ScoreCounts, threshold: float) -> float:
    """Return the harmonic mean of precision and recall, 2 hits / (selected + positives); 0 if nothing is selected.

    Raises:
        Undefined: there are no positives.
    """
    hits, selected = _cut(counts, threshold)
    return 2 * hits / (selected + counts.some_positives())


def best_f1(counts: ScoreCounts) -> tuple[float, float]:
    """Return the highest F1 of any threshold, and the threshold as a score, the highest among equals.

    The threshold is chosen on the same rows, so F1 is slightly optimistic if there are few.

    Raises:
        Undefined: there are no positives.
    """
    positives = counts.some_positives()
    hits = np.cumsum(counts.positives[::-1])
    selected = np.cumsum((counts.positives + counts.negatives)[::-1])
    values = 2 * hits / (selected + positives)
    best = int(np.argmax(values))
    return float(values[best]), float(counts.score[-1 - best])


@record
class Decile(TypedDict):
    """Group of one tenth of the total weight, by score."""

    weight: float
    """Sum of the weights of its examples."""
    mean_score: float
    """Mean probability."""
    positive_rate: float
    """Mean label."""
    positive_rate_error: float
    """Standard error of `positive_rate` if examples are positive with the probability of their score."""
    lift: float | None
    """`positive_rate` divided by the overall positive rate; null without positives."""
    captured: float
    """Fraction of all positives that are in this group or in groups with higher scores."""
    calibration: float | None
    """Sum of scores divided by sum of labels; null if the group does not have positives."""
    calibration_z: float | None
    """Sum of labels minus sum of scores, in standard errors; null if every score is 0 or 1."""


def deciles(counts: ScoreCounts) -> list[Decile]:
    """Return ten groups of equal weight, from the highest score to the lowest.

    Rows with equal scores at a border are divided in proportion, so the order of rows does not matter and a group can
    contain fractions of rows.

    Raises:
        Undefined: no row has a weight.
    """
    positives, negatives = counts.classes()
    p = counts.probability
    rows = counts.positives + counts.negatives
    variance = (counts.positive_squares + counts.negative_squares) * p * (1 - p)
    reached = _cumulative(rows)
    borders = np.arange(GROUPS + 1) * reached[-1] / GROUPS
    # a fraction of the rows with one score has the same fraction of their sums, so interpolation is linear
    weight, label, score, variance = (
        np.diff(np.interp(borders, reached, _cumulative(sums))) for sums in (rows, counts.positives, rows * p, variance)
    )
    for sums in (label, variance):
        sums[sums < 1e-12 * sums.sum()] = 0  # rounding of a border can leave a tiny fraction of a row
    rate = positives / (positives + negatives)
    captured = np.cumsum(label) / (label.sum() or 1.0)
    columns = (column.tolist() for column in (weight, label, score, variance, captured))
    return [
        {
            "weight": float(np.ldexp(w, counts.exponent)),
            "mean_score": s / w,
            "positive_rate": y / w,
            "positive_rate_error": math.sqrt(v) / w,
            "lift": y / w / rate if rate else None,
            "captured": fraction,
            "calibration": s / y if y else None,
            "calibration_z": (y - s) / math.sqrt(v) if v else None,
        }
        for w, y, s, v, fraction in zip(*columns, strict=True)
    ]


def _cut(counts: ScoreCounts, threshold: float) -> tuple[float, float]:
    """Return the weight of the positives at or above a probability, and of all rows there."""
    first = bisect_left(counts.score, threshold, key=lambda score: float(sigmoid(score)))
    hits = float(counts.positives[first:].sum())
    return hits, hits + float(counts.negatives[first:].sum())


def _cumulative(sums: np.ndarray) -> np.ndarray:
    """Return cumulative sums from the highest score down, starting with 0, float64 [k + 1]."""
    return np.concatenate([np.zeros(1), np.cumsum(sums[::-1], dtype=np.float64)])
