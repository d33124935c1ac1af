"""Statements of the checks of a report, and the phrases that they share."""

import math
from collections.abc import Iterator
from typing import TypeAlias

from ctr.checks.significance import Interval
from ctr.metrics.psi import Drift
from ctr.schema.levels import Level
from ctr.schema.report import Measured
from ctr.schema.split_metrics import SplitMetrics

Statement: TypeAlias = tuple[Level, str, str]
"""Level, split and sentence."""
Statements: TypeAlias = Iterator[Statement]
NAMED = 5


def drifted_features(report: Measured, main: str) -> list[str]:
    """Return the features with major drift, the largest PSI first, without date parts that the split does not cover."""
    features = report["psi"]["features"].get(main, {})
    calendar = report["psi"]["calendar"].get(main, ())
    major = [name for name in features if features[name]["drift"] == Drift.MAJOR and name not in calendar]
    return sorted(major, key=lambda name: -(features[name]["psi"] or 0))


def too_few_of_a_class(metrics: SplitMetrics) -> str:
    """Return `43 positives are too few`, or the same of negatives if they are fewer."""
    positives = metrics["positives"]
    rate = metrics["positive_rate"]
    if rate <= 0.5:
        return f"{positives:,.0f} positives are too few"
    return f"{positives * (1 - rate) / rate:,.0f} negatives are too few"


def positives_of(metrics: SplitMetrics) -> str:
    """Return the number of positives as text."""
    return f"{metrics['positives']:,.0f}"


def percents(change: float, interval: Interval) -> str:
    """Return `+46.3%, 95% CI -3.0% to +120.7%`; without the interval if it is infinite."""
    text = f"{100 * change:+.1f}%"
    if not math.isfinite(interval[1]):
        return text
    return f"{text}, 95% CI {100 * interval[0]:+.1f}% to {100 * interval[1]:+.1f}%"
