"""The part of a report on drift: PSI of the score and of features, what drives it, and PSI over time."""

from typing import NotRequired

from typing_extensions import TypedDict

from ctr.metrics.psi import Drift, PSIResult
from ctr.metrics.records import record


@record
class ColumnOverTime(TypedDict):
    """PSI of one distribution in each period."""

    psi: list[float | None]
    """Null where there is nothing to compare."""
    drift: list[Drift]
    """Drift level of each period."""
    since: str | None
    """Period in which the stretch of major drift begins that lasts to the end of the data; null if there is none."""
    reason: NotRequired[str]
    """Why its periods differ without drift; `since` is null then."""


@record
class OverTime(TypedDict):
    """PSI of every period of all splits against the reference."""

    column: str
    """Time column."""
    by: str
    """Length of a period: hour, day, week or month."""
    periods: list[str]
    """Names in order of time; none if there is a `reason`."""
    rows: list[int]
    """Rows of each period."""
    undated: int
    """Rows without a time."""
    partial: list[str]
    """First and last period, where the data begins or ends within them."""
    score: ColumnOverTime | None
    """Null in a report of `ctr psi`, or with a `reason`."""
    features: dict[str, ColumnOverTime]
    """By name."""
    reason: NotRequired[str]
    """Why there is no PSI over time."""


@record
class Driver(TypedDict):
    """How much of the score's PSI the drift of one feature explains."""

    feature: str
    """Name of the feature."""
    score_psi: float
    """PSI of the training scores, reweighted to the split's distribution of the feature, against the training data."""
    remaining: float
    """PSI of the split's scores against the reweighted ones."""
    explained: float
    """1 - remaining / PSI; below 0 where the feature alone would have moved the score the other way."""


@record
class Overfitting(TypedDict):
    """Why the drift of a score is overfitting."""

    explained: float
    """Largest share of the score's PSI that a feature explains."""
    positives: list[float]
    """Mean score of positives in the training data and in the split."""
    negatives: list[float]
    """Mean score of negatives in the training data and in the split."""
    between: dict[str, list[float | None]]
    """Another split -> its PSI against the training data, and the PSI of this split against it."""


@record
class FeatureDrift(TypedDict):
    """PSI of features."""

    features: dict[str, dict[str, PSIResult]]
    """Split (`current` in a report of `ctr psi`) -> feature -> PSI."""
    over_time: OverTime | None
    """Null without a time column, or with fewer than two periods."""


@record
class ScoreDrift(FeatureDrift):
    """PSI of the score and of features against the training data."""

    score: dict[str, PSIResult]
    """By split."""
    drivers: dict[str, list[Driver]]
    """Split -> features that explain the score's PSI, the most first; none where PSI is within its noise floor."""
    calendar: dict[str, list[str]]
    """Split -> date parts, and crosses of them, of which the split or the training data lacks values."""
    overfitting: dict[str, Overfitting]
    """Main split -> why the drift of its score is overfitting; empty if it is not."""
