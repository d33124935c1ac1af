"""Exact metrics: mergeable states and pure functions of them."""

from ctr.metrics.binary import BinaryMetrics
from ctr.metrics.bins import CategoryBins, QuantileBins, bins_from_json
from ctr.metrics.counts import ScoreCounts, Undefined, sigmoid
from ctr.metrics.groups import GroupMetrics, gauc
from ctr.metrics.paired import Difference, auc_difference, log_loss_difference
from ctr.metrics.psi import compare, psi

__all__ = [
    "BinaryMetrics",
    "CategoryBins",
    "Difference",
    "GroupMetrics",
    "QuantileBins",
    "ScoreCounts",
    "Undefined",
    "auc_difference",
    "bins_from_json",
    "compare",
    "gauc",
    "log_loss_difference",
    "psi",
    "sigmoid",
]
