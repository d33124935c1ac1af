"""Limits of `ctr psi`: columns without values, categories that hardly repeat, and options without an effect."""

from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa

from ctr.config.report import Time
from ctr.errors import ConfigError
from ctr.evaluation.histograms import FEATURE, Histograms
from ctr.metrics import CategoryBins
from ctr.metrics.psi import Drift, PSIResult
from features import RowGroup, files_of, is_text, type_name

NO_VALUES = "no values in either dataset"
MIN_OWN = 0.01  # fraction of the values; below it, PSI hardly sees which values a column holds


def check_time(row_groups: list[RowGroup], time: Time) -> None:
    """Check that the options of the time column have an effect on it.

    Args:
        row_groups: row groups of the current data, with casts.
        time: the time column; only options that were given are set.

    Raises:
        ConfigError: an option has no effect on the type of the column.
    """
    given, types = time.model_fields_set, pa.types
    for file in files_of(row_groups):
        type_ = file.schema.field(time.column).type
        what = f"column {time.column!r} of {file.path} is {type_name(type_)}"
        if time.time_unit is not None and not (types.is_integer(type_) or types.is_null(type_)):
            raise ConfigError(f"--time-unit: {what}, and only integers need a unit. Remove the option.")
        for name in ("by", "time_zone"):
            if name in given and types.is_integer(type_) and time.time_unit is None:
                advice = "Add --time-unit if they count from 1970, or leave the option out."
                raise ConfigError(f"{_option(name)}: {what}, so each value is a period of its own. {advice}")
            if name in given and is_text(type_):
                advice = f"Add --cast {time.column}=timestamp:FORMAT, or leave the option out."
                raise ConfigError(f"{_option(name)}: {what}, so each value is a period of its own. {advice}")


def columns_without_values(reference: Histograms, current: Histograms) -> dict[str, str]:
    """Return column -> reason for the columns that have no value in either dataset."""
    return {
        name.removeprefix(FEATURE): NO_VALUES
        for name, counts in reference.counts.items()
        if not counts[:-1].any() and not current.counts[name][:-1].any()
    }


def with_doubts(
    results: Mapping[str, PSIResult],
    reference: Histograms,
    current: Histograms,
    categorical: Collection[str],
) -> dict[str, PSIResult]:
    """Return the results, without the verdict `stable` where hardly any value has a bin of its own.

    All other values share the bins `all others` and `new`, so PSI would not change if they were replaced.

    Args:
        results: column -> PSI.
        reference: histograms of the reference, by `feature/<column>`.
        current: histograms of the current data.
        categorical: columns that the user named as categories.
    """
    doubted = dict(results)
    for name, result in results.items():
        bins = reference.binning.bins[FEATURE + name]
        if not isinstance(bins, CategoryBins) or result["drift"] != Drift.STABLE:
            continue
        own = max(_own_fraction(counts.counts[FEATURE + name], len(bins.values)) for counts in (reference, current))
        if own < MIN_OWN:
            advice = f". If it holds numbers, remove {name!r} from --categorical" if name in categorical else ""
            few = f"only {100 * own:.2g}%" if own else "none"
            reason = f"{few} of its values have a bin of their own, too few for a verdict{advice}"
            doubted[name] = {**result, "drift": Drift.TOO_LITTLE_DATA, "reason": reason}
    return doubted


def _own_fraction(counts: np.ndarray, own: int) -> float:
    """Return the fraction of the values that are in one of the first `own` bins; 1 without values."""
    values = counts[:-1].sum()
    return float(counts[:own].sum() / values) if values else 1.0


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
