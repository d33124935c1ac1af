"""Population stability index (PSI): how far a distribution has drifted from its reference.

    PSI = sum over bins of (a - e) ln(a / e),   e, a = (count + 0.5) / sum of (count + 0.5)

with bins fitted on other rows than those that are counted. Bins that are empty on both sides are left out. Without
drift, PSI is about (1/n + 1/m) chi-square(bins - 1), where n and m are the independent rows of the two samples.
docs/benchmarks/psi.md shows how well that holds.
"""

from enum import StrEnum
from typing import NotRequired

import numpy as np
from scipy import special
from typing_extensions import TypedDict  # pydantic reads that of Python 3.12 or this

from ctr.metrics.records import record

MODERATE_ABOVE = 0.1
NOISE_LEVEL = 0.001  # probability that PSI exceeds its noise floor without drift


class Drift(StrEnum):
    """The drift level of a distribution, the worst first."""

    MAJOR = "major"
    MODERATE = "moderate"
    TOO_LITTLE_DATA = "too_little_data"
    STABLE = "stable"

    @property
    def has_drifted(self) -> bool:
        """True for major and moderate drift."""
        return self in (Drift.MAJOR, Drift.MODERATE)

    @property
    def rank(self) -> int:
        """0 for the worst level, and so on."""
        return list(Drift).index(self)


@record
class PSIResult(TypedDict):
    """PSI of one distribution against its reference."""

    psi: float | None
    """Null if there is nothing to compare."""
    psi_corrected: float | None
    """PSI less its mean without drift, (bins - 1)(1/n + 1/m), at least 0."""
    p_value: float | None
    """Probability of at least this PSI without drift."""
    drift: Drift
    """Stable below 0.1, moderate up to the limit of major drift, 0.2 unless set otherwise; too_little_data where the
    noise floor is at least 0.1 and PSI is within it, and in a report of `ctr psi` instead of stable, where hardly any
    value of a category has a bin of its own."""
    noise: NotRequired[float]
    """Noise floor: the 99.9th percentile of PSI without drift. Absent where there is nothing to compare."""
    bins: NotRequired[int]
    """Number of bins that are not empty on both sides. Absent where there is nothing to compare."""
    rows: NotRequired[list[int]]
    """Independent rows of the reference and of the current data. Absent where there is nothing to compare."""
    reason: NotRequired[str]
    """Why there is nothing to compare, or why a category is not called stable."""


def psi(expected: np.ndarray, actual: np.ndarray) -> float:
    """Return the PSI of two histograms over the same bins.

    >>> psi(np.array([100, 100]), np.array([100, 100]))
    0.0
    """
    is_counted = (expected > 0) | (actual > 0)
    e, a = expected[is_counted] + 0.5, actual[is_counted] + 0.5
    e, a = e / e.sum(), a / a.sum()
    return float(((a - e) * np.log(a / e)).sum())


def compare(
    expected: np.ndarray, actual: np.ndarray, expected_rows: float, actual_rows: float, major_above: float
) -> PSIResult:
    """Return PSI with its noise floor and its drift level.

    Args:
        expected: histogram of the reference, float64 [bins], as weights of rows or of list values.
        actual: histogram of the current data over the same bins.
        expected_rows: number of independent rows of the reference. The histogram is scaled to it, so that 0.5 is half
            a row for any weights.
        actual_rows: number of independent rows of the current data.
        major_above: PSI above which drift is major.
    """
    if not expected_rows or not actual_rows:
        return {
            "psi": None,
            "psi_corrected": None,
            "p_value": None,
            "drift": Drift.TOO_LITTLE_DATA,
            "reason": "no values to compare",
        }
    value = psi(expected * (expected_rows / expected.sum()), actual * (actual_rows / actual.sum()))
    bins = int(((expected > 0) | (actual > 0)).sum())
    per_degree = 1 / expected_rows + 1 / actual_rows
    noise = per_degree * float(special.chdtri(bins - 1, NOISE_LEVEL)) if bins > 1 else 0.0
    if noise >= MODERATE_ABOVE and value <= noise:
        drift = Drift.TOO_LITTLE_DATA
    elif value > major_above:
        drift = Drift.MAJOR
    else:
        drift = Drift.STABLE if value < MODERATE_ABOVE else Drift.MODERATE
    return {
        "psi": value,
        "psi_corrected": max(0.0, value - (bins - 1) * per_degree),
        "p_value": float(special.chdtrc(bins - 1, value / per_degree)) if bins > 1 else 1.0,
        "drift": drift,
        "noise": noise,
        "bins": bins,
        "rows": [round(expected_rows), round(actual_rows)],
    }
