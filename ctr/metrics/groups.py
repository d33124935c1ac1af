"""Metrics of every group of rows (users, slices) in one pass, and GAUC, the mean of their AUCs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctr.metrics.calibration import log_losses
from ctr.metrics.counts import APART, ORDINARY, refuse_nan, run_starts, run_sums, sigmoid, sum_of_products

SIGN, SCORE_BITS = np.uint32(1 << 31), np.uint64(32)


@dataclass(frozen=True)
class GroupMetrics:
    """Sums and AUC of each group, in order of the value of the group; rows with a null value are left out.

    The sums of a group are of weights times 2^-exponent; the exponent is 0 for weights in the range of float32.

    Attributes:
        values: [groups], the distinct values.
        rows: int64 [groups].
        weight: [groups], the sum of the weights.
        label: [groups], the sum of weighted labels.
        score: float64 [groups], the sum of weighted probabilities.
        loss: float64 [groups], the sum of weighted log losses in nats.
        auc: float64 [groups]; NaN if a class is absent, or has less than 1 / 2e90 of the weight of the other.
        positive_squares: [groups], the sum of the squared weights of the positives.
        negative_squares: [groups], the sum of the squared weights of the negatives.
        variance: float64 [groups], the sum of w^2 p (1 - p).
        exponent: int [groups].
    """

    values: pa.Array
    rows: np.ndarray
    weight: np.ndarray
    label: np.ndarray
    score: np.ndarray
    loss: np.ndarray
    auc: np.ndarray
    positive_squares: np.ndarray
    negative_squares: np.ndarray
    variance: np.ndarray
    exponent: np.ndarray

    @property
    def auc_standard_error(self) -> np.ndarray:
        """The standard error of each AUC, float64 [groups]; NaN without an AUC.

        It depends on the AUC and the number of rows of each class; for weighted rows, on Kish's number.
        Source: Hanley, McNeil 1982, The Meaning and Use of the Area under a ROC Curve, equation 1 with the exponential
        model.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            positives = self.label**2 / self.positive_squares
            negatives = (self.weight - self.label) ** 2 / self.negative_squares
            q1, q2 = self.auc / (2 - self.auc), 2 * self.auc**2 / (1 + self.auc)
            spread = (positives - 1) * (q1 - self.auc**2) + (negatives - 1) * (q2 - self.auc**2)
            return np.sqrt(np.maximum(self.auc * (1 - self.auc) + spread, 0) / (positives * negatives))

    @property
    def calibration_z(self) -> np.ndarray:
        """(sum w y - sum w p) / sqrt(sum w^2 p (1 - p)), float64 [groups]; NaN if every score is 0 or 1."""
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (self.label - self.score) / np.sqrt(self.variance)
        return np.where(self.variance > 0, z, np.nan)

    @classmethod
    def of(
        cls, logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None, groups: Sequence[pa.Array]
    ) -> "GroupMetrics":
        """Compute the metrics with one sort by (group, score) and sums over runs, in O(rows log rows).

        Args:
            logit: float32 [rows], not NaN.
            label: 0 or 1, [rows].
            weight: [rows], finite, not negative; None for 1.
            groups: value of each row, [rows] in chunks of one type; null for no value.

        Raises:
            ValueError: a logit is NaN.
        """
        refuse_nan(logit)
        values, code = codes_of(groups)
        grouped = code >= 0
        if not grouped.all():
            logit, label, code = logit[grouped], label[grouped], code[grouped]
            weight = None if weight is None else weight[grouped]
        exponent = np.zeros(len(values), np.int32)
        if weight is not None:
            weight, exponent = _scale(weight, code, len(values))
        key = code.astype(np.uint64) << SCORE_BITS | _ordered_bits(logit)
        if weight is None:  # the label is the last bit of the key, which is faster than sorting by an index
            key = np.sort(key << np.uint64(1) | label.astype(np.uint64))
            is_positive = (key & np.uint64(1)).astype(np.int8)
            key >>= np.uint64(1)
            weights = np.ones(1, np.int8)
        else:
            order = np.argsort(key)
            key, is_positive, weights = key[order], label[order].astype(np.int8), weight[order]
        starts = run_starts(key)
        of_rows = weights * is_positive, weights * (1 - is_positive)
        positives, negatives = (run_sums(weights_of_class, starts) for weights_of_class in of_rows)
        squares = positives, negatives
        if weight is not None:
            squares = run_sums(weights * of_rows[0], starts), run_sums(weights * of_rows[1], starts)
        key = key[starts]
        score = _unordered_bits(key.astype(np.uint32))
        firsts = run_starts(key >> SCORE_BITS)  # where each group's scores begin
        p, n = run_sums(positives, firsts), run_sums(negatives, firsts)
        probability = sigmoid(score)
        return cls(
            values=values,
            rows=np.bincount(code, minlength=len(values)),
            weight=p + n,
            label=p,
            score=run_sums((positives + negatives) * probability, firsts),
            loss=run_sums(log_losses(score, positives, negatives), firsts),
            auc=_group_auc(positives, negatives, firsts),
            positive_squares=run_sums(squares[0], firsts),
            negative_squares=run_sums(squares[1], firsts),
            variance=run_sums(sum(squares) * probability * (1 - probability), firsts),
            exponent=exponent,
        )


