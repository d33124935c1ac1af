"""How often the training data has the ids of a row: whether a model ranks the rare as well as the frequent."""

from collections.abc import Mapping

import numpy as np

from features import NULL, OUT_OF_VOCABULARY, SPECIAL_ROWS, Batch, Encoder

MANY_VALUES = 100


class Frequencies:
    """For each categorical with a vocabulary of more than 100 values: how often the training data has a row's value."""

    def __init__(self, encoder: Encoder) -> None:
        counts = {name: feature.id_counts(encoder.fit_of(name)) for name, feature in encoder.features.columns.items()}
        self._buckets: Mapping[str, tuple[int, np.ndarray]] = {
            category["name"]: (category["column"], _bucket_of_each_row(times))
            for category in encoder.layout["categories"]
            if (times := counts[category["name"]]) is not None and len(times) > MANY_VALUES
        }

    @property
    def features(self) -> list[str]:
        """Their names."""
        return list(self._buckets)

    def __call__(self, batch: Batch) -> dict[str, np.ndarray]:
        """Feature -> the place in `BANDS` of each row's value, uint8 [rows]."""
        return {name: buckets[batch["ids"][:, column]] for name, (column, buckets) in self._buckets.items()}


def _bucket_of_each_row(counts: np.ndarray) -> np.ndarray:
    """The place in `BANDS` of each row of a table, from the counts of its vocabulary; uint8 [rows]."""
    buckets = np.empty(SPECIAL_ROWS + len(counts), np.uint8)
    buckets[:SPECIAL_ROWS] = 0
    buckets[NULL], buckets[OUT_OF_VOCABULARY] = 0, 1
    buckets[SPECIAL_ROWS:] = 2 + np.digitize(counts, [10, 100, 1000])
    return buckets
