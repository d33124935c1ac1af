"""Integers without a declared type: ids, which are categories, or quantities, which are numbers.

Nothing in a column says which it is, but quantities have habits that ids lack. Neighboring values are about equally
frequent: as many people are 41 as 42. Long tails bunch most values up at the low end of the range. Round numbers are
frequent where people estimate. The rules below look for these habits in the distinct values and their counts, and
`scripts/integer_columns.py` measures how often they err.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import stats

MIN_DISTINCT = 20
MIN_REPEATS = 4.0
"""Rows per distinct value. With fewer, chance hides an order in the counts."""
MAX_UNEVENNESS = 0.1
"""Distance between the distribution of the distinct values and an even one, on top of that of chance."""
SPARSE = 0.01
"""Share of the possible values in the range that occur, below which values are sparse."""
ROUND_P_VALUE = 0.01
"""P-value of the test whether round numbers are more frequent."""
MIN_DISORDER = 0.5
"""Least `_disorder` of ids."""
MANY, ROUGHNESS_OF_MANY, ROUGHNESS_OF_FEW = 100, 0.5, 0.9
"""Number of distinct values, and the least `_roughness` of ids with at least as many, and with fewer."""


@dataclass(frozen=True)
class IntegerType:
    """Type of an integer column, and why."""

    column_type: Literal["numeric", "categorical"]
    reason: str
    """Reason, as a phrase for a report."""


def classify_integers(chunks: Iterable[pa.Array], bins: int) -> IntegerType:
    """Return whether the integers of a column are numbers or categories, by the first rule that applies.

    1. At most `bins` distinct values: categories.
    2. Fewer than 20 distinct values, or fewer than 4 rows per distinct value: numbers, because too little shows.
    3. The distinct values bunch up in a part of their range: numbers, because amounts have long tails.
    4. Less than 1% of the range occurs: categories, because amounts do not repeat so exactly.
    5. Multiples of 5 are more frequent than other values: numbers.
    6. Frequencies are in no order: categories.
    7. Frequencies jump from one value to the next: categories. Without chance, the standard deviation of the log
       frequency around its neighbors is at least 0.5 for 100 or more distinct values, or 0.9 for fewer.
    8. Otherwise numbers: neighboring values are about equally frequent.

    Memory is that of the distinct values.

    Args:
        chunks: integer values, with nulls; chunks of a different type have no values.
        bins: number of bins of a numeric column.

    >>> ages = np.random.default_rng(0).poisson(40, 10_000)
    >>> classify_integers([pa.array(ages)], bins=10).column_type
    'numeric'
    >>> ids = np.random.default_rng(0).permutation(100)[ages]
    >>> classify_integers([pa.array(ids)], bins=10).column_type
    'categorical'
    """
    values, counts = _count(chunks)
    distinct = len(values)
    if distinct <= bins:
        return IntegerType("categorical", f"at most {bins} distinct values")
    if distinct < MIN_DISTINCT or counts.sum() < MIN_REPEATS * distinct:
        return IntegerType("numeric", "too few distinct values or rows to recognize ids")
    places, range_ = _places(values)
    if np.abs(places - np.linspace(0, 1, len(places))).max() > MAX_UNEVENNESS + 1 / np.sqrt(distinct):
        return IntegerType("numeric", "values bunch up in a part of their range")
    if len(places) < SPARSE * range_:
        return IntegerType("categorical", "few distinct values for their range")
    if _prefers_round_numbers(values, counts):
        return IntegerType("numeric", "round numbers are more frequent")
    if _disorder(counts) >= MIN_DISORDER:
        return IntegerType("categorical", "frequencies are in no order")
    if _roughness(counts) >= (ROUGHNESS_OF_MANY if distinct >= MANY else ROUGHNESS_OF_FEW):
        return IntegerType("categorical", "frequencies jump from one value to the next")
    return IntegerType("numeric", "frequencies follow the order of the values")


def _count(chunks: Iterable[pa.Array]) -> tuple[NDArray, NDArray[np.int64]]:
    """Return the distinct values in ascending order, int64 or uint64, and how often each occurs."""
    integers = [chunk for chunk in chunks if pa.types.is_integer(chunk.type)]
    type_ = pa.uint64() if any(pa.types.is_uint64(chunk.type) for chunk in integers) else pa.int64()
    counted = pc.value_counts(pa.chunked_array([chunk.cast(type_) for chunk in integers], type_).drop_null())
    values = counted.field("values").to_numpy(zero_copy_only=False)
    order = np.argsort(values)
    return values[order], counted.field("counts").to_numpy()[order]


def _places(values: NDArray) -> tuple[NDArray[np.float64], float]:
    """Return the places of the distinct values in their range, 0 to 1, and the number of values that it has room for.

    A twentieth of the values on each side is left out: codes for missing values are often far from the others. If all
    values are a multiple of a step apart, only these multiples are counted.
    """
    ends = len(values) // 20
    inner = values[ends : len(values) - ends].astype(np.uint64)
    offsets = inner - inner[0]  # the difference of int64 values fits into uint64, where it wraps to the right value
    offsets = (offsets // np.gcd.reduce(offsets)).astype(np.float64)
    return offsets / offsets[-1], float(offsets[-1]) + 1


def _prefers_round_numbers(values: NDArray, counts: NDArray[np.int64]) -> bool:
    """Return True if multiples of 5 are significantly more frequent than the other values."""
    is_round = values // max(np.gcd.reduce(values), 1) % 5 == 0
    if not 3 <= is_round.sum() <= len(values) - 3:
        return False
    return bool(stats.mannwhitneyu(counts[is_round], counts[~is_round], alternative="greater").pvalue < ROUND_P_VALUE)


def _disorder(counts: NDArray[np.int64]) -> float:
    """Return half of von Neumann's ratio of the log counts: about 1 without an order, near 0 for a smooth histogram.

    It is the mean squared difference between neighbors, divided by twice the variance. If all values are equally
    frequent, the differences are of chance, and so without an order, too.

    Source: J. von Neumann, "Distribution of the Ratio of the Mean Square Successive Difference to the Variance", 1941.
    """
    logs = np.log(counts)
    variance = logs.var()
    return float((np.diff(logs) ** 2).mean() / (2 * variance)) if variance > 0 else 1.0


def _roughness(counts: NDArray[np.int64]) -> float:
    """Return how much neighbors differ beyond chance: the standard deviation of the log count around its neighbors.

    The variance of chance in a log count is about 1 / count, that of the difference to the mean of two neighbors 1.5
    times as large.
    """
    logs, chance = np.log(counts), 1 / counts
    difference = logs[1:-1] - (logs[:-2] + logs[2:]) / 2
    excess = (difference**2 - chance[1:-1] - (chance[:-2] + chance[2:]) / 4).mean() / 1.5
    return float(np.sqrt(max(excess, 0.0)))
