"""The score and the label within each bin of a column: what drives a shift, slices, and features that tell too much."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ctr.evaluation.histograms import FEATURE, SCORE, Binning, Codes
from ctr.metrics import ScoreCounts, psi
from ctr.metrics.ranking import auc
from ctr.schema.drift import Driver

DOUBT = 10.0  # rows of the overall distribution that are added to a bin's own, so that three rows decide nothing


@dataclass
class ScoreByBin:
    """Weight in every pair of a column's bin and the score's bin, and of label 1 in every bin.

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
        """The columns that are features."""
        return [name for name in self.scores if name.startswith(FEATURE)]

    def add(self, codes: Mapping[str, Codes], weight: np.ndarray, label: np.ndarray | None) -> None:
        """Count rows of these weights and labels, [rows]; labels of None count as 0."""
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

    def drivers(self, other: "ScoreByBin", score: np.ndarray, moved: np.ndarray) -> list[Driver]:
        """How much of the score's shift each feature's own shift explains, the most first.

        Give the reference's rows the other set's mix of the feature's bins: P(s) = sum over bins of P_other(bin)
        P_reference(s | bin). What PSI remains from there to the other set's scores is not this feature's doing. In a
        bin that the reference hardly has, as of new values, P is the other set's own. Features that move together each
        get the credit, so shares need not sum to 1.

        Args:
            other: of the set that moved.
            score: the reference's histogram of the score.
            moved: that of the other set.
        """
        whole = psi(score, moved)
        if not whole:
            return []
        found: list[Driver] = []
        for name in self.features:
            there, now = self.scores[name], other.scores[name]
            sizes, mix = there.sum(axis=1, keepdims=True), now.sum(axis=1, keepdims=True)
            given = (there + DOUBT * now / np.maximum(mix, 1)) / (sizes + DOUBT)
            change = ((mix / mix.sum() - sizes / sizes.sum()) * given).sum(axis=0)  # 0 where the mix is as it was
            remixed = np.maximum(score / score.sum() + change, 0) * score.sum()
            remaining = psi(remixed, moved)
            found.append(
                {
                    "feature": name.removeprefix(FEATURE),
                    "score_psi": psi(score, remixed),
                    "remaining": remaining,
                    "explained": 1 - remaining / whole,
                }
            )
        return sorted(found, key=lambda one: -one["explained"])

    def single_feature_auc(self, other: "ScoreByBin") -> dict[str, float | None]:
        """AUC in the other set of each feature alone: its bins ranked by their label rate here.

        None where the other set has one class only. A bin that is empty here has the rate of all rows.
        """
        found: dict[str, float | None] = {}
        for name in self.features:
            hits, sizes = self.positives[name], self.scores[name].sum(axis=1)
            overall = hits.sum() / max(sizes.sum(), 1)
            rate = (hits + DOUBT * overall) / (sizes + DOUBT)
            there, their_hits = other.scores[name].sum(axis=1), other.positives[name]
            rates, place = np.unique(rate.astype(np.float32), return_inverse=True)
            positives = np.bincount(place, their_hits)
            negatives = np.maximum(np.bincount(place, there) - positives, 0)
            counts = ScoreCounts(rates, positives, negatives, positives, negatives)
            both = positives.any() and negatives.any()
            found[name.removeprefix(FEATURE)] = auc(counts) if both else None
        return found

    def to_json(self) -> dict[str, Any]:
        return {
            "scores": {name: counts.tolist() for name, counts in self.scores.items()},
            "positives": {name: counts.tolist() for name, counts in self.positives.items()},
        }

    @classmethod
    def from_json(cls, binning: Binning, described: Mapping[str, Any]) -> "ScoreByBin":
        """What a `to_json` described."""
        arrays = {
            kind: {name: np.array(counts) for name, counts in described[kind].items()}
            for kind in ("scores", "positives")
        }
        return cls(binning, arrays["scores"], arrays["positives"])
