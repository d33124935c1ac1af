"""Weight of positives and of negatives at each distinct score, from which metrics of a split are computed."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

ORDINARY = 160  # log2 of the largest weight that is not scaled, and of its inverse; beyond the range of float32
APART = 2.0**300  # largest ratio of the weights of the classes


class Undefined(ValueError):
    """A measure that is not defined for these rows, with the reason."""


@dataclass(frozen=True)
class ScoreCounts:
    """Weight of positives and of negatives at each distinct score.

    Without weights all arrays are int64, so that they are exact, and the squares are the same arrays as the weights.
    With weights they are float64. Memory is O(distinct scores).

    Attributes:
        score: float32 [k], distinct logits in ascending order; infinite ones rank first and last.
        positives: [k], the weight of the positives with the score.
        negatives: [k], the weight of the negatives with the score.
        positive_squares: [k], the sum of the squared weights of the positives, for variances.
        negative_squares: [k], the sum of the squared weights of the negatives.
        exponent: the true weights are 2^exponent times these, so that squares neither overflow nor vanish; 0 unless the
            largest weight is outside 2^-160 to 2^160.
    """

    score: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray
    positive_squares: np.ndarray
    negative_squares: np.ndarray
    exponent: int = 0

    @classmethod
    def of(cls, logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None) -> "ScoreCounts":
        """Return the counts of rows, which can be in any order.

        Args:
            logit: float32 [rows], not NaN.
            label: 0 or 1, [rows].
            weight: [rows], finite, not negative; None for 1.

        Raises:
            ValueError: a logit is NaN.

        >>> counts = ScoreCounts.of(np.array([2, -1, 2], np.float32), np.array([1, 0, 0]))
        >>> counts.score.tolist(), counts.positives.tolist(), counts.negatives.tolist()
        ([-1.0, 2.0], [0, 1], [1, 1])
        """
        refuse_nan(logit)
        is_positive = label.astype(np.int8)
        if weight is None:
            return _collapsed(logit, is_positive, 1 - is_positive)
        exact, exponent = scaled(weight)
        positives, negatives = exact * is_positive, exact * (1 - is_positive)
        counts = _collapsed(logit, positives, negatives, exact * positives, exact * negatives)
        return replace(counts, exponent=exponent)

    def merge(self, other: "ScoreCounts") -> "ScoreCounts":
        """Return the counts of both together.

        >>> counts = ScoreCounts.of(np.array([2.0], np.float32), np.array([1]))
        >>> counts.merge(counts).positives.tolist()
        [2]
        """
        states = (self, other)
        exponent = max(
            (state.exponent for state in states if state.positives.any() or state.negatives.any()), default=0
        )
        scaled_states = [state._at(exponent) for state in states]
        names = ["score", "positives", "negatives"]
        if not all(state.positive_squares is state.positives for state in scaled_states):
            names += ["positive_squares", "negative_squares"]
        merged = _collapsed(*(np.concatenate([getattr(state, name) for state in scaled_states]) for name in names))
        return replace(merged, exponent=exponent)

    def on_grid(self, step: float) -> "ScoreCounts":
        """Return binned counts, with scores rounded to multiples of `step`, a power of two.

        Pairs in different bins keep their order, so the error of a ranking metric is bounded by its ties within bins
        (`ranking.auc_error`). The error of each score is at most step / 2, and so is the error of the log loss, whose
        slope in the logit is at most 1.
        """
        columns = [self.positives, self.negatives]
        if self.positive_squares is not self.positives:
            columns += [self.positive_squares, self.negative_squares]
        rounded = np.round(self.score.astype(np.float64) / step) * step
        return replace(_collapsed(rounded.astype(np.float32), *columns), exponent=self.exponent)

    @cached_property
    def probability(self) -> np.ndarray:
        """The score as a probability, float64 [k]."""
        return sigmoid(self.score)

    def classes(self) -> tuple[float, float]:
        """Return the weight of all positives and of all negatives.

        Raises:
            Undefined: both are 0.
        """
        positives, negatives = float(self.positives.sum()), float(self.negatives.sum())
        if positives + negatives == 0:
            raise Undefined("no examples with a weight above 0")
        return positives, negatives

    def some_positives(self) -> float:
        """Return the weight of all positives, for measures that need some.

        Raises:
            Undefined: the weight is 0.
        """
        positives, _ = self.classes()
        if positives == 0:
            raise Undefined("there are no positives")
        return positives

    def both_classes(self) -> tuple[float, float]:
        """Return the weight of all positives and of all negatives, for measures that need both.

        Raises:
            Undefined: one of them is 0, or too small for float64 to have its squares in a sum with those of the other.
        """
        positives, negatives = self.classes()
        if positives == 0 or negatives == 0:
            raise Undefined("the labels are of one class only")
        if not 1 / APART <= positives / negatives <= APART:
            raise Undefined("the weight of one class is more than 2e90 times that of the other")
        return positives, negatives

    def _at(self, exponent: int) -> "ScoreCounts":
        """Return the same counts with another exponent."""
        down = self.exponent - exponent
        if down == 0:
            return self
        weights = (np.ldexp(self.positives, down), np.ldexp(self.negatives, down))
        squares = (np.ldexp(self.positive_squares, 2 * down), np.ldexp(self.negative_squares, 2 * down))
        return ScoreCounts(self.score, *weights, *squares, exponent)


def refuse_nan(logit: np.ndarray) -> None:
    """Raise ValueError if a logit is NaN, which has no rank."""
    if count := int(np.isnan(logit).sum()):
        raise ValueError(f"logit: {count} of {len(logit)} are NaN. Leave these rows out; infinite logits are allowed.")


def scaled(weight: np.ndarray) -> tuple[np.ndarray, int]:
    """Return weights in float64, times 2^-e, and e, which is 0 unless the largest is outside 2^-160 to 2^160.

    Scaling by a power of two is exact. A metric does not depend on the scale of the weights, but their squares overflow
    from 1e154 and vanish below 1e-162.

    >>> scaled(np.array([2.0**600, 2.0**599]))
    (array([0.5 , 0.25]), 601)
    """
    exact = weight.astype(np.float64)
    exponent = int(np.frexp(exact.max(initial=0.0))[1])
    return (exact, 0) if abs(exponent) <= ORDINARY else (np.ldexp(exact, -exponent), exponent)


def sigmoid(logit: np.ndarray | float) -> np.ndarray:
    """Return 1 / (1 + exp(-logit)) in float64, without overflow.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    exact = np.asarray(logit, np.float64)
    small = np.exp(-np.abs(exact))
    return np.where(exact >= 0, 1, small) / (1 + small)


