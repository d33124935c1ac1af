"""Rows that stand in the training data and in another set: a leak, unless rows repeat by themselves."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from ctr.checks.significance import COPIED_MARGIN, STANDARD_ERRORS, Z95
from ctr.schema.report import Duplicates
from features import OUT_OF_VOCABULARY, Batch, Encoder

NOT_IDENTIFIED = "the run was measured by an earlier version; train it again"
SEQUENCES = "sequences/"  # of a batch's keys
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Knuth, The Art of Computer Programming 3, 6.4


@dataclass(frozen=True)
class NeverTrained:
    """Features whose unknown ids are surely not in the training data: none of its ids is too rare to be known.

    Attributes:
        columns: of `ids`.
        sequences: their names.
    """

    columns: tuple[int, ...] = ()
    sequences: tuple[str, ...] = ()

    @classmethod
    def of(cls, encoder: Encoder) -> "NeverTrained":
        """Find these features of an encoder.

        A record of seen rows leaves out rows of weight 0, so with weights an unknown id may be in the training data.
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
            tuple(one["column"] for one in categories if one["name"] in certain),
            tuple(one["name"] for one in sequences if one["name"] in certain),
        )


def row_hashes(batch: Batch, never_trained: NeverTrained = NeverTrained()) -> np.ndarray:
    """A 64-bit hash of each row's label and of all that a model sees of it, uint64 [rows].

    0 where a value is out of vocabulary, in a sequence too: such a row may be like many, so nothing identifies it.

    Args:
        batch: the rows.
        never_trained: features of which an unknown id does identify a row, as one that was not copied. Without such
            rows, those that are left would repeat more often than all rows do.
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
    """Rows of a set that are in the first half of the sample. Two states merge by `merge`."""

    identified: int  # rows without a value out of vocabulary
    times: np.ndarray  # int64 [hashes], rows of each hash

    def merge(self, other: "Repeats") -> "Repeats":
        """The state of both sets together."""
        return Repeats(self.identified + other.identified, self.times + other.times)


@dataclass(frozen=True)
class TrainingHashes:
    """A fixed sample of the training rows by their hashes; half of it says how often rows repeat by themselves."""

    hashes: np.ndarray  # uint64, distinct, ascending: of the first half
    repeats: int  # rows of the second half that stand in the first
    halves: tuple[int, int]  # rows of each
    total: int  # rows of the training data
    negative_sampling_rate: float | None  # of the training data
    identified: tuple[int, int] | None = None  # rows of each half without an unknown value; None: an earlier version
    repeat_squares: int = 0  # sum over the hashes of the squared count of repeats

    @classmethod
    def of(
        cls, hashes: list[np.ndarray], halves: list[np.ndarray], total: int, negative_sampling_rate: float | None
    ) -> "TrainingHashes":
        """From the hashes of the sample's rows, and which of them are of the first half, part by part."""
        sample, is_first = np.concatenate(hashes), np.concatenate(halves)
        first, second = sample[is_first], sample[~is_first]
        distinct, times = np.unique(first, return_counts=True)
        # a row that stands there more often repeats by itself, and may do so more where it gets frequent
        once = distinct[(times == 1) & (distinct != 0)]
        found = _times(once, second)
        return cls(
            once,
            int(found.sum()),
            (len(first), len(second)),
            total,
            negative_sampling_rate,
            (int((first != 0).sum()), int((second != 0).sum())),
            int((found * found).sum()),
        )

    def find(self, hashes: np.ndarray) -> Repeats:
        """Look up rows of a set, uint64 [rows], in the first half."""
        return Repeats(int((hashes != 0).sum()), _times(self.hashes, hashes))

    def share(self, found: Repeats, negative_sampling_rate: float | None) -> Duplicates:
        """Estimate the share of a set's identified rows that were copied from the training data.

        Let t be the share of the set's identified rows that are in the first half, and b that of the second half's,
        which are rows that repeat by themselves. A copy is there with the chance q that its original is one of the
        kept hashes, q = hashes / identified training rows, or, if its original is not in the first half (chance 1 - f),
        with the chance b, as any row. So t = s (q + (1 - f) b) + (1 - s) b, and s = (t - b) / (q - f b).

        The errors of t and b are those of counts of rows that may repeat several times: sum over the hashes of the
        squared count.
        """
        reason = self._reason(found, negative_sampling_rate)
        if reason is not None or self.identified is None:
            return _no_share(found, reason or NOT_IDENTIFIED)
        rows, repeats, squares = found.identified, int(found.times.sum()), int((found.times**2).sum())
        first, second = self.identified
        drawn, known = sum(self.halves), (first + second) / sum(self.halves)
        half, by_itself = self.halves[0] / self.total, self.repeats / second
        gain = len(self.hashes) / (self.total * known) - half * by_itself
        if gain * self.total <= STANDARD_ERRORS * np.sqrt(len(self.hashes) + self.repeat_squares):
            return _no_share(found, "rows of the training data repeat too often to tell copies from them")
        raw = (repeats / rows - by_itself) / gain
        share = min(max(raw, 0.0), 1.0)
        of_repeats = (1 - share * half) * np.sqrt(self.repeat_squares) / second / gain
        of_known = share * np.sqrt((1 - known) / (known * drawn))
        others = float(np.hypot(of_repeats, of_known))
        error = float(np.hypot(np.sqrt(max(squares, 1)) / rows / gain, others))
        at_most = special.chdtri(2 * (repeats + 1), 0.025) / 2  # the Poisson mean under which so few are found in 2.5%
        above = (at_most - repeats) * np.sqrt(squares / repeats if repeats else 1.0) / rows / gain
        upper = min(max(raw, 0.0) + float(np.hypot(above, Z95 * others)), 1.0)
        is_suspect = share >= COPIED_MARGIN and share > STANDARD_ERRORS * error
        return {"share": share, "error": error, "upper": upper, "identified_rows": rows, "is_suspect": is_suspect}

    def to_json(self) -> dict[str, Any]:
        return {
            "repeats": self.repeats,
            "halves": list(self.halves),
            "total": self.total,
            "negative_sampling_rate": self.negative_sampling_rate,
            "identified": None if self.identified is None else list(self.identified),
            "repeat_squares": self.repeat_squares,
        }

    def _reason(self, found: Repeats, negative_sampling_rate: float | None) -> str | None:
        """Why nothing can be estimated from the counts, if so."""
        if self.identified is None:
            return NOT_IDENTIFIED
        if negative_sampling_rate != self.negative_sampling_rate:
            return "negatives were sampled otherwise than in training, so rows repeat otherwise"
        if not all(self.identified) or not found.identified:
            return "no row is without a value out of vocabulary"
        return None


