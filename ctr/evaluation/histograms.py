"""Histograms of the score and of every feature, over bins that the training data fixes: what PSI compares."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from ctr.metrics import CategoryBins, QuantileBins, bins_from_json, compare
from ctr.metrics.bins import Bins
from ctr.metrics.counts import sigmoid, sum_of_products
from ctr.metrics.psi import PSIResult
from ctr.metrics.shares import shares
from features import DataError, Ragged, Values, decoded

Value = TypeVar("Value")
SCORE = "score"
FEATURE = "feature/"


class Codes(NamedTuple):
    """The bin of each value of a column."""

    bins: np.ndarray  # [values]
    rows: np.ndarray | None  # the row that each value is of, [values]; None: one value a row

    def weights(self, weight: np.ndarray) -> np.ndarray:
        """The weight of each value, from those of the rows: the values of a list share that of their row."""
        if self.rows is None:
            return weight
        return (weight / np.maximum(np.bincount(self.rows, minlength=len(weight)), 1))[self.rows]


@dataclass(frozen=True)
class Binning:
    """The bins of each column, by name: `score`, and `feature/<name>`."""

    bins: dict[str, Bins]

    @classmethod
    def fitted(cls, sample: Mapping[str, list[Values]], bins: int) -> "Binning":
        """Bins from the parts of a sample; numbers get quantile bins, all else its most frequent values."""
        fitted: dict[str, Bins] = {}
        for name, parts in sample.items():
            values = _joined(parts)
            if pa.types.is_floating(values.type):
                fitted[name] = QuantileBins.fitted(values.to_numpy(zero_copy_only=False), bins)
            else:
                fitted[name] = CategoryBins.fitted(values, bins)
        return cls(fitted)

    def assign(self, values: Mapping[str, Values]) -> dict[str, Codes]:
        """The bin of every value of each column; an empty list counts as missing, once.

        Raises:
            DataError: a column holds text where the bins are of numbers.
        """
        codes = {}
        for name, bins in self.bins.items():
            try:
                codes[name] = _codes(values[name], bins)
            except pa.ArrowException as error:
                raise DataError(f"{name.partition('/')[2]!r} held numbers in training: {error}") from error
        return codes

    def count(self, name: str, values: Values) -> np.ndarray:
        """The rows of a column in each bin, float64 [bins]."""
        codes, size = _codes(values, self.bins[name]), self.bins[name].size
        rows = len(values.lengths) if isinstance(values, Ragged) else len(values)
        return np.bincount(codes.bins, codes.weights(np.ones(rows)), size)

    def labels(self, name: str) -> list[str]:
        """What each bin holds, in words; of the score, which is a logit, as a probability."""
        bins = self.bins[name]
        return bins.labels(sigmoid) if isinstance(bins, QuantileBins) and name == SCORE else bins.labels()


@dataclass
class Histograms:
    """The weight in every bin of each column. Two states over the same bins merge by `merge`.

    The values of a list share the weight of their row, and an empty list is missing. How much chance moves a
    distribution depends on its independent rows: (sum of weights)^2 / (sum of squared weights) of them.
    """

    binning: Binning
    counts: dict[str, np.ndarray] = field(default_factory=dict)  # name -> float64 [bins]
    weight: float = 0.0  # sum over rows
    square: float = 0.0  # sum of its squares

    def __post_init__(self) -> None:
        self.counts = self.counts or {name: np.zeros(bins.size) for name, bins in self.binning.bins.items()}

    @property
    def rows(self) -> float:
        """The effective number of rows: that of unweighted rows with as much noise."""
        return self.weight**2 / self.square if self.square else 0.0

    def add(self, codes: Mapping[str, Codes], weight: np.ndarray) -> None:
        """Count rows of these `weight`s, float64 [rows]."""
        self.weight += float(weight.sum())
        self.square += sum_of_products(weight, weight)
        for name, counts in self.counts.items():
            counts += np.bincount(codes[name].bins, codes[name].weights(weight), len(counts))

    def merge(self, other: "Histograms") -> "Histograms":
        """The state of both sets together."""
        counts = {name: self.counts[name] + other.counts[name] for name in self.counts}
        return Histograms(self.binning, counts, self.weight + other.weight, self.square + other.square)

    def compare(self, other: "Histograms", major_above: float) -> dict[str, PSIResult]:
        """PSI of `other` against these, by name."""
        return {
            name: compare(self.counts[name], other.counts[name], self.rows, other.rows, major_above)
            for name in self.counts
        }

    def describe(self, splits: Mapping[str, "Histograms"], ordered: Collection[str] = ()) -> dict[str, dict[str, Any]]:
        """Return labels and fractions of each bin in the reference and in each split, by column.

        Args:
            splits: histograms of each split.
            ordered: categorical columns whose bins are in ascending order of the value, such as hours by the clock;
                the bins of other columns are in the order of `Binning`.
        """
        return {
            name: self._description(
                name,
                splits,
                bins.ascending() if name in ordered and isinstance(bins, CategoryBins) else np.arange(bins.size),
            )
            for name, bins in self.binning.bins.items()
        }

    def _description(self, name: str, splits: Mapping[str, "Histograms"], order: np.ndarray) -> dict[str, Any]:
        labels = self.binning.labels(name)
        return {
            "labels": [labels[bin_] for bin_ in order],
            "reference": shares(self.counts[name][order]),
            "sets": {split: shares(histograms.counts[name][order]) for split, histograms in splits.items()},
        }

    def to_json(self) -> dict[str, Any]:
        columns = {
            name: {**bins.to_json(), "counts": self.counts[name].tolist()} for name, bins in self.binning.bins.items()
        }
        return {"weight": self.weight, "square": self.square, "columns": columns}

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> "Histograms":
        """What a `to_json` described."""
        columns = described["columns"]
        binning = Binning({name: bins_from_json(one) for name, one in columns.items()})
        counts = {name: np.array(one["counts"]) for name, one in columns.items()}
        return cls(binning, counts, described["weight"], described["square"])


def by_feature(found: Mapping[str, Value]) -> dict[str, Value]:
    """Return what was found of features, by the feature's name."""
    return {name.removeprefix(FEATURE): one for name, one in found.items() if name.startswith(FEATURE)}


def _codes(values: Values, bins: Bins) -> Codes:
    rows = None
    if isinstance(values, Ragged):
        is_empty, flat = values.lengths == 0, values.flat
        places = np.arange(len(is_empty))
        rows = np.concatenate([np.repeat(places, values.lengths), places[is_empty]])
        values = pa.concat_arrays([decoded(flat), pa.nulls(int(is_empty.sum()), decoded(flat).type)])
    if isinstance(bins, QuantileBins):
        return Codes(bins.assign(values.cast(pa.float64()).to_numpy(zero_copy_only=False)), rows)
    return Codes(bins.assign(values), rows)


def _joined(parts: list[Values]) -> pa.Array:
    """The values of several row groups; a column of nulls has no type of its own, so it is left out."""
    flat = [decoded(part.flat if isinstance(part, Ragged) else part) for part in parts]
    return pa.concat_arrays([values for values in flat if values.null_count < len(values)] or flat[:1])
