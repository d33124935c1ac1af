"""The part of a report on drift: PSI of the score and of features, what drives it, and PSI over time."""

from typing import NotRequired

from typing_extensions import TypedDict

from ctr.metrics.psi import Drift, PSIResult
from ctr.metrics.records import record


@record
class ColumnOverTime(TypedDict):
    """PSI of one distribution in each period."""

    psi: list[float | None]
    """PSI of each period; null where there is nothing to compare."""
    drift: list[Drift]
    """Drift level of each period."""
    since: str | None
    """First period of the major drift that lasts to the end of the data; null without such drift."""
    reason: NotRequired[str]
    """Reason why the periods differ without drift; `since` is then null."""


@record
class OverTime(TypedDict):
    """PSI of every period, over all splits together, against the reference."""

    column: str
    """Time column."""
    by: str
    """Length of a period: hour, day, week or month."""
    periods: list[str]
    """Names of the periods in order of time; empty if there is a `reason`."""
    rows: list[int]
    """Number of rows of each period."""
    undated: int
    """Number of rows without a time."""
    partial: list[str]
    """First and last period, if the data covers only part of them."""
    score: ColumnOverTime | None
    """PSI of the score; null in a report of `ctr psi`, or with a `reason`."""
    features: dict[str, ColumnOverTime]
    """Feature -> its PSI over time."""
    reason: NotRequired[str]
    """Reason why there is no PSI over time."""


@record
class Driver(TypedDict):
    """Share of the score's PSI that the drift of one feature explains."""

    feature: str
    """Name of the feature."""
    score_psi: float
    """PSI of the training scores, reweighted to the split's distribution of the feature, against unweighted ones."""
    remaining: float
    """PSI of the split's scores against the reweighted ones."""
    explained: float
    """1 - remaining / PSI; below 0 if the feature alone would have shifted the score in the other direction."""


@record
class Overfitting(TypedDict):
    """Numbers behind a finding of overfitting instead of score drift."""

    explained: float
    """Largest share of the score's PSI that a feature explains."""
    positives: list[float]
    """Mean score of positives in the training data and in the split."""
    negatives: list[float]
    """Mean score of negatives in the training data and in the split."""
    between: dict[str, list[float | None]]
    """Another split -> its PSI against the training data, and the PSI of this split against that other split."""


@record
class FeatureDrift(TypedDict):
    """PSI of features."""

    features: dict[str, dict[str, PSIResult]]
    """Split (`current` in a report of `ctr psi`) -> feature -> PSI."""
    over_time: OverTime | None
    """PSI by period; null without a time column, or with fewer than two periods."""


@record
class ScoreDrift(FeatureDrift):
    """PSI of the score and of features against the training data."""

    score: dict[str, PSIResult]
    """Split -> PSI of its scores."""
    drivers: dict[str, list[Driver]]
    """Split -> features by the share of the score's PSI that they explain; empty within the noise floor."""
    calendar: dict[str, list[str]]
    """Split -> date parts, and crosses of them, that lack values in the split or in the training data."""
    overfitting: dict[str, Overfitting]
    """Main split -> numbers behind a finding of overfitting; empty without such a finding."""