def gauc(groups: GroupMetrics) -> dict[str, Any]:
    """Return GAUC: sum over groups of n AUC / sum of n, where n is the weight of a group (its impressions).

    Groups whose labels are of one class do not have an AUC and are left out. Source: Zhou et al. 2018, Deep Interest
    Network for Click-Through Rate Prediction.

    Returns:
        gauc; mean_group_auc, with equal weights; gauc_groups, the number of groups with both classes; gauc_rows, the
        fraction of the rows in these groups. Without such groups, "reasons" explains the first two, which are null.
    """
    has_auc = ~np.isnan(groups.auc)
    auc, weight, exponent = groups.auc[has_auc], groups.weight[has_auc], groups.exponent[has_auc]
    if exponent.any():
        weight = np.ldexp(weight, exponent - exponent.max())
    counted = {
        "gauc_groups": int(has_auc.sum()),
        "gauc_rows": float(groups.rows[has_auc].sum() / max(groups.rows.sum(), 1)),
    }
    if not len(auc):
        reasons = dict.fromkeys(("gauc", "mean_group_auc"), "no group has labels of both classes")
        return {"gauc": None, "mean_group_auc": None, **counted, "reasons": reasons}
    return {"gauc": sum_of_products(auc, weight) / float(weight.sum()), "mean_group_auc": float(auc.mean()), **counted}


def _scale(weight: np.ndarray, code: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights in float64, scaled by group like `counts.scaled`, and the exponents, int32 [groups]."""
    exact = weight.astype(np.float64)
    positive = exact[exact > 0]
    if not len(positive) or 2.0**-ORDINARY < positive.min() <= positive.max() < 2.0**ORDINARY:
        return exact, np.zeros(groups, np.int32)
    largest = np.zeros(groups)
    np.maximum.at(largest, code, exact)
    exponent = np.frexp(largest)[1]
    exponent[np.abs(exponent) <= ORDINARY] = 0
    return np.ldexp(exact, -exponent[code]), exponent


def codes_of(groups: Sequence[pa.Array]) -> tuple[pa.Array, np.ndarray]:
    """Return the distinct values in ascending order, and the index of the value of each row.

    Args:
        groups: value of each row, [rows] in chunks; chunks of different types are compared as text.

    Returns:
        values: [groups].
        code: int32 [rows], -1 for null.

    >>> values, code = codes_of([pa.array(["b", None, "a", "b"])])
    >>> values.to_pylist(), code.tolist()
    (['a', 'b'], [1, -1, 0, 1])
    """
    column = _of_one_type(groups)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = column.dictionary_encode().combine_chunks()
    values = encoded.dictionary
    ascending = pc.array_sort_indices(values).to_numpy()
    index = np.empty(len(values) + 1, np.int32)
    index[ascending] = np.arange(len(values), dtype=np.int32)
    index[-1] = -1
    return values.take(pa.array(ascending)), index[pc.fill_null(encoded.indices, -1).to_numpy()]


def _of_one_type(groups: Sequence[pa.Array]) -> pa.ChunkedArray:
    """Return all chunks in the type of those with values, or as text if these types differ."""
    types = {part.type for part in groups if part.null_count < len(part)} or {groups[0].type}
    common = types.pop() if len(types) == 1 else pa.large_string()
    return pa.chunked_array([part.cast(common) for part in groups], common)


def _ordered_bits(logit: np.ndarray) -> np.ndarray:
    """Return float32 numbers as uint32 with the same order; -0.0 becomes 0.0."""
    bits = (logit + np.float32(0)).view(np.uint32)
    return np.where(bits < SIGN, bits | SIGN, ~bits)


def _unordered_bits(bits: np.ndarray) -> np.ndarray:
    """Return the numbers that `_ordered_bits` converted."""
    return np.where(bits < SIGN, ~bits, bits ^ SIGN).view(np.float32)


def _group_auc(positives: np.ndarray, negatives: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """Return the AUC of each group from the counts at its scores; NaN if a class is absent or its weight vanishes."""
    p, n = run_sums(positives, firsts), run_sums(negatives, firsts)
    # The running sum spans all groups, so it is reset to 0 where a group begins. Otherwise it would lose the digits of
    # small weights. The rounding error that remains there is measured and subtracted, so that it does not accumulate.
    steps = negatives.copy()
    steps[firsts[1:]] -= n[:-1]
    running = np.cumsum(steps)
    left = running[firsts] - negatives[firsts]
    running -= np.repeat(left, np.diff(firsts, append=len(negatives)))
    twice = run_sums(positives * (2 * running - negatives), firsts)
    is_defined = (p > n / APART) & (n > p / APART)
    return np.divide(twice / 2, p.astype(np.float64) * n, out=np.full(len(p), np.nan), where=is_defined)
