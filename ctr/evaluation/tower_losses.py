"""Means of the losses that a tower names, over scored examples."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from ctr.errors import Diverged
from ctr.evaluation.scoring import Scored
from ctr.evaluation.split_metrics import row_weights
from ctr.metrics.counts import sum_of_products


class MeanLosses:
    """The weighted mean of each loss of a tower, with the weights of the metrics of the same examples.

    Two states merge by `merge`.

    Args:
        weighted: True if examples have weights.
        negative_sampling_rate: sampling rate r of the negatives, which count 1/r; None: 1.
    """

    def __init__(self, weighted: bool, negative_sampling_rate: float | None) -> None:
        self.weighted, self.negative_sampling_rate = weighted, negative_sampling_rate
        self._sums: dict[str, float] = {}
        self._weight = 0.0

    def add(self, chunk: Scored) -> None:
        """Count scored examples."""
        weights = row_weights(chunk.batch, self.weighted, self.negative_sampling_rate)
        if weights is None:
            weights = np.ones(len(chunk.logit))
        sums = {name: sum_of_products(loss, weights) for name, loss in chunk.losses.items()}
        self._add(float(weights.sum()), sums)

    def counted(self, chunks: Iterable[Scored]) -> Iterator[Scored]:
        """Yield scored examples and count them."""
        for chunk in chunks:
            self.add(chunk)
            yield chunk

    def merge(self, other: "MeanLosses") -> "MeanLosses":
        """Return the state of both together."""
        merged = MeanLosses(self.weighted, self.negative_sampling_rate)
        for state in (self, other):
            merged._add(state._weight, state._sums)
        return merged

    def result(self) -> dict[str, float]:
        """Return `loss/<name>` -> mean; empty for a tower that names no loss.

        Raises:
            Diverged: a mean is not finite.
        """
        means = {f"loss/{name}": total / self._weight for name, total in self._sums.items()}
        for name, mean in means.items():
            if not np.isfinite(mean):
                raise Diverged(f"the mean of {name} is {mean}")
        return means

    def _add(self, weight: float, sums: Mapping[str, float]) -> None:
        self._weight += weight
        for name, total in sums.items():
            self._sums[name] = self._sums.get(name, 0.0) + total
