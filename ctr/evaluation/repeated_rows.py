"""Rows that stand in the training data and in another set: a leak, unless rows repeat by themselves."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ctr.evaluation.significance import ERRORS
from features import OUT_OF_VOCABULARY, Batch

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Knuth, The Art of Computer Programming 3, 6.4


def row_hashes(batch: Batch) -> np.ndarray:
    """A 64-bit hash of each row's label and of all that a model sees of it, uint64 [rows].

    0 where a value is out of vocabulary: such a row may be like many.
    """
    hashed = np.zeros(len(batch["label"]), np.uint64)
    for key in sorted(batch):
        if key == "weight":
            continue
        for words in np.ascontiguousarray(np.atleast_2d(batch[key].T)).view(np.uint32):
            hashed = (hashed ^ words) * MULTIPLIER
            hashed ^= hashed >> np.uint64(32)
    hashed[(batch["ids"] == OUT_OF_VOCABULARY).any(axis=1)] = 0
    return hashed


@dataclass(frozen=True)
class TrainingRows:
    """A fixed sample of the training rows by their hashes; half of it says how often rows repeat by themselves."""

    hashes: np.ndarray  # uint64, distinct, ascending: of the first half
    repeats: int  # rows of the second half that stand in the first
    halves: tuple[int, int]  # rows of each
    total: int  # rows of the training data
    negative_sampling_rate: float | None  # of the training data

    @classmethod
    def of(
        cls, hashes: list[np.ndarray], halves: list[np.ndarray], total: int, negative_sampling_rate: float | None
    ) -> "TrainingRows":
        """From the hashes of the sample's rows, and which of them are of the first half, part by part."""
        sample, is_first = np.concatenate(hashes), np.concatenate(halves)
        first, second = sample[is_first], sample[~is_first]
        distinct, times = np.unique(first, return_counts=True)
        # a row that stands there more often repeats by itself, and may do so more where it gets frequent
        once = distinct[(times == 1) & (distinct != 0)]
        repeats = int(np.isin(second, once).sum())
        return cls(once, repeats, (len(first), len(second)), total, negative_sampling_rate)

    def count(self, hashes: np.ndarray) -> int:
        """How many of a set's rows stand in the first half."""
        places = np.searchsorted(self.hashes, hashes)
        return int((self.hashes[np.minimum(places, len(self.hashes) - 1)] == hashes).sum()) if len(self.hashes) else 0

    def share(self, found: int, rows: int, negative_sampling_rate: float | None) -> dict[str, Any]:
        """The estimated share of a set's rows that were copied from the training data.

        With t and b the shares of the set's and of the second half's rows that stand in the first half, the estimate is
        (t - b) total / |first half|: a copied row's original is in the first half that rarely.

        Returns:
            `share` from 0 to 1, `error` (its standard error), and `is_suspect`: at least 0.5 % and four errors. The
            first two are None where there are no rows, or where negatives were sampled otherwise than in training, so
            that rows repeat otherwise.
        """
        first, second = self.halves
        is_alike = negative_sampling_rate == self.negative_sampling_rate
        if not first or not second or not rows or not is_alike:
            return {"share": None, "error": None, "is_suspect": False}
        scale = self.total / first
        share = min(max((found / rows - self.repeats / second) * scale, 0.0), 1.0)
        error = scale * float(np.sqrt(found / rows**2 + self.repeats / second**2))
        return {"share": share, "error": error, "is_suspect": share >= 0.005 and share > ERRORS * error}

    def to_json(self) -> dict[str, Any]:
        return {
            "repeats": self.repeats,
            "halves": list(self.halves),
            "total": self.total,
            "negative_sampling_rate": self.negative_sampling_rate,
        }
