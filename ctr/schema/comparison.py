"""Schema of comparison.json: every variant with its runs and its differences from the baseline."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypeAlias

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from ctr.metrics.catalog import shown_in
from ctr.metrics.metric import Place
from ctr.metrics.records import record
from ctr.schema.classical import ClassicalFit, ClassicalModel


class Verdict(StrEnum):
    """Verdict on a variant against the baseline, in one metric."""

    BETTER = "better"
    """Significantly better, over seeds and examples."""
    WORSE = "worse"
    """Significantly worse, over seeds and examples."""
    BETTER_FOR_TESTED_SEEDS = "better_for_tested_seeds"
    """Significantly better with every tested seed, over examples."""
    WORSE_FOR_TESTED_SEEDS = "worse_for_tested_seeds"
    """Significantly worse with every tested seed, over examples."""
    IDENTICAL = "identical"
    """Every example has the same score."""
    INCONCLUSIVE = "inconclusive"
    """Not significant in either direction."""
    INCOMPLETE = "incomplete"
    """Runs are missing, so there is no verdict."""
    NOT_COMPARABLE = "not_comparable"
    """Initial weights, data order or data files differ where they must be equal, so there is no verdict."""

    @property
    def is_significant(self) -> bool:
        """True if the difference is significant, at least for the tested seeds."""
        return self.is_of_tested_seeds or self in (Verdict.BETTER, Verdict.WORSE)

    @property
    def is_of_tested_seeds(self) -> bool:
        """True if the verdict is limited to the tested seeds."""
        return self in (Verdict.BETTER_FOR_TESTED_SEEDS, Verdict.WORSE_FOR_TESTED_SEEDS)


@record
class Estimate(TypedDict):
    """A number with its 95% CI. A value that cannot be computed is null, with a reason."""

    value: float | None
    """The estimate."""
    low: float | None
    """Lower end of the 95% CI."""
    high: float | None
    """Upper end of the 95% CI."""
    p_value: float | None
    """Two-sided p-value of the hypothesis that the true number is 0."""
    reason: str | None
    """Reason for a null; null if all numbers are known."""


@record
class SeedEstimate(Estimate):
    """Estimate of one seed."""

    seed: int
    """Seed of the runs."""


@record
class MetricDifference(TypedDict):
    """Difference of a metric from the baseline."""

    by_seed: list[SeedEstimate]
    """Difference with each seed; the CI covers variation over examples."""
    over_seeds: Estimate
    """Mean difference; the CI covers variation over seeds."""
    over_both: Estimate
    """Mean difference; the CI covers variation over seeds and examples."""
    p_adjusted: NotRequired[float | None]
    """p-value of `over_both` after Holm's correction for all comparisons of the metric."""
    verdict: NotRequired[Verdict | None]
    """Verdict; null if no seed has a value for both variants."""


@record
class Start(TypedDict):
    """Initial weights and data order, compared with the baseline seed by seed."""

    equal: bool
    """True if initial weights and data order are required to be equal, and are."""
    shared: list[str]
    """Names of initial weights, and `data order`, that are equal with every seed."""
    differing: list[str]
    """Names that are not equal with every seed."""
    violations: list[str]
    """Sentences on differences that make the runs not comparable."""


@record
class Independence(TypedDict):
    """Units that CIs treat as independent: examples, or clusters by the values of a column."""

    interval_unit: Literal["row", "cluster"]
    """`row` for examples, or `cluster`."""
    no_clusters: NotRequired[list[str]]
    """Reasons why examples are treated as independent although `report.group` is set."""
    cluster_column: NotRequired[str | None]
    """Column of `report.group`."""
    clusters: NotRequired[int]
    """Number of clusters."""
    effective_clusters: NotRequired[float]
    """Number of clusters of equal weight with the same precision."""


@record
class DifferenceToBaseline(Independence):
    """Differences of a variant from the baseline, paired by seed."""

    metrics: dict[str, MetricDifference]
    """Metric -> difference."""
    psi: float | None
    """PSI of the scores against the baseline's, mean over seeds."""
    reasons: list[str]
    """Reasons why a difference is undefined with a seed."""
    same_rows: bool
    """True if every seed is evaluated on the same examples."""
    same_scores: bool
    """True if every example has the same score as with the baseline."""
    lacking: list[str]
    """Runs that are missing, in sentences."""
    start: Start
    """Initial weights and data order, compared with the baseline."""


@record
class TrialEnding(TypedDict):
    """The end of a losing trial, see `tuning.stop_losers`."""

    validation: int
    """Number of the validation after which the trial was ended, from 1."""
    validations: int
    """Number of validations in `last_epoch` epochs."""
    epochs: float
    """Epochs until this validation."""
    last_epoch: float
    """Maximum number of epochs."""
    metric: str
    """Monitor: `auc` or `log_loss`."""
    value: float
    """Best value of the monitor until then."""
    bound: float
    """Value that the trial could still reach, by the rule."""
    best: float
    """Value of the best earlier trial of the variant."""
    best_trial: int
    """Number of that trial."""


@record
class Trial(TypedDict):
    """A tuning run, measured on the valid split."""

    trial: int
    """Number of the trial, from 1."""
    values: dict[str, Any]
    """Sampled settings."""
    auc: float | None
    """Validation AUC."""
    log_loss: float | None
    """Validation log loss."""
    reason: str | None
    """Reason for a failure; null if the trial finished or was ended early."""
    chosen: bool
    """True for the best trial."""
    ended: NotRequired[TrialEnding | None]
    """The end of a losing trial; its metrics are those of its best validation until then. Null for other trials."""


