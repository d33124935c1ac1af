"""Exact metrics: mergeable states and pure functions of them."""

from ctr.metrics.binary import BinaryMetrics
from ctr.metrics.psi import CategoryBins, QuantileBins, bins_from_json, compare, psi

__all__ = ["BinaryMetrics", "CategoryBins", "QuantileBins", "bins_from_json", "compare", "psi"]
