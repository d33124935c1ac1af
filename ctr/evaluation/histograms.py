"""Histograms of the score and of every feature, over bins that the training data fixes; PSI compares them."""

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
    rows: np.ndarray | None  # row of each value, [values]; None: one value per row

    def weights(self, weight: np.ndarray) -> np.ndarray:
        """Return the weight of each value from the weights of rows, which the values of a list share."""
        if self.rows is None:
            return weight
        return (weight / np.maximum(np.bincount(self.rows, minlength=len(weight)), 1))[self.rows]


@dataclass(frozen=True)
class Binning:
    """The bins of each column, by name: `score`, and `feature/<name>`."""

    bins: dict[str, Bins]

    @classmethod
    def fitted(cls, sample: Mapping[str, list[Values]], bins: int) -> "Binning":
        """Return bins of a sample, given in chunks: quantile bins for numbers, otherwise the most frequent values."""
        fitted: dict[str, Bins] = {}
        for name, chunks in sample.items():
            values = _concatenate(chunks)
            if pa.types.is_floating(values.type):
                fitted[name] = QuantileBins.fitted(values.to_numpy(zero_copy_only=False), bins)
            else:
                fitted[name] = CategoryBins.fitted(values, bins)
        return cls(fitted)

    def assign(self, values: Mapping[str, Values]) -> dict[str, Codes]:
        """Return the bin of every value of each column; an empty list counts as one missing value.

        Raises:
            DataError: a column holds text but its bins are numeric.
        """
        codes = {}
        for name, bins in self.bins.items():
            try:
                codes[name] = _codes(values[name], bins)
            except pa.ArrowException as error:
                raise DataError(f"{name.partition('/')[2]!r} held numbers in training: {error}") from error
        return codes

    def count(self, name: str, values: Values) -> np.ndarray:
        """Return the number of rows of a column in each bin, float64 [bins]."""
        codes, size = _codes(values, self.bins[name]), self.bins[name].size
        rows = len(values.lengths) if isinstance(values, Ragged) else len(values)
        return np.bincount(codes.bins, codes.weights(np.ones(rows)), size)

    def labels(self, name: str) -> list[str]:
        """Return a label for each bin; the score is a logit and is shown as a probability."""
        bins = self.bins[name]
        return bins.labels(sigmoid) if isinstance(bins, QuantileBins) and name == SCORE else bins.labels()


@dataclass
class Histograms:
    """The weight in every bin of each column. Two states over the same bins merge by `merge`.

    The values of a list share the weight of their row, and an empty list is missing. The noise of a distribution
    depends on its number of independent rows, (sum of weights)^2 / (sum of squared weights).
    """

    binning: Binning
    counts: dict[str, np.ndarray] = field(default_factory=dict)  # name -> float64 [bins]
    weight: float = 0.0  # sum of the weights of rows
    square: float = 0.0  # sum of their squares

    def __post_init__(self) -> None:
        self.counts = self.counts or {name: np.zeros(bins.size) for name, bins in self.binning.bins.items()}

    @property
    def rows(self) -> float:
        """The effective number of rows: the number of unweighted rows with the same noise."""
        return self.weight**2 / self.square if self.square else 0.0

    def add(self, codes: Mapping[str, Codes], weight: np.ndarray) -> None:
        """Count rows with these weights, float64 [rows]."""
        self.weight += float(weight.sum())
        self.square += sum_of_products(weight, weight)
        for name, counts in self.counts.items():
            counts += np.bincount(codes[name].bins, codes[name].weights(weight), len(counts))

    def merge(self, other: "Histograms") -> "Histograms":
        """Return the state of both together."""
        counts = {name: self.counts[name] + other.counts[name] for name in self.counts}
        return Histograms(self.binning, counts, self.weight + other.weight, self.square + other.square)

    def compare(self, other: "Histograms", major_above: float) -> dict[str, PSIResult]:
        """Return PSI of `other` against these histograms, by name."""
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
        """Return the bins and their counts as JSON values."""
        columns = {
            name: {**bins.to_json(), "counts": self.counts[name].tolist()} for name, bins in self.binning.bins.items()
        }
        return {"weight": self.weight, "square": self.square, "columns": columns}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Histograms":
        """Return the histograms of which `to_json` returned the values."""
        columns = values["columns"]
        binning = Binning({name: bins_from_json(column) for name, column in columns.items()})
        counts = {name: np.array(column["counts"]) for name, column in columns.items()}
        return cls(binning, counts, values["weight"], values["square"])


def by_feature(by_column: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values of the columns that are features, by the name of the feature."""
    return {name.removeprefix(FEATURE): value for name, value in by_column.items() if name.startswith(FEATURE)}


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


def _concatenate(chunks: list[Values]) -> pa.Array:
    """Return the values of several row groups, without chunks that are all null, which can have a different type."""
    flat = [decoded(chunk.flat if isinstance(chunk, Ragged) else chunk) for chunk in chunks]
    return pa.concat_arrays([values for values in flat if values.null_count < len(values)] or flat[:1])