@record
class FailedRun(TypedDict):
    """A run without a report."""

    run: str
    """Label of the run."""
    trial: int | None
    """Number of the trial; null for a reported run."""
    seed: int
    """Seed of the run."""
    code: int
    """Exit code; a negative code is the signal that killed the process."""
    reason: str
    """First line of the error."""


@record
class LearningCurve(TypedDict):
    """Validations of a run."""

    rows: list[int]
    """Training examples until each validation."""
    auc: list[float | None]
    """AUC of each validation."""
    log_loss: list[float | None]
    """Log loss of each validation."""


def _fields_of_seed() -> dict[str, Any]:
    """Return key -> type with description, for the properties of a run and the metrics that a comparison shows."""
    fields: dict[str, Any] = {
        "seed": Annotated[int, Field(description="seed of the run")],
        "auc_interval": Annotated[list[float] | None, Field(description="95% CI of `auc`")],
        "valid_auc": Annotated[float | None, Field(description="validation AUC")],
        "epochs": Annotated[int | None, Field(description="finished epochs; null for a classical model")],
        "steps": Annotated[int | None, Field(description="training steps; null for a classical model")],
        "rows": Annotated[int, Field(description="training examples over all epochs")],
        "stopped_early": Annotated[
            bool | None,
            Field(description="true if training ended before the last step; null for a classical model"),
        ],
        "curve": Annotated[LearningCurve, Field(description="validations; empty for a classical model")],
        "fit": NotRequired[Annotated[ClassicalFit, Field(description="fit of a classical model, and absent else")]],
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
    """Cost of reaching the target AUC; means over the runs that reach it."""

    reached: int
    """Number of runs that reach the target."""
    of: int
    """Number of runs."""
    steps: float | None
    """Steps until the target."""
    rows: float | None
    """Training examples until the target."""


@record
class Clock(TypedDict):
    """Durations, which differ between repetitions of a comparison."""

    seconds: float | None
    """Training time in seconds, mean over runs."""
    rows_per_second: float | None
    """Training examples per second, mean over runs."""
    seconds_to_target: float | None
    """Seconds until the target AUC, mean over the runs that reach it."""
    curves: list[list[float]]
    """Seconds until each validation, by seed."""
    trial_seconds_saved: NotRequired[float]
    """Seconds that the trials that were ended early would have trained longer at most, at the speed of the others."""
    fits: NotRequired[list[float]]
    """Seconds of fitting a classical model, by seed; absent for other variants."""


@record
class Trained(TypedDict):
    """Reported runs of a variant, and their cost."""

    seeds: list[SeedResult]
    """Runs with a report."""
    to_target: ToTarget | None
    """Cost of reaching the target AUC; null without a target, and for a classical model."""
    row_sparsity: float | None
    """Fraction of all-zero embeddings, mean over seeds; null for a classical model."""
    table_bytes: float | None
    """Bytes of all tables, mean over seeds; null for a classical model."""
    nonzero_table_bytes: float | None
    """Bytes of the tables without all-zero embeddings, mean over seeds; null for a classical model."""
    state_bytes: float | None
    """Bytes of optimizer state, mean over seeds; null for a classical model."""
    clock: Clock
    """Durations."""


@record
class VariantResult(Trained):
    """A combination of options, one of each axis, or a classical model."""

    name: str
    """Options joined by `+`, or the name of the classical model."""
    options: dict[str, str]
    """Axis -> option; empty for a classical model."""
    classical_model: NotRequired[ClassicalModel | None]
    """Name of the classical model; null for a combination of options."""
    tuned: dict[str, Any] | None
    """Sampled settings of the best trial; null without tuning, or if all trials failed."""
    outermost: list[str]
    """Settings whose value in the best trial is the minimum or maximum of all sampled values."""
    trials: list[Trial]
    """Tuning runs."""
    failures: list[FailedRun]
    """Runs without a report."""
    metrics: dict[str, Estimate | None]
    """Metric -> mean over seeds; null if a run lacks the metric."""
    lacking: list[str]
    """Runs that are missing, in sentences."""
    difference: DifferenceToBaseline | None
    """Differences from the baseline; null for the baseline."""


@record
class Tuning(TypedDict):
    """Tuning budget of a study."""

    trials: int
    """Number of trials per variant."""
    seed: int
    """Seed of the samples and of the trial runs."""
    stop_losers: NotRequired[bool]
    """True if losing trials were ended early."""


@record
class StudyRecord(TypedDict):
    """Study of a comparison."""

    name: str
    """Name of the study."""
    axes: dict[str, list[str]]
    """Axis -> options."""
    classical_models: NotRequired[list[ClassicalModel]]
    """Classical models that the variants are compared with."""
    baseline: str
    """Name of the baseline."""
    seeds: list[int]
    """Seeds of the reported runs."""
    tuning: Tuning | None
    """Tuning budget; null without tuning."""
    target_auc: float | None
    """Validation AUC whose cost is reported."""
    evaluated: str | None
    """Reported split: test, or valid if there is no test split."""


@record
class Comparison(TypedDict):
    """comparison.json."""

    version: Literal[1]
    """Version of this schema."""
    study: StudyRecord
    """Study of the comparison."""
    variants: list[VariantResult]
    """Results of all variants, the baseline first, the classical models last."""
    environment: dict[str, Any]
    """Versions of Python and of packages."""
