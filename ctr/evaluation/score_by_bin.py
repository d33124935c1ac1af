"""Score and label by bin of a column: for drivers of score drift, slices, and features that leak the label."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ctr.evaluation.histograms import FEATURE, SCORE, Binning, Codes
from ctr.metrics import ScoreCounts, psi
from ctr.metrics.ranking import auc
from ctr.schema.drift import Driver

PRIOR_ROWS = 10.0  # rows of the overall distribution that are added to each bin, so that three rows decide nothing


@dataclass
class ScoreByBin:
    """Weight in every pair of a bin of a column and a bin of the score, and weight of positives in every bin.

    Two states over the same bins merge by `merge`.
    """

    binning: Binning
    scores: dict[str, np.ndarray] = field(default_factory=dict)  # name -> float64 [bins, score bins]
    positives: dict[str, np.ndarray] = field(default_factory=dict)  # name -> float64 [bins]

    def __post_init__(self) -> None:
        sizes = {name: bins.size for name, bins in self.binning.bins.items()}
        columns = [name for name in sizes if name != SCORE]
        self.scores = self.scores or {name: np.zeros((sizes[name], sizes[SCORE])) for name in columns}
        self.positives = self.positives or {name: np.zeros(sizes[name]) for name in columns}

    @property
    def features(self) -> list[str]:
        """Columns that are features."""
        return [name for name in self.scores if name.startswith(FEATURE)]

    def add(self, codes: Mapping[str, Codes], weight: np.ndarray, label: np.ndarray | None) -> None:
        """Count rows with these weights and labels, [rows]; without labels all count as 0."""
        score = codes[SCORE].bins
        hits = None if label is None else weight * label
        for name, scores in self.scores.items():
            bins, rows = codes[name]
            cells = bins.astype(np.int64) * scores.shape[1] + (score if rows is None else score[rows])
            scores += np.bincount(cells, codes[name].weights(weight), scores.size).reshape(scores.shape)
            if hits is not None:
                self.positives[name] += np.bincount(bins, codes[name].weights(hits), len(scores))

    def merge(self, other: "ScoreByBin") -> "ScoreByBin":
        """Return the state of both together."""
        scores = {name: counts + other.scores[name] for name, counts in self.scores.items()}
        positives = {name: counts + other.positives[name] for name, counts in self.positives.items()}
        return ScoreByBin(self.binning, scores, positives)

    def drivers(self, other: "ScoreByBin", score: np.ndarray, current: np.ndarray) -> list[Driver]:
        """Return how much of the score's drift the drift of each feature explains, the most first.

        The reference is reweighted to the current distribution of the feature's bins: P(s) = sum over bins of
        P_current(bin) P_reference(s | bin). PSI that remains from there to the current scores is not explained by the
        feature. In a bin that the reference hardly has, such as new values, P(s | bin) is the current one. Features
        that drift together each get the credit, so fractions need not sum to 1.

        Args:
            other: state of the current data.
            score: histogram of the score in the reference.
            current: histogram of the score in the current data.
        """
        total = psi(score, current)
        if not total:
            return []
        drivers: list[Driver] = []
        for name in self.features:
            old, new = self.scores[name], other.scores[name]
            old_sizes, new_sizes = old.sum(axis=1, keepdims=True), new.sum(axis=1, keepdims=True)
            by_bin = (old + PRIOR_ROWS * new / np.maximum(new_sizes, 1)) / (old_sizes + PRIOR_ROWS)
            # 0 if the distribution of the feature is unchanged
            change = ((new_sizes / new_sizes.sum() - old_sizes / old_sizes.sum()) * by_bin).sum(axis=0)
            reweighted = np.maximum(score / score.sum() + change, 0) * score.sum()
            remaining = psi(reweighted, current)
            drivers.append(
                {
                    "feature": name.removeprefix(FEATURE),
                    "score_psi": psi(score, reweighted),
                    "remaining": remaining,
                    "explained": 1 - remaining / total,
                }
            )
        return sorted(drivers, key=lambda driver: -driver["explained"])

    def single_feature_auc(self, other: "ScoreByBin") -> dict[str, float | None]:
        """Return the AUC of each feature alone on the other data, its bins ranked by their positive rate in this data.

        A single class in the other data gives None. An empty bin of this data has the overall rate.
        """
        return {
            name.removeprefix(FEATURE): auc_of_bins(
                self.positives[name],
                self.scores[name].sum(axis=1),
                other.positives[name],
                other.scores[name].sum(axis=1),
            )
            for name in self.features
        }

    def to_json(self) -> dict[str, Any]:
        """Return the sums by bin as JSON values, without the bins."""
        return {
            "scores": {name: counts.tolist() for name, counts in self.scores.items()},
            "positives": {name: counts.tolist() for name, counts in self.positives.items()},
        }

    @classmethod
    def from_json(cls, binning: Binning, values: Mapping[str, Any]) -> "ScoreByBin":
        """Return the state of which `to_json` returned the values."""
        arrays = {
            kind: {name: np.array(counts) for name, counts in values[kind].items()} for kind in ("scores", "positives")
        }
        return cls(binning, arrays["scores"], arrays["positives"])


def auc_of_bins(hits: np.ndarray, sizes: np.ndarray, other_hits: np.ndarray, other_sizes: np.ndarray) -> float | None:
    """Return the AUC of bins on other data, ranked by their positive rate in this data.

    An empty bin of this data has the overall rate.

    Args:
        hits: weight of the positives in each bin, float64 `[bins]`.
        sizes: weight of all rows in each bin, float64 `[bins]`.
        other_hits: `hits` of the other data.
        other_sizes: `sizes` of the other data.

    Returns:
        AUC; None if the other data has a single class.
    """
    overall = hits.sum() / max(sizes.sum(), 1)
    rate = (hits + PRIOR_ROWS * overall) / (sizes + PRIOR_ROWS)
    rates, index = np.unique(rate.astype(np.float32), return_inverse=True)
    positives = np.bincount(index, other_hits)
    negatives = np.maximum(np.bincount(index, other_sizes) - positives, 0)
    counts = ScoreCounts(rates, positives, negatives, positives, negatives)
    return auc(counts) if positives.any() and negatives.any() else None