class HashSample:
    """Hashes of a random sample of training rows, and which of them are of the first half: what `TrainingHashes` needs.

    Two states of rows that follow each other merge by `merge`.

    Args:
        seed: of the draws.
        share: of the rows, which are drawn one by one.
    """

    def __init__(self, seed: int, share: float) -> None:
        self.seed, self.share = seed, share
        self.hashes: list[np.ndarray] = []  # uint64
        self.halves: list[np.ndarray] = []  # bool

    def add(self, hashes: np.ndarray, place: int) -> None:
        """Draw from the rows of a row group.

        Args:
            hashes: of its rows, uint64 [rows].
            place: of the row group in the whole training data, not in a range of it: the draws depend on it.
        """
        drawn = hashes[np.random.default_rng([self.seed, 2, place]).random(len(hashes)) < self.share]
        self.hashes.append(drawn)
        self.halves.append(np.random.default_rng([self.seed, 5, place]).random(len(drawn)) < 0.5)

    def merge(self, other: "HashSample") -> "HashSample":
        """Return the state of both together, the rows of the other last."""
        merged = HashSample(self.seed, self.share)
        merged.hashes, merged.halves = self.hashes + other.hashes, self.halves + other.halves
        return merged


def _no_share(found: Repeats, reason: str) -> Duplicates:
    return {
        "share": None,
        "error": None,
        "upper": None,
        "identified_rows": found.identified,
        "is_suspect": False,
        "reason": reason,
    }


def _times(hashes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """How many of the rows have each of the ascending `hashes`, int64 [hashes]."""
    if not len(hashes):
        return np.zeros(0, np.int64)
    places = np.minimum(np.searchsorted(hashes, rows), len(hashes) - 1)
    return np.bincount(places[hashes[places] == rows], minlength=len(hashes)).astype(np.int64)
