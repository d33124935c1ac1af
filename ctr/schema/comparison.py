"""comparison.json: every variant with its runs, and its differences to the baseline."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypeAlias

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from ctr.metrics.catalog import shown_in
from ctr.metrics.metric import Place
from ctr.metrics.records import record


class Verdict(StrEnum):
    """What a comparison says of a variant against the baseline, in one metric."""

    BETTER = "better"
    """Whatever the seed and the rows."""
    WORSE = "worse"
    """Whatever the seed and the rows."""
    BETTER_FOR_TESTED_SEEDS = "better_for_tested_seeds"
    """With every seed that was tried, whatever the rows."""
    WORSE_FOR_TESTED_SEEDS = "worse_for_tested_seeds"
    """With every seed that was tried, whatever the rows."""
    IDENTICAL = "identical"
    """Every row has the same score."""
    INCONCLUSIVE = "inconclusive"
    """None of these."""
    INCOMPLETE = "incomplete"
    """Runs are missing, so there is no verdict."""
    NOT_COMPARABLE = "not_comparable"
    """Runs of one seed did not begin alike, so there is no verdict."""

    @property
    def is_significant(self) -> bool:
        """True if a difference was found, at least for the tested seeds."""
        return self.is_of_tested_seeds or self in (Verdict.BETTER, Verdict.WORSE)

    @property
    def is_of_tested_seeds(self) -> bool:
        """True if it speaks of the tested seeds alone."""
        return self in (Verdict.BETTER_FOR_TESTED_SEEDS, Verdict.WORSE_FOR_TESTED_SEEDS)


@record
class Estimate(TypedDict):
    """A number with its 95% interval. What cannot be computed is null, with a reason."""

    value: float | None
    """The estimate."""
    low: float | None
    """Lower end of the interval."""
    high: float | None
    """Upper end of the interval."""
    p_value: float | None
    """Of the number being 0, two-sided."""
    reason: str | None
    """Why a number is null; null if none is."""


@record
class SeedEstimate(Estimate):
    """An estimate of one seed."""

    seed: int
    """Seed of the runs."""


@record
class MetricDifference(TypedDict):
    """Difference of a metric to the baseline."""

    by_seed: list[SeedEstimate]
    """With the interval of other rows."""
    over_seeds: Estimate
    """Mean, with the interval of other seeds."""
    over_both: Estimate
    """Mean, with the interval of other seeds and other rows."""
    p_adjusted: NotRequired[float | None]
    """p of `over_both`, by Holm's rule for all comparisons of the metric."""
    verdict: NotRequired[Verdict | None]
    """Null where no seed has both."""


@record
class Start(TypedDict):
    """What the runs of one seed have in common with those of the baseline."""

    equal: bool
    """True if they began with equal weights and saw equal batches."""
    shared: list[str]
    """Weights and orders of batches that are equal with every seed."""
    differing: list[str]
    """Those that are not."""
    violations: list[str]
    """Sentences on what should be equal and is not."""


@record
class Independence(TypedDict):
    """What intervals take as independent: rows, or the values of a column."""

    interval_unit: Literal["row", "cluster"]
    """Rows, or clusters of them."""
    no_clusters: NotRequired[list[str]]
    """Why rows are taken as independent though a group is declared."""
    cluster_column: NotRequired[str | None]
    """The column of `report.group`."""
    clusters: NotRequired[int]
    """Number of its values."""
    effective_clusters: NotRequired[float]
    """How many clusters of equal weight tell as much."""


@record
class DifferenceToBaseline(Independence):
    """A variant against the baseline, paired by seed."""

    metrics: dict[str, MetricDifference]
    """By the metric's key."""
    psi: float | None
    """PSI of the scores against the baseline's, mean over seeds."""
    reasons: list[str]
    """Why a seed has no difference."""
    same_rows: bool
    """True if every seed is evaluated on the same rows."""
    same_scores: bool
    """True if every row has the same score as with the baseline."""
    lacking: list[str]
    """Runs that are missing, in sentences."""
    start: Start
    """What the runs began with in common."""


@record
class Trial(TypedDict):
    """A tuning run, judged by validation."""

    trial: int
    """Number of the trial, from 1."""
    values: dict[str, Any]
    """Sampled settings."""
    auc: float | None
    """AUC of validation."""
    log_loss: float | None
    """Log loss of validation."""
    reason: str | None
    """Why it failed; null if it did not."""
    chosen: bool
    """True for the best trial."""