def sum_of_products(first: np.ndarray, second: np.ndarray) -> float:
    """Return the sum of first * second in float64, by pairwise summation.

    The order of additions depends only on the length. A dot product (`@`) would use BLAS, whose last digits depend on
    its number of threads.

    >>> sum_of_products(np.array([1, 2]), np.array([0.5, 0.25]))
    1.0
    """
    return float(np.multiply(first, second, dtype=np.float64).sum())


def run_starts(values: np.ndarray) -> np.ndarray:
    """Return the index at which each run of equal values begins.

    >>> run_starts(np.array([3, 3, 5, 3])).tolist()
    [0, 2, 3]
    """
    return np.flatnonzero(np.concatenate([np.ones(min(len(values), 1), bool), values[1:] != values[:-1]]))


def run_sums(column: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the sum of each run of `run_starts`, int64 or float64.

    >>> run_sums(np.array([1, 2, 5, 7]), np.array([0, 2, 3])).tolist()
    [3, 5, 7]
    """
    wide = np.result_type(column, np.int64)
    return np.add.reduceat(column, starts, dtype=wide) if len(starts) else column.astype(wide)


def _collapsed(score: np.ndarray, *columns: np.ndarray) -> ScoreCounts:
    """Return counts sorted by score, with the columns of equal scores added."""
    order = np.argsort(score)
    ordered = score[order]
    starts = run_starts(ordered)
    positives, negatives, *squares = (run_sums(column[order], starts) for column in columns)
    distinct = ordered[starts] + np.float32(0)  # -0.0 and 0.0 are one score
    return ScoreCounts(distinct, positives, negatives, *(squares or (positives, negatives)))
