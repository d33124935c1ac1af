"""Standard errors and intervals for clustered rows: clusters, such as users, are independent, but rows are not.

Errors of the model on rows of one user are correlated, so these rows give less precision than the same number of rows
of different users. The rows of a cluster count as one observation: a metric is linearized, the contributions of rows
are summed by cluster, and the variance is computed from the sums. If each row is its own cluster, the result is
that of independent rows, up to the factor below.

The factor G / (G - 1) for G clusters becomes K / (K - 1), with Kish's effective number K = (sum W_c)^2 / sum W_c^2 of
clusters with weights W_c. K is G for equal weights, and smaller otherwise.

Sources: Liang, Zeger 1986, Longitudinal Data Analysis Using Generalized Linear Models, for variances from sums by
cluster; Cochran 1977, Sampling Techniques, section 9A, for ratios of such sums; Obuchowski 1997, Nonparametric Analysis
of Clustered ROC Curve Data, for the AUC; Carter, Schnepel, Steigerwald 2017, Asymptotic Behavior of a t-Test Robust to
Cluster Heterogeneity, for the effective number of clusters.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import special

from ctr.metrics import calibration
from ctr.metrics.counts import ScoreCounts, Undefined, sigmoid, sum_of_products
from ctr.metrics.groups import codes_of
from ctr.metrics.ranking import ROUNDING, auc, placements
from ctr.metrics.scales import log_odds_interval

CHUNK_ROWS = 1 << 20  # rows at a time, which bounds the memory of float64 temporaries


@dataclass(frozen=True)
class Clusters:
    """The cluster of each row.

    Attributes:
        code: int32 [rows], from 0 to count - 1.
        count: the number of clusters.
    """

    code: np.ndarray
    count: int

    @classmethod
    def of(cls, groups: Sequence[pa.Array]) -> "Clusters":
        """Number the clusters in ascending order of their value; each row with a null value is a cluster of its own.

        Args:
            groups: value of each row, [rows] in chunks of one type; null for no value.

        >>> clusters = Clusters.of([pa.array(["b", None, "a"]), pa.array(["b", None])])
        >>> clusters.code.tolist(), clusters.count
        ([1, 2, 0, 1, 3], 4)
        """
        values, code = codes_of(groups)
        alone = np.flatnonzero(code < 0)
        code[alone] = len(values) + np.arange(len(alone), dtype=np.int32)
        return cls(code, len(values) + len(alone))

    @property
    def effective_count(self) -> float:
        """Kish's number of clusters of equal size that give the same precision; 0 without rows."""
        rows = self.sums(np.ones(len(self.code)))
        return float(rows.sum()) ** 2 / float((rows**2).sum()) if len(rows) else 0.0

    def sums(self, column: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return the sum of a column over the rows of each cluster, float64 [count].

        Args:
            column: number for each of `rows`.
            rows: mask or indices of the rows to sum; by default all.
        """
        return np.bincount(self.code[rows], column, self.count)


@dataclass(frozen=True)
class ClusterSums:
    """Sums over the rows of each cluster, from which errors and intervals are computed; 48 bytes per cluster.

    Weights are multiplied by 2^-exponent of the `ScoreCounts` of the rows.

    Attributes:
        weight: float64 [clusters], the sum of the weights.
        label: float64 [clusters], the sum of weighted labels.
        score: float64 [clusters], the sum of weighted probabilities.
        loss: float64 [clusters], the sum of weighted log losses in nats.
        beaten: float64 [clusters], the sum over positives of the weighted fraction of negatives that each beats; None
            if a class is absent.
        lost: float64 [clusters], the sum over negatives of the weighted fraction of positives that each loses to; None
            if a class is absent.
    """

    weight: np.ndarray
    label: np.ndarray
    score: np.ndarray
    loss: np.ndarray
    beaten: np.ndarray | None
    lost: np.ndarray | None

    @classmethod
    def of(
        cls, logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None, clusters: Clusters, counts: ScoreCounts
    ) -> "ClusterSums":
        """Sum the rows by cluster, in O(rows log rows).

        Args:
            logit: float32 [rows].
            label: 0 or 1, [rows].
            weight: [rows], None for 1.
            clusters: clusters of these rows.
            counts: score counts of these rows.
        """
        try:
            at_scores = placements(counts)
        except Undefined:
            at_scores = None
        totals = np.zeros((6, clusters.count))
        for start in range(0, len(logit), CHUNK_ROWS):
            # sorted by score, which makes the search below four times as fast
            rows = start + np.argsort(logit[start : start + CHUNK_ROWS])
            y = label[rows].astype(np.float64)
            w = np.ones(len(y)) if weight is None else np.ldexp(weight[rows].astype(np.float64), -counts.exponent)
            columns = [w, w * y, w * sigmoid(logit[rows]), calibration.log_losses(logit[rows], w * y, w * (1 - y))]
            if at_scores is not None:
                index = np.searchsorted(counts.score, logit[rows])
                columns += [w * y * at_scores[0][index], w * (1 - y) * at_scores[1][index]]
            for total, column in zip(totals, columns, strict=False):
                total += clusters.sums(column, rows)
        w, wy, wp, loss, beaten, lost = totals
        has_both = at_scores is not None
        return cls(w, wy, wp, loss, beaten if has_both else None, lost if has_both else None)

    @property
    def effective_clusters(self) -> float:
        """Kish's number of clusters of equal weight, (sum W_c)^2 / sum W_c^2; 0 without a weight.

        Source: Kish 1965, Survey Sampling.
        """
        square = sum_of_products(self.weight, self.weight)
        return float(self.weight.sum()) ** 2 / square if square else 0.0


def variance_by_cluster(*strata: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    """Return the variance of a sum of weighted means over clustered rows, and its degrees of freedom.

    Each mean is over a stratum of the rows, such as the positives. With D_c the sum of w (x - mean) over the rows of
    cluster c in the stratum, W_c the sum of w, and W = sum W_c, the variance is

        sum over clusters of (sum over strata of D_c / sqrt(W^2 - sum W_c^2))^2

    For one stratum it is K / (K - 1) sum D_c^2 / W^2. For the positives and negatives of an AUC it is Obuchowski's,
    with the covariance between both classes of a cluster. Its factors I / (I - 1) are K / (K - 1) of each class, and
    for the covariance their geometric mean, so that the sum is never negative. The degrees of freedom are
    Satterthwaite's for the terms of the strata alone, each with K - 1.

    Args:
        *strata: D_c and W_c of each stratum, float64 [clusters].

    Raises:
        Undefined: all rows of a stratum are in one cluster.
    """
    joint = np.zeros(len(strata[0][0]))
    terms = []
    for deviation, weight in strata:
        total, square = float(weight.sum()), sum_of_products(weight, weight)
        more_than_one = total * total / square - 1
        if more_than_one < 1e-9:
            raise Undefined("fewer than two clusters to estimate a variance from")
        part = deviation / math.sqrt(total * total - square)
        joint += part
        terms.append((sum_of_products(part, part), more_than_one))
    variance, independent = sum_of_products(joint, joint), sum(term for term, _ in terms)
    return variance, independent**2 / sum(term**2 / freedom for term, freedom in terms) if independent else math.inf


def auc_interval(sums: ClusterSums, counts: ScoreCounts) -> tuple[float, float]:
    """Return the 95% CI of the AUC for independent clusters, on the log-odds scale.

    It is `ranking.auc_interval` with Obuchowski's variance (`variance_by_cluster`) instead of DeLong's.

    Args:
        sums: sums of the rows by cluster.
        counts: score counts of the same rows.

    Raises:
        Undefined: a class is absent or in one cluster only, or the variance is 0, as for a perfect ranking.
    """
    value = auc(counts)
    assert sums.beaten is not None
    assert sums.lost is not None
    negatives = sums.weight - sums.label
    variance, freedom = variance_by_cluster(
        (sums.beaten - value * sums.label, sums.label), (sums.lost - value * negatives, negatives)
    )
    if variance < ROUNDING or not 0 < value < 1:
        raise Undefined("the estimated variance is 0")
    return log_odds_interval(value, float(special.stdtrit(freedom, 0.975)) * math.sqrt(variance))


def measures(sums: ClusterSums, counts: ScoreCounts) -> dict[str, Callable[[], Any]]:
    """Return the functions that compute the intervals and errors of a split, by their keys in report.json.

    Args:
        sums: sums of the rows by cluster.
        counts: score counts of the same rows.
    """
    errors = (positive_rate_error, log_loss_error, log_loss_excess_error, calibration_error, calibration_z)
    return {
        "auc_interval": lambda: list(auc_interval(sums, counts)),
        **{error.__name__: partial(error, sums, counts) for error in errors},
    }


def positive_rate_error(sums: ClusterSums, counts: ScoreCounts) -> float:
    """Return the standard error of `calibration.positive_rate` for independent clusters; see `_mean_error`."""
    return _mean_error(sums.label, sums)


def log_loss_error(sums: ClusterSums, counts: ScoreCounts) -> float:
    """Return the standard error of `calibration.log_loss` for independent clusters; see `_mean_error`."""
    return _mean_error(sums.loss, sums)


def log_loss_excess_error(sums: ClusterSums, counts: ScoreCounts) -> float:
    """Return the standard error of the log loss minus that of the constant r = sum w y / sum w, paired by row.

    Estimating r from the same rows adds nothing at first order, because r minimizes the loss of a constant.

    Raises:
        Undefined: a class is absent, or all rows are in one cluster.
    """
    positives, negatives = counts.both_classes()
    rate = positives / (positives + negatives)
    constant = -math.log(rate) * sums.label - math.log1p(-rate) * (sums.weight - sums.label)
    return _mean_error(sums.loss - constant, sums)


def calibration_error(sums: ClusterSums, counts: ScoreCounts) -> float:
    """Return the standard error of the ratio `calibration.calibration` for independent clusters.

    The ratio R = sum w p / sum w y is linearized as sum w (p - R y) / sum w y.

    Raises:
        Undefined: there are no positives, or all rows are in one cluster.
    """
    ratio = calibration.calibration(counts)
    # the residuals sum to 0, so this is the error of their mean, converted from per row to per positive
    rows_per_positive = float(sums.weight.sum()) / counts.some_positives()
    return _mean_error(sums.score - ratio * sums.label, sums) * rows_per_positive


def calibration_z(sums: ClusterSums, counts: ScoreCounts) -> float:
    """Return (sum w y - sum w p) over its standard error, by clusters or by rows, whichever is larger.

    The error by clusters is estimated from the residuals w (y - p), summed by cluster. The error by rows follows from
    the scores, sqrt(sum w^2 p (1 - p)). With few positives, the first is far too small, because few residuals are
    large: without any positive it is nearly 0.

    Raises:
        Undefined: no row has a weight, every p is 0 or 1, or all rows are in one cluster.
    """
    by_rows = calibration.calibration_z(counts)
    error = _mean_error(sums.label - sums.score, sums) * float(sums.weight.sum())
    deviation = float((sums.label - sums.score).sum())
    return deviation / error if abs(deviation) < abs(by_rows) * error else by_rows


def _mean_error(totals: np.ndarray, sums: ClusterSums) -> float:
    """Return the standard error of the weighted mean of the numbers that `totals` has summed by cluster.

    Raises:
        Undefined: no row has a weight, all rows are in one cluster, or a log loss is infinite.
    """
    total = float(sums.weight.sum())
    if total == 0:
        raise Undefined("no examples with a weight above 0")
    if np.isinf(totals).any():
        raise Undefined(calibration.INFINITE_LOSS)
    mean = float(totals.sum()) / total
    return math.sqrt(variance_by_cluster((totals - mean * sums.weight, sums.weight))[0])
