"""curves.json: what report.html draws, thinned and binned, so that it stays small whatever the data."""

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


def build_curves(sets: Mapping[str, ScoreCounts]) -> dict[str, dict[str, Any]]:
    """The curves of each set that has both classes: `roc`, `precision_recall`, `ks`."""
    both = {name: counts for name, counts in sets.items() if counts.positives.any() and counts.negatives.any()}
    return {
        curve.__name__: {name: curve(counts) for name, counts in both.items()} for curve in (roc, precision_recall, ks)
    }


def roc(counts: ScoreCounts) -> dict[str, list[float]]:
    """The ROC curve from (0, 0) to (1, 1), at most 200 of its exact points.

    They lie evenly along the curve, and both ends of every straight piece longer than a fiftieth of it are kept.
    """
    _, hits, alarms = _from_the_top(counts)
    right, up = np.diff(alarms), np.diff(hits)
    is_corner = np.concatenate([[True], right[:-1] * up[1:] != right[1:] * up[:-1], [True]])
    x, y = alarms[is_corner] / alarms[-1], hits[is_corner] / hits[-1]
    kept = _evenly((x + y) / 2)
    return {"false_positive_rate": _rounded(x[kept]), "true_positive_rate": _rounded(y[kept])}


def precision_recall(counts: ScoreCounts) -> dict[str, list[float]]:
    """Precision by recall, from the highest score down, at most 200 exact points."""
    _, hits, alarms = _from_the_top(counts)
    recall, precision = hits[1:] / hits[-1], hits[1:] / (hits[1:] + alarms[1:])
    kept = _evenly(recall)
    return {"recall": _rounded(recall[kept]), "precision": _rounded(precision[kept])}


def ks(counts: ScoreCounts) -> dict[str, list[float]]:
    """Share of either class that scores at least each logit, from the highest down, at most 200 exact points."""
    logit, hits, alarms = _from_the_top(counts)
    x, y = alarms[1:] / alarms[-1], hits[1:] / hits[-1]
    kept = _evenly((x + y) / 2)
    return {"logit": _rounded(logit[kept]), "positives": _rounded(y[kept]), "negatives": _rounded(x[kept])}


def _from_the_top(counts: ScoreCounts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores from the highest down, [k], and the weight of either class so far, float64 [k + 1] from 0."""
    seen = (counts.positives + counts.negatives) > 0
    hits = np.cumsum(np.append(0.0, counts.positives[seen][::-1]))
    alarms = np.cumsum(np.append(0.0, counts.negatives[seen][::-1]))
    return counts.score[seen][::-1].astype(np.float64), hits, alarms


def _evenly(along: np.ndarray) -> np.ndarray:
    """Places of at most 200 points that lie evenly along a curve, and of the ends of its long pieces.

    Args:
        along: how far along each point lies, ascending from 0 to 1.
    """
    beyond = np.minimum(np.searchsorted(along, np.linspace(0, 1, POINTS // 2)), len(along) - 1)
    return np.unique(np.concatenate([beyond, np.maximum(beyond - 1, 0)]))


def score_edges(logit: np.ndarray) -> list[float]:
    """Edges of some 40 bins of the score in log-odds: equally wide between the 0.1 % and the 99.9 % quantile."""
    low, high = np.quantile(logit.astype(np.float64), [0.001, 0.999])
    return np.unique(np.round(np.linspace(low, high, SCORE_BINS - 1), 6)).tolist()


def score_shares(counts: ScoreCounts, edges: list[float]) -> dict[str, list[float]]:
    """Share of the positives and of the negatives in each bin, [edges + 1]; a class that is absent is left out."""
    which = np.searchsorted(edges, counts.score)
    binned = {
        name: np.bincount(which, weight, len(edges) + 1)
        for name, weight in (("positives", counts.positives), ("negatives", counts.negatives))
    }
    return {name: shares(weight) for name, weight in binned.items() if weight.sum()}


def save_curves(folder: Path, curves: dict[str, Any]) -> None:
    """Write `curves.json`, a list a line."""
    write_text(folder / FILE, _lines(curves) + "\n")


def load_curves(run: Run) -> dict[str, Any]:
    """Read what `save_curves` wrote.

    Raises:
        ConfigError: the file is missing or damaged.
    """
    return run.read_json(FILE)


def _rounded(numbers: np.ndarray) -> list[float]:
    return np.round(numbers, 6).tolist()


def _lines(value: Any, depth: int = 1) -> str:
    if not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    entries = [
        f"{' ' * depth}{json.dumps(key, ensure_ascii=False)}: {_lines(entry, depth + 1)}"
        for key, entry in value.items()
    ]
    return "{\n" + ",\n".join(entries) + "\n" + " " * (depth - 1) + "}"
