"""Examples of a split that duplicate training examples, which is a leak unless examples repeat naturally."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from ctr.checks.significance import DUPLICATE_MARGIN, STANDARD_ERRORS, Z95
from ctr.schema.report import Duplicates
from features import OUT_OF_VOCABULARY, Batch, Encoder

NOT_IDENTIFIED = "the run was trained by an earlier version; train it again"
SEQUENCES = "sequences/"  # of a batch's keys
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Knuth, The Art of Computer Programming 3, 6.4


@dataclass(frozen=True)
class NeverTrained:
    """Features whose unknown ids cannot be in the training data, because no id is too rare for the vocabulary.

    Attributes:
        columns: columns of `ids` of these features.
        sequences: names of those that are sequences.
    """

    columns: tuple[int, ...] = ()
    sequences: tuple[str, ...] = ()

    @classmethod
    def of(cls, encoder: Encoder) -> "NeverTrained":
        """Return these features of an encoder.

        The record of seen ids leaves out examples of weight 0, so an unknown id of weighted data can be in it.
        """
        weighted = encoder.columns is not None and encoder.columns.weight is not None
        certain = set()
        for name, feature in encoder.features.columns.items():
            if feature.unknown_ids == "fitted" and not feature.leaves_out_rare:
                certain.add(name)
            if feature.unknown_ids == "unseen" and encoder.can_be_unknown(name) and not weighted:
                certain.add(name)
        categories, sequences = encoder.layout["categories"], encoder.layout["sequences"]
        return cls(
            tuple(category["column"] for category in categories if category["name"] in certain),
            tuple(sequence["name"] for sequence in sequences if sequence["name"] in certain),
        )


def row_hashes(batch: Batch, never_trained: NeverTrained = NeverTrained()) -> np.ndarray:
    """Return a 64-bit hash of the label and all model inputs of each example, uint64 [rows].

    The hash is 0 if an id is out of vocabulary, in a sequence too: many examples can look the same then.

    Args:
        batch: encoded examples.
        never_trained: features whose unknown ids identify an example as one that was not copied. Without such
            examples, the others would repeat more often than all examples do.
    """
    hashed = np.zeros(len(batch["label"]), np.uint64)
    rare = np.delete(batch["ids"], never_trained.columns, axis=1) if never_trained.columns else batch["ids"]
    unknown = (rare == OUT_OF_VOCABULARY).any(axis=1)
    for key in sorted(batch):
        if key == "weight":
            continue
        if key.startswith(SEQUENCES) and key.removeprefix(SEQUENCES) not in never_trained.sequences:
            unknown |= (batch[key] == OUT_OF_VOCABULARY).any(axis=1)
        for words in np.ascontiguousarray(np.atleast_2d(batch[key].T)).view(np.uint32):
            hashed = (hashed ^ words) * MULTIPLIER
            hashed ^= hashed >> np.uint64(32)
    hashed[unknown] = 0
    return hashed


@dataclass(frozen=True)
class Repeats:
    """Examples of a split that are in the first half of the training sample. Two states merge by `merge`."""

    identified: int  # examples without an id out of vocabulary
    times: np.ndarray  # int64 [hashes], examples with each hash

    def merge(self, other: "Repeats") -> "Repeats":
        """Return the state of both together."""
        return Repeats(self.identified + other.identified, self.times + other.times)


@dataclass(frozen=True)
class TrainingHashes:
    """Hashes of a fixed sample of the training data. Its second half measures how often examples repeat naturally."""

    hashes: np.ndarray  # uint64, distinct, ascending: of the first half
    repeats: int  # examples of the second half that are in the first
    halves: tuple[int, int]  # examples of each
    total: int  # examples of the training data
    negative_sampling_rate: float | None  # of the training data
    identified: tuple[int, int] | None = None  # examples of each half without an unknown id; None: an earlier version
    repeat_squares: int = 0  # sum over the hashes of the squared count of repeats

    @classmethod
    def of(
        cls, hashes: list[np.ndarray], halves: list[np.ndarray], total: int, negative_sampling_rate: float | None
    ) -> "TrainingHashes":
        """Return the state of a sample.

        Args:
            hashes: hashes of the sampled examples, by chunk.
            halves: True for examples of the first half, by chunk.
            total: number of training examples.
            negative_sampling_rate: sampling rate of the negatives of the training data; None: 1.
        """
        sample, is_first = np.concatenate(hashes), np.concatenate(halves)
        first, second = sample[is_first], sample[~is_first]
        distinct, times = np.unique(first, return_counts=True)
        # an example that occurs there more than once repeats naturally, and might do so more often in later data
        once = distinct[(times == 1) & (distinct != 0)]
        repeats = _times(once, second)
        return cls(
            once,
            int(repeats.sum()),
            (len(first), len(second)),
            total,
            negative_sampling_rate,
            (int((first != 0).sum()), int((second != 0).sum())),
            int((repeats * repeats).sum()),
        )

    def find(self, hashes: np.ndarray) -> Repeats:
        """Return which examples of a split are in the first half, from their hashes, uint64 [rows]."""
        return Repeats(int((hashes != 0).sum()), _times(self.hashes, hashes))

    def copied_fraction(self, repeats: Repeats, negative_sampling_rate: float | None) -> Duplicates:
        """Estimate the fraction of the identified examples of a split that were copied from the training data.

        Let t be the fraction of the split's identified examples that are in the first half, and b the same fraction of
        the second half, whose examples repeat naturally. A copy is in the first half with probability q, that its
        original is one of the saved hashes, q = hashes / identified training examples, or, if its original is not in
        the first half (probability 1 - f), with probability b like any example. So t = s (q + (1 - f) b) + (1 - s) b,
        and s = (t - b) / (q - f b).

        The errors of t and b are those of counts of examples that can repeat several times: the sum over hashes of the
        squared count.
        """
        reason = self._reason(repeats, negative_sampling_rate)
        if reason is not None or self.identified is None:
            return _no_estimate(repeats, reason or NOT_IDENTIFIED)
        rows, repeated, squares = repeats.identified, int(repeats.times.sum()), int((repeats.times**2).sum())
        first, second = self.identified
        sampled, known = sum(self.halves), (first + second) / sum(self.halves)
        half, by_itself = self.halves[0] / self.total, self.repeats / second
        gain = len(self.hashes) / (self.total * known) - half * by_itself
        if gain * self.total <= STANDARD_ERRORS * np.sqrt(len(self.hashes) + self.repeat_squares):
            return _no_estimate(repeats, "training examples repeat too often to tell copies apart")
        raw = (repeated / rows - by_itself) / gain
        fraction = min(max(raw, 0.0), 1.0)
        of_repeats = (1 - fraction * half) * np.sqrt(self.repeat_squares) / second / gain
        of_known = fraction * np.sqrt((1 - known) / (known * sampled))
        others = float(np.hypot(of_repeats, of_known))
        error = float(np.hypot(np.sqrt(max(squares, 1)) / rows / gain, others))
        at_most = special.chdtri(2 * (repeated + 1), 0.025) / 2  # Poisson mean that gives so few with probability 2.5%
        above = (at_most - repeated) * np.sqrt(squares / repeated if repeated else 1.0) / rows / gain
        upper = min(max(raw, 0.0) + float(np.hypot(above, Z95 * others)), 1.0)
        is_suspect = fraction >= DUPLICATE_MARGIN and fraction > STANDARD_ERRORS * error
        return {"share": fraction, "error": error, "upper": upper, "identified_rows": rows, "is_suspect": is_suspect}

    def to_json(self) -> dict[str, Any]:
        """Return the counts as JSON values, without the hashes."""
        return {
            "repeats": self.repeats,
            "halves": list(self.halves),
            "total": self.total,
            "negative_sampling_rate": self.negative_sampling_rate,
            "identified": None if self.identified is None else list(self.identified),
            "repeat_squares": self.repeat_squares,
        }

    def _reason(self, repeats: Repeats, negative_sampling_rate: float | None) -> str | None:
        """Return why the counts allow no estimate, or None."""
        if self.identified is None:
            return NOT_IDENTIFIED
        if negative_sampling_rate != self.negative_sampling_rate:
            return "negatives were sampled at a different rate than in training"
        if not all(self.identified) or not repeats.identified:
            return "no examples without an id out of vocabulary"
        return None


class HashSample:
    """Hashes of a random sample of training examples, and its random halves, for `TrainingHashes`.

    Two states of consecutive examples merge by `merge`.

    Args:
        seed: random seed of the sample.
        fraction: probability that an example is sampled.
    """

    def __init__(self, seed: int, fraction: float) -> None:
        self.seed, self.fraction = seed, fraction
        self.hashes: list[np.ndarray] = []  # uint64
        self.halves: list[np.ndarray] = []  # bool

    def add(self, hashes: np.ndarray, index: int) -> None:
        """Sample the examples of a row group.

        Args:
            hashes: hashes of its examples, uint64 [rows].
            index: index of the row group in the whole training data, which seeds the sample.
        """
        sampled = hashes[np.random.default_rng([self.seed, 2, index]).random(len(hashes)) < self.fraction]
        self.hashes.append(sampled)
        self.halves.append(np.random.default_rng([self.seed, 5, index]).random(len(sampled)) < 0.5)

    def merge(self, other: "HashSample") -> "HashSample":
        """Return the state of both together, the examples of the other last."""
        merged = HashSample(self.seed, self.fraction)
        merged.hashes, merged.halves = self.hashes + other.hashes, self.halves + other.halves
        return merged


def _no_estimate(repeats: Repeats, reason: str) -> Duplicates:
    return {
        "share": None,
        "error": None,
        "upper": None,
        "identified_rows": repeats.identified,
        "is_suspect": False,
        "reason": reason,
    }


def _times(hashes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the number of rows with each of the ascending `hashes`, int64 [hashes]."""
    if not len(hashes):
        return np.zeros(0, np.int64)
    places = np.minimum(np.searchsorted(hashes, rows), len(hashes) - 1)
    return np.bincount(places[hashes[places] == rows], minlength=len(hashes)).astype(np.int64)
