"""Means of the losses that a tower names, over scored examples."""

from collections.abc import Iterable, Iterator

import numpy as np

from ctr.errors import Diverged
from ctr.evaluation.scoring import Scored
from ctr.evaluation.split_metrics import row_weights
from ctr.metrics.counts import sum_of_products


class MeanLosses:
    """The weighted mean of each loss of a tower, with the weights of the metrics of the same examples.

    Args:
        weighted: the examples have weights.
        negative_sampling_rate: r of the data; a negative counts 1/r. None: 1.
    """

    def __init__(self, weighted: bool, negative_sampling_rate: float | None) -> None:
        self.weighted, self.negative_sampling_rate = weighted, negative_sampling_rate
        self._sums: dict[str, float] = {}
        self._weight = 0.0

    def counted(self, chunks: Iterable[Scored]) -> Iterator[Scored]:
        """Count scored examples while they are passed on."""
        for chunk in chunks:
            weights = row_weights(chunk.batch, self.weighted, self.negative_sampling_rate)
            if weights is None:
                weights = np.ones(len(chunk.logit))
            self._weight += float(weights.sum())
            for name, loss in chunk.losses.items():
                self._sums[name] = self._sums.get(name, 0.0) + sum_of_products(loss, weights)
            yield chunk

    def result(self) -> dict[str, float]:
        """`loss/<name>` -> its mean; empty for a tower that names no loss.

        Raises:
            Diverged: a mean is not finite.
        """
        means = {f"loss/{name}": total / self._weight for name, total in self._sums.items()}
        for name, mean in means.items():
            if not np.isfinite(mean):
                raise Diverged(f"the mean of {name} is {mean}")
        return means
