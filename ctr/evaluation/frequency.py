"""Frequency bands of ids in the training data, for metrics of rare and frequent ids."""

from collections.abc import Mapping

import numpy as np

from features import NULL, OUT_OF_VOCABULARY, SPECIAL_ROWS, Batch, Encoder

MANY_VALUES = 100


class Frequencies:
    """Frequency bands of the ids of examples, for each categorical with a vocabulary of more than 100 values."""

    def __init__(self, encoder: Encoder) -> None:
        counts = {name: feature.id_counts(encoder.fit_of(name)) for name, feature in encoder.features.columns.items()}
        self._bands: Mapping[str, tuple[int, np.ndarray]] = {
            category["name"]: (category["column"], _band_of_each_id(times))
            for category in encoder.layout["categories"]
            if (times := counts[category["name"]]) is not None and len(times) > MANY_VALUES
        }

    @property
    def features(self) -> list[str]:
        """Names of the features."""
        return list(self._bands)

    def __call__(self, batch: Batch) -> dict[str, np.ndarray]:
        """Return feature -> index in `BANDS` of the id of each example, uint8 [rows]."""
        return {name: bands[batch["ids"][:, column]] for name, (column, bands) in self._bands.items()}


def _band_of_each_id(counts: np.ndarray) -> np.ndarray:
    """Return the index in `BANDS` of each id, special ids first, from the counts of its vocabulary; uint8 [ids]."""
    bands = np.empty(SPECIAL_ROWS + len(counts), np.uint8)
    bands[:SPECIAL_ROWS] = 0
    bands[NULL], bands[OUT_OF_VOCABULARY] = 0, 1
    bands[SPECIAL_ROWS:] = 2 + np.digitize(counts, [10, 100, 1000])
    return bands
