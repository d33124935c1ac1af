"""What checks of a report yield, and the phrases that they share."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from ctr.checks.significance import Interval

Level = Literal["warning", "note", "ok"]
Statements: TypeAlias = Iterator[tuple[Level, str, str]]
"""Level, set and sentence."""
NAMED = 5


def too_few_of_a_class(metrics: Mapping[str, Any]) -> str:
    """`43 positives are too few`, or of negatives where these are fewer."""
    positives = metrics["positives"]
    rate = metrics["label_rate"]
    if rate <= 0.5:
        return f"{positives:,.0f} positives are too few"
    return f"{positives * (1 - rate) / rate:,.0f} negatives are too few"


def positives_of(metrics: Mapping[str, Any]) -> str:
    """Their count; of a run of an earlier version it is unknown."""
    return f"{metrics['positives']:,.0f}" if "positives" in metrics else "?"


def percents(change: float, interval: Interval) -> str:
    """Return `+46.3%, 95% CI -3.0% to +120.7%`; without the interval if it is infinite."""
    told = f"{100 * change:+.1f}%"
    if not math.isfinite(interval[1]):
        return told
    return f"{told}, 95% CI {100 * interval[0]:+.1f}% to {100 * interval[1]:+.1f}%"
