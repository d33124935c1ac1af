"""AUC of one column alone, to find columns that are known only after the label."""

from typing import Any

import numpy as np
import pyarrow as pa

from ctr.evaluation.histograms import Binning
from ctr.evaluation.score_by_bin import auc_of_bins
from features import is_text

LEAK_AUC, SUSPECT_AUC = 0.98, 0.95
"""AUC of a single column from which it is left out, and above which the config warns, as a report does."""
BINS = 100
SEED = 0


def labels_of(sample: pa.Array) -> np.ndarray:
    """Return sampled labels as 0 and 1, float64 `[rows]`."""
    if is_text(sample.type):
        return np.isin(sample.to_numpy(zero_copy_only=False).astype(str), ["1", "true"]).astype(np.float64)
    return (sample.to_numpy(zero_copy_only=False) == 1).astype(np.float64)


def single_column_auc(sample: pa.Array, labels: np.ndarray) -> float | None:
    """Return the AUC of a column alone: the positive rates of its bins in one half of the sample rank the other half.

    Numbers have 100 quantile bins; other values the 100 most frequent, the rest, those that are new to the second half,
    and null.

    Args:
        sample: values of a column, as `Column.sample` has them.
        labels: labels of the same rows, float64 `[rows]`.

    Returns:
        AUC of the second half; None if a half has one class only.
    """
    is_time, is_integer = pa.types.is_timestamp(sample.type), pa.types.is_integer(sample.type)
    numbers = (
        [(sample.cast(pa.int64()) if is_time else sample).cast(pa.float64(), safe=False)]
        if is_time or is_integer
        else []
    )
    aucs = [_auc(values, labels) for values in [*numbers, *([] if is_time else [sample])]]
    return max((auc for auc in aucs if auc is not None), default=None)


def _auc(values: pa.Array, labels: np.ndarray) -> float | None:
    is_first = np.random.default_rng([SEED, 5]).random(len(values)) < 0.5
    halves = [values.filter(pa.array(is_first)), values.filter(pa.array(~is_first))]
    bins = Binning.fitted({"column": [halves[0]]}, BINS).bins["column"]
    sizes, other_sizes = (bins.count(_plain(half)) for half in halves)
    hits, other_hits = (
        bins.count(_plain(half), labels[rows]) for half, rows in zip(halves, (is_first, ~is_first), strict=True)
    )
    return auc_of_bins(hits, sizes, other_hits, other_sizes) if len(halves[0]) else None


def _plain(values: pa.Array) -> Any:
    """Return floats as NumPy, which quantile bins need."""
    return values.to_numpy(zero_copy_only=False) if pa.types.is_floating(values.type) else values
