"""Population stability index: how far a distribution has moved from its reference.

    PSI = sum over bins of (a - e) ln(a / e),   e, a = (count + 0.5) / sum of (count + 0.5)

with bins that the counted rows did not choose. Bins that are empty on both sides are left out. Without any shift PSI is
about (1/n + 1/m) chi-square(bins - 1), where n and m are the independent rows of the two samples. docs/psi.md says how
well that holds.
"""

from typing import Any

import numpy as np
from scipy import special

MODERATE_ABOVE = 0.1
NOISE_LEVEL = 0.001  # how often PSI exceeds its noise without a shift


def psi(expected: np.ndarray, actual: np.ndarray) -> float:
    """PSI of two histograms over the same bins.

    >>> psi(np.array([100, 100]), np.array([100, 100]))
    0.0
    """
    seen = (expected > 0) | (actual > 0)
    e, a = expected[seen] + 0.5, actual[seen] + 0.5
    e, a = e / e.sum(), a / a.sum()
    return float(((a - e) * np.log(a / e)).sum())


def compare(
    expected: np.ndarray, actual: np.ndarray, expected_rows: float, actual_rows: float, unstable_above: float
) -> dict[str, Any]:
    """PSI with its noise and a verdict: stable, moderate, unstable or insufficient_data.

    Args:
        expected: histogram of the reference, float64 [bins]: weights of rows, or of the values of lists.
        actual: histogram over the same bins.
        expected_rows: the number of independent rows of the reference. Histograms are scaled to it, so that 0.5 is half
            a row whatever the weights are.
        actual_rows: that of the other.
        unstable_above: the PSI above which a shift is called unstable.

    Returns:
        psi; psi_corrected = psi less its mean without a shift, (bins - 1)(1/n + 1/m), at least 0; p_value, the chance
        of so much PSI without a shift; verdict; noise, the 99.9 % quantile of PSI without a shift; bins that are not
        empty on both sides; rows of both. Where there is nothing to compare, psi, psi_corrected and p_value are None
        and there is a reason.
    """
    if not expected_rows or not actual_rows:
        nothing = {"psi": None, "psi_corrected": None, "p_value": None}
        return {**nothing, "verdict": "insufficient_data", "reason": "no values to compare"}
    value = psi(expected * (expected_rows / expected.sum()), actual * (actual_rows / actual.sum()))
    bins = int(((expected > 0) | (actual > 0)).sum())
    per_degree = 1 / expected_rows + 1 / actual_rows
    noise = per_degree * float(special.chdtri(bins - 1, NOISE_LEVEL)) if bins > 1 else 0.0
    if noise >= MODERATE_ABOVE and value <= noise:
        verdict = "insufficient_data"
    elif value > unstable_above:
        verdict = "unstable"
    else:
        verdict = "stable" if value < MODERATE_ABOVE else "moderate"
    return {
        "psi": value,
        "psi_corrected": max(0.0, value - (bins - 1) * per_degree),
        "p_value": float(special.chdtrc(bins - 1, value / per_degree)) if bins > 1 else 1.0,
        "verdict": verdict,
        "noise": noise,
        "bins": bins,
        "rows": [round(expected_rows), round(actual_rows)],
    }
