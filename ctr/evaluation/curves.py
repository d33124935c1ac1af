"""curves.json: the data of the plots in report.html, thinned and binned so that its size is bounded."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ctr.metrics.counts import ScoreCounts
from ctr.metrics.shares import shares
from ctr.runs.files import write_text
from ctr.runs.run import Run

FILE = "curves.json"
POINTS = 200
SCORE_BINS = 40


def build_curves(splits: Mapping[str, ScoreCounts]) -> dict[str, dict[str, Any]]:
    """Return `roc`, `precision_recall` and `ks` of each split that has both classes."""
    usable = {name: counts for name, counts in splits.items() if counts.positives.any() and counts.negatives.any()}
    return {
        curve.__name__: {name: curve(counts) for name, counts in usable.items()}
        for curve in (roc, precision_recall, ks)
    }


def roc(counts: ScoreCounts) -> dict[str, list[float]]:
    """Return the ROC curve from (0, 0) to (1, 1), at most 200 of its exact points.

    They are spread evenly along the curve, with both ends of every straight piece longer than a fiftieth of it.
    """
    _, hits, alarms = _from_the_top(counts)
    right, up = np.diff(alarms), np.diff(hits)
    is_corner = np.concatenate([[True], right[:-1] * up[1:] != right[1:] * up[:-1], [True]])
    x, y = alarms[is_corner] / alarms[-1], hits[is_corner] / hits[-1]
    points = _evenly((x + y) / 2)
    return {"false_positive_rate": _round(x[points]), "true_positive_rate": _round(y[points])}


def precision_recall(counts: ScoreCounts) -> dict[str, list[float]]:
    """Return precision by recall, from the highest score down, at most 200 exact points."""
    _, hits, alarms = _from_the_top(counts)
    recall, precision = hits[1:] / hits[-1], hits[1:] / (hits[1:] + alarms[1:])
    points = _evenly(recall)
    return {"recall": _round(recall[points]), "precision": _round(precision[points])}


def ks(counts: ScoreCounts) -> dict[str, list[float]]:
    """Return the fraction of each class at or above each logit, from the highest down, at most 200 exact points."""
    logit, hits, alarms = _from_the_top(counts)
    x, y = alarms[1:] / alarms[-1], hits[1:] / hits[-1]
    points = _evenly((x + y) / 2)
    return {"logit": _round(logit[points]), "positives": _round(y[points]), "negatives": _round(x[points])}


def _from_the_top(counts: ScoreCounts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scores from the highest down, [k], and the cumulative weight of each class, float64 [k + 1] from 0."""
    is_counted = (counts.positives + counts.negatives) > 0
    hits = np.cumsum(np.append(0.0, counts.positives[is_counted][::-1]))
    alarms = np.cumsum(np.append(0.0, counts.negatives[is_counted][::-1]))
    return counts.score[is_counted][::-1].astype(np.float64), hits, alarms


def _evenly(along: np.ndarray) -> np.ndarray:
    """Return the indices of at most 200 points spread evenly along a curve, with the ends of its long pieces.

    Args:
        along: position of each point along the curve, ascending from 0 to 1.
    """
    beyond = np.minimum(np.searchsorted(along, np.linspace(0, 1, POINTS // 2)), len(along) - 1)
    return np.unique(np.concatenate([beyond, np.maximum(beyond - 1, 0)]))


def score_edges(logit: np.ndarray) -> list[float]:
    """Return the edges of about 40 bins of the score in log-odds, equally wide from the 0.1% to the 99.9% quantile."""
    low, high = np.quantile(logit.astype(np.float64), [0.001, 0.999])
    return np.unique(np.round(np.linspace(low, high, SCORE_BINS - 1), 6)).tolist()


def score_shares(counts: ScoreCounts, edges: list[float]) -> dict[str, list[float]]:
    """Return the fraction of positives and of negatives in each bin, [edges + 1]; an empty class is omitted."""
    bins = np.searchsorted(edges, counts.score)
    binned = {
        name: np.bincount(bins, weight, len(edges) + 1)
        for name, weight in (("positives", counts.positives), ("negatives", counts.negatives))
    }
    return {name: shares(weight) for name, weight in binned.items() if weight.sum()}


def save_curves(folder: Path, curves: dict[str, Any]) -> None:
    """Write `curves.json` with one list per line."""
    write_text(folder / FILE, _lines(curves) + "\n")


def load_curves(run: Run) -> dict[str, Any]:
    """Read `curves.json`.

    Raises:
        ConfigError: the file is missing or corrupt.
    """
    return run.read_json(FILE)


def _round(numbers: np.ndarray) -> list[float]:
    return np.round(numbers, 6).tolist()


def _lines(value: Any, depth: int = 1) -> str:
    if not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    entries = [
        f"{' ' * depth}{json.dumps(key, ensure_ascii=False)}: {_lines(entry, depth + 1)}"
        for key, entry in value.items()
    ]
    return "{\n" + ",\n".join(entries) + "\n" + " " * (depth - 1) + "}"
