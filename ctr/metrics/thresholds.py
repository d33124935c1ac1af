"""Rows cut by their score: precision, recall and F1 of those above a threshold, and ten groups of equal weight."""

import math
from bisect import bisect_left
from typing import Any

import numpy as np

from ctr.metrics.counts import ScoreCounts, Undefined, sigmoid

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


def deciles(counts: ScoreCounts) -> list[dict[str, Any]]:
    """Ten groups of equal weight, from the highest score to the lowest.

    Rows of one score that a border falls among are divided in proportion, so the order of the rows does not matter and
    a group may hold parts of rows.

    Returns:
        For each group: weight; mean_score, a probability; label_rate; lift, the label rate as a multiple of that of all
        rows; calibration and calibration_z, as of the whole. lift is None where no row is positive, calibration where
        none of the group is, calibration_z where every score of the group is 0 or 1.

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
    return [
        {
            "weight": float(np.ldexp(w, counts.exponent)),
            "mean_score": s / w,
            "label_rate": y / w,
            "lift": y / w / rate if rate else None,
            "calibration": s / y if y else None,
            "calibration_z": (y - s) / math.sqrt(v) if v else None,
        }
        for w, y, s, v in zip(*(each.tolist() for each in (weight, label, score, variance)), strict=True)
    ]


def _cut(counts: ScoreCounts, threshold: float) -> tuple[float, float]:
    """Weight of the positives at or above a probability, and of all rows there."""
    first = bisect_left(counts.score, threshold, key=lambda score: float(sigmoid(score)))
    hits = float(counts.positives[first:].sum())
    return hits, hits + float(counts.negatives[first:].sum())


def _running(sums: np.ndarray) -> np.ndarray:
    """0, and the sums from the highest score down to each: float64 [k + 1]."""
    return np.concatenate([np.zeros(1), np.cumsum(sums[::-1], dtype=np.float64)])
