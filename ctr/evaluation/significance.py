"""When a slice of a set is spoken of, and when a difference is called one: a report looks at hundreds of numbers."""

from collections.abc import Mapping
from typing import Any

ERRORS = 4.0  # standard errors beyond which a difference is called one
MIN_ROWS = 100
MIN_OF_A_CLASS = 10  # with fewer, standard errors are far too small


def is_told(metrics: Mapping[str, Any]) -> bool:
    """Whether a slice, a bucket or a set has rows enough of both classes to be spoken of."""
    rows, rate = metrics["rows"], metrics["label_rate"]
    return metrics["auc"] is not None and rows >= MIN_ROWS and rows * min(rate, 1 - rate) >= MIN_OF_A_CLASS


def is_ranked_worse(metrics: Mapping[str, Any], auc: float | None, margin: float = 0.0) -> bool:
    """Whether a slice's AUC lies below that of all rows by more than `margin` and chance."""
    return (
        auc is not None and is_told(metrics) and metrics["auc"] + ERRORS * metrics["auc_standard_error"] < auc - margin
    )


def is_miscalibrated(metrics: Mapping[str, Any], margin: float = 0.0) -> bool:
    """Whether a slice's calibration is off by more than `margin` and chance."""
    expected = metrics["rows"] * min(metrics["mean_score"] or 0, 1 - (metrics["mean_score"] or 0))
    return (
        expected >= MIN_OF_A_CLASS
        and metrics["rows"] >= MIN_ROWS
        and abs((metrics["calibration"] or 1) - 1) > margin
        and abs(metrics["calibration_z"] or 0) > ERRORS
    )
