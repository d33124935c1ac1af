"""Histograms of the score and of every feature, over bins that the training data fixes: what PSI compares."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ctr.curves import shares
from ctr.metrics import CategoryBins, QuantileBins, bins_from_json, compare
from ctr.metrics.binary import sigmoid
from ctr.metrics.psi import Bins
from ctr.run import read_json
from ctr.scoring import Scored, sampling_weights
from features import Ragged, Values, decoded


@dataclass
class Histograms:
    """The distributions of the score and of each feature over fixed bins.

    A negative of a set sampled at rate r counts 1/r, so that sampled and unsampled data compare. A sequence counts each
    of its values, and an empty one as missing. How much chance moves a distribution depends on its independent rows:
    rows, not values of a list, and (sum of weights)^2 / (sum of squared weights) of them.
    """

    bins: dict[str, Bins]  # "score", and "feature/<name>"
    counts: dict[str, np.ndarray] = field(default_factory=dict)
    weight: float = 0.0  # sum over rows
    square: float = 0.0  # sum of its squares

    @classmethod
    def fitted(cls, sample: list[Scored], bins: int) -> "Histograms":
        """Bins from a sample, empty counts."""
        logits = np.concatenate([part.logit for part in sample]).astype(np.float64)
        fitted: dict[str, Bins] = {"score": QuantileBins.fitted(logits, bins)}
        for name in sample[0].values:
            values = _joined([part.values[name] for part in sample])
            if pa.types.is_floating(values.type):
                fitted[f"feature/{name}"] = QuantileBins.fitted(values.to_numpy(zero_copy_only=False), bins)
            else:
                fitted[f"feature/{name}"] = CategoryBins.fitted(values, bins)
        return cls(fitted)

    @property
    def rows(self) -> float:
        """The effective number of rows: that of unweighted rows with as much noise."""
        return self.weight**2 / self.square if self.square else 0.0

    def empty(self) -> "Histograms":
        """The same bins without counts."""
        return Histograms(self.bins)

    def add(self, part: Scored, negative_sampling_rate: float | None) -> None:
        """Count scored rows."""
        weight = np.ones(len(part.logit))
        if negative_sampling_rate is not None:
            weight = sampling_weights(part.batch["label"], negative_sampling_rate)
        self.weight, self.square = self.weight + float(weight.sum()), self.square + float((weight**2).sum())
        self._add("score", part.logit.astype(np.float64), weight)
        for name, values in part.values.items():
            if isinstance(values, Ragged):
                is_empty, flat = values.lengths == 0, decoded(values.flat)
                found = pa.concat_arrays([flat, pa.nulls(int(is_empty.sum()), flat.type)])
                found_weight = np.concatenate([np.repeat(weight, values.lengths), weight[is_empty]])
                self._add(f"feature/{name}", found, found_weight)
            else:
                self._add(f"feature/{name}", decoded(values), weight)

    def compare(self, other: "Histograms", unstable_above: float) -> dict[str, Any]:
        """PSI of `other` against these: {"score": ..., "features": {name: ...}}."""
        found = {
            name: compare(self.counts[name], other.counts[name], self.rows, other.rows, unstable_above)
            for name in self.bins
        }
        features = {name.removeprefix("feature/"): psi for name, psi in found.items() if name != "score"}
        return {"score": found["score"], "features": features}

    def describe(self, sets: dict[str, "Histograms"]) -> dict[str, Any]:
        """Labels and shares of each bin, here and in `sets`, laid out as in `compare`; the score is a probability."""
        described = {
            name: {
                "labels": bins.labels(sigmoid) if isinstance(bins, QuantileBins) and name == "score" else bins.labels(),
                "reference": shares(self.counts[name]),
                "sets": {of: shares(histograms.counts[name]) for of, histograms in sets.items()},
            }
            for name, bins in self.bins.items()
        }
        features = {name.removeprefix("feature/"): one for name, one in described.items() if name != "score"}
        return {"score": described["score"], "features": features}

    def save(self, folder: Path) -> None:
        """Write `histograms.json` into a new folder."""
        folder.mkdir(parents=True)
        bins = {name: {**one.to_json(), "counts": self.counts[name].tolist()} for name, one in self.bins.items()}
        described = {"weight": self.weight, "square": self.square, "bins": bins}
        (folder / "histograms.json").write_text(json.dumps(described, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Histograms":
        """Read what `save` wrote."""
        described = read_json(folder / "histograms.json")
        return cls(
            bins={name: bins_from_json(one) for name, one in described["bins"].items()},
            counts={name: np.array(one["counts"]) for name, one in described["bins"].items()},
            weight=described["weight"],
            square=described["square"],
        )

    def _add(self, name: str, values: Any, weight: np.ndarray) -> None:
        bins = self.bins[name]
        if isinstance(bins, QuantileBins) and isinstance(values, pa.Array):
            values = values.to_numpy(zero_copy_only=False)
        counts = bins.count(values, weight)
        self.counts[name] = self.counts.get(name, np.zeros(len(counts))) + counts


def _joined(parts: list[Values]) -> pa.Array:
    """The values of several row groups; a column of nulls has no type of its own, so it is left out."""
    flat = [decoded(part.flat if isinstance(part, Ragged) else part) for part in parts]
    return pa.concat_arrays([values for values in flat if values.null_count < len(values)] or flat[:1])