@record
class FailedRun(TypedDict):
    """A run without a report."""

    run: str
    """Label of the run."""
    trial: int | None
    """Number of the trial; null for a run that is reported."""
    seed: int
    """Seed of the run."""
    code: int
    """Exit code; below 0: the signal that killed it."""
    reason: str
    """Last line of its error."""


@record
class LearningCurve(TypedDict):
    """Validations of a run."""

    rows: list[int]
    """Examples until each validation."""
    auc: list[float | None]
    """AUC of each."""
    log_loss: list[float | None]
    """Log loss of each."""


def _fields_of_seed() -> dict[str, Any]:
    """Return key -> type with its meaning, of a run's facts and of the metrics that a comparison shows."""
    fields: dict[str, Any] = {
        "seed": Annotated[int, Field(description="seed of the run")],
        "auc_interval": Annotated[list[float] | None, Field(description="95% interval of `auc`")],
        "valid_auc": Annotated[float | None, Field(description="AUC of validation")],
        "epochs": Annotated[int, Field(description="whole epochs")],
        "steps": Annotated[int, Field(description="batches")],
        "rows": Annotated[int, Field(description="examples, counted in every epoch")],
        "stopped_early": Annotated[bool, Field(description="true if training ended before the last step")],
        "curve": Annotated[LearningCurve, Field(description="validations")],
    }
    for metric in shown_in(Place.COMPARISON):
        fields[metric.key] = Annotated[float | None, Field(description=metric.definition)]
    return fields


if TYPE_CHECKING:
    SeedResult: TypeAlias = dict[str, Any]  # of the evaluated split; type checkers do not read the catalog
else:
    SeedResult = with_config(ConfigDict(extra="allow"))(TypedDict("SeedResult", _fields_of_seed()))


@record
class ToTarget(TypedDict):
    """How long runs take to reach the target AUC; means over those that do."""

    reached: int
    """Runs that reach it."""
    of: int
    """All runs."""
    steps: float | None
    """Steps until then."""
    rows: float | None
    """Examples until then."""


@record
class Clock(TypedDict):
    """Readings of clocks, which no two comparisons share."""

    seconds: float | None
    """Seconds of training, mean over runs."""
    rows_per_second: float | None
    """Examples per second, mean over runs."""
    seconds_to_target: float | None
    """Seconds until the target AUC, mean over the runs that reach it."""
    curves: list[list[float]]
    """Seconds until each validation, by seed."""


@record
class VariantResult(TypedDict):
    """One combination of options."""

    name: str
    """Options joined."""
    options: dict[str, str]
    """Axis -> option."""
    tuned: dict[str, Any] | None
    """Settings of the chosen trial."""
    outermost: list[str]
    """Search ranges whose best value is at their edge."""
    trials: list[Trial]
    """Tuning runs."""
    failures: list[FailedRun]
    """Runs without a report."""
    seeds: list[SeedResult]
    """Runs with a report."""
    metrics: dict[str, Estimate | None]
    """Metric -> mean over seeds; null where a run lacks it."""
    to_target: ToTarget | None
    """Null without a target."""
    row_sparsity: float | None
    """Fraction of all-zero embeddings, mean over seeds."""
    table_bytes: float | None
    """Of all tables, mean over seeds."""
    nonzero_table_bytes: float | None
    """Of tables without all-zero embeddings."""
    state_bytes: float | None
    """Of optimizer state."""
    lacking: list[str]
    """Runs that are missing, in sentences."""
    difference: DifferenceToBaseline | None
    """Null for the baseline."""
    clock: Clock
    """Clock readings."""


@record
class Tuning(TypedDict):
    """The tuning of a study."""

    trials: int
    """Trials of each variant."""
    seed: int
    """Seed of samples and of trials."""


@record
class StudyRecord(TypedDict):
    """What was compared."""

    name: str
    """Name of the study."""
    axes: dict[str, list[str]]
    """Axis -> options."""
    baseline: str
    """Name of the baseline."""
    seeds: list[int]
    """Seeds of the runs that are reported."""
    tuning: Tuning | None
    """Null if nothing is tuned."""
    target_auc: float | None
    """Validation AUC that learning curves are measured to."""
    evaluated: str | None
    """Split that is reported: test, or valid where there is no test."""


@record
class Comparison(TypedDict):
    """comparison.json."""

    version: Literal[1]
    """Version of this schema."""
    study: StudyRecord
    """What was compared."""
    variants: list[VariantResult]
    """The baseline first."""
    environment: dict[str, Any]
    """Versions of Python and of packages."""
