"""Bucket edges of a number, chosen so that each bucket holds about equally many rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from features.fits.fit import Fit, Fitting


@dataclass(frozen=True, eq=False)
class Edges(Fit):
    """Upper ends of the buckets of a numeric `as: buckets`: bucket k holds ends[k - 1] < x <= ends[k].

    Args:
        ends: ends, float64, ascending; the last bucket has no end.
    """

    section = "edges"

    ends: np.ndarray

    @classmethod
    def save(cls, fits: Mapping[str, Self], folder: Path) -> Any:
        return {key: edges.ends.tolist() for key, edges in fits.items()}

    @classmethod
    def load(cls, saved: Any, folder: Path) -> dict[str, Self]:
        return {key: cls(np.array(ends, np.float64)) for key, ends in saved.items()}


class EdgeSample(Fitting):
    """Sample of a number from the training data, row group by row group.

    Args:
        key: name of the feature.
        buckets: maximum number of buckets.
        sampled: sampled numbers, float64 arrays; NaN is a missing number.
    """

    fit = Edges

    def __init__(self, key: str, buckets: int, *sampled: np.ndarray) -> None:
        self.key, self.buckets, self.sampled = key, buckets, list(sampled)

    def merge(self, other: Self) -> Self:
        self.sampled += other.sampled
        return self

    def result(self) -> Edges:
        """Return ends midway between a quantile of the sample and the next larger value.

        A value that is rounded differently, such as a float32 among float64s, then stays in its bucket.
        """
        sample = np.concatenate([np.empty(0), *self.sampled])
        present = sample[~np.isnan(sample)]
        if not len(present):
            return Edges(np.empty(0))
        values = np.unique(present)
        ends = np.unique(np.quantile(present, np.arange(1, self.buckets) / self.buckets, method="inverted_cdf"))
        ends = ends[ends < values[-1]]
        above = values[np.searchsorted(values, ends, side="right")]
        middle = ends + (above - ends) / 2
        return Edges(np.where(middle < above, middle, ends))
