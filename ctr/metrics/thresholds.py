"""Rows cut by their score: precision, recall and F1 of those above a threshold, and ten groups of equal weight."""

import math
from bisect import bisect_left

import numpy as np
from typing_extensions import TypedDict

from ctr.metrics.counts import ScoreCounts, Undefined, sigmoid
from ctr.metrics.records import record

GROUPS = 10


def precision(counts: ScoreCounts, threshold: float) -> float:
    """Weight of the positives among the rows whose probability is at least `threshold`, as a share of these rows.

    Raises:
        Undefined: no row reaches the threshold.
    """
    counts.classes()
    hits, selected = _cut(counts, threshold)
    if selected == 0:
        raise Undefined(f"no score reaches {threshold:g}")
    return hits / selected


def recall(counts: ScoreCounts, threshold: float) -> float:
    """Share of the positives whose probability is at least `threshold`.

    Raises:
        Undefined: there are no positives.
    """
    hits, _ = _cut(counts, threshold)
    return hits / counts.some_positives()


def f1(counts: ScoreCounts, threshold: float) -> float:
    """Harmonic mean of precision and recall at `threshold`, 2 hits / (selected + positives): 0 if nothing is selected.

    Raises:
        Undefined: there are no positives.
    """
    hits, selected = _cut(counts, threshold)
    return 2 * hits / (selected + counts.some_positives())


def best_f1(counts: ScoreCounts) -> tuple[float, float]:
    """The highest F1 that a threshold gives, and that threshold as a score: the highest one, where several do.

    It is chosen on the very rows that it is measured on, so it flatters a little where they are few.

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
    """One of ten groups of equal weight, from the highest score to the lowest."""

    weight: float
    """Sum of the weights of its rows."""
    mean_score: float
    """Mean probability."""
    positive_rate: float
    """Mean label."""
    positive_rate_error: float
    """Standard error of `positive_rate` if every row is positive by its score."""
    lift: float | None
    """`positive_rate` over that of all rows; null where no row is positive."""
    captured: float
    """Share of all positives that are in this group and in those above it."""
    calibration: float | None
    """Sum of scores over sum of labels; null where no row of the group is positive."""
    calibration_z: float | None
    """Sum of labels minus sum of scores, in standard errors; null where every score is 0 or 1."""


def deciles(counts: ScoreCounts) -> list[Decile]:
    """Ten groups of equal weight, from the highest score to the lowest.

    Rows of one score that a border falls among are divided in proportion, so the order of the rows does not matter and
    a group may hold parts of rows.

    Raises:
        Undefined: no row has a weight.
    """
    positives, negatives = counts.classes()
    p = counts.probability
    rows = counts.positives + counts.negatives
    variance = (counts.positive_squares + counts.negative_squares) * p * (1 - p)
    reached = _running(rows)
    borders = np.arange(GROUPS + 1) * reached[-1] / GROUPS
    # a share of the rows of one score is the same share of all their sums: linear between two scores
    weight, label, score, variance = (
        np.diff(np.interp(borders, reached, _running(sums))) for sums in (rows, counts.positives, rows * p, variance)
    )
    for sums in (label, variance):
        sums[sums < 1e-12 * sums.sum()] = 0  # a border that rounding moved took a splinter of a row along
    rate = positives / (positives + negatives)
    captured = np.cumsum(label) / (label.sum() or 1.0)
    columns = (each.tolist() for each in (weight, label, score, variance, captured))
    return [
        {
            "weight": float(np.ldexp(w, counts.exponent)),
            "mean_score": s / w,
            "positive_rate": y / w,
            "positive_rate_error": math.sqrt(v) / w,
            "lift": y / w / rate if rate else None,
            "captured": share,
            "calibration": s / y if y else None,
            "calibration_z": (y - s) / math.sqrt(v) if v else None,
        }
        for w, y, s, v, share in zip(*columns, strict=True)
    ]


def _cut(counts: ScoreCounts, threshold: float) -> tuple[float, float]:
    """Weight of the positives at or above a probability, and of all rows there."""
    first = bisect_left(counts.score, threshold, key=lambda score: float(sigmoid(score)))
    hits = float(counts.positives[first:].sum())
    return hits, hits + float(counts.negatives[first:].sum())


def _running(sums: np.ndarray) -> np.ndarray:
    """0, and the sums from the highest score down to each: float64 [k + 1]."""
    return np.concatenate([np.zeros(1), np.cumsum(sums[::-1], dtype=np.float64)])
