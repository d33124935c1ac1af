"""Exact metrics: mergeable states, and pure functions of these states."""

from ctr.metrics.binary import BinaryMetrics
from ctr.metrics.bins import CategoryBins, QuantileBins, bins_from_json
from ctr.metrics.clusters import Clusters
from ctr.metrics.counts import ScoreCounts, Undefined, sigmoid
from ctr.metrics.groups import GroupMetrics, gauc
from ctr.metrics.monitor import MONITORS, Monitor
from ctr.metrics.paired import (
    Difference,
    RowDifferences,
    auc_difference,
    auc_row_differences,
    log_loss_difference,
    log_loss_row_differences,
)
from ctr.metrics.psi import compare, psi
from ctr.metrics.scales import log_interval, log_odds_interval
from ctr.metrics.seeds import difference_over_both, holm, mean_over_seeds, metric_over_seeds

__all__ = [
    "MONITORS",
    "BinaryMetrics",
    "CategoryBins",
    "Clusters",
    "Difference",
    "GroupMetrics",
    "Monitor",
    "QuantileBins",
    "RowDifferences",
    "ScoreCounts",
    "Undefined",
    "auc_difference",
    "auc_row_differences",
    "bins_from_json",
    "compare",
    "difference_over_both",
    "gauc",
    "holm",
    "log_interval",
    "log_loss_difference",
    "log_loss_row_differences",
    "log_odds_interval",
    "mean_over_seeds",
    "metric_over_seeds",
    "psi",
    "sigmoid",
]
