"""Records of report.json: of a run, of an evaluation, of a classical model and of `ctr psi`."""

from typing import Annotated, Any, Literal, NotRequired, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from ctr.metrics.frequency_bands import Band
from ctr.metrics.psi import PSIResult
from ctr.metrics.records import record
from ctr.metrics.thresholds import Decile
from ctr.schema.classical import ClassicalFit
from ctr.schema.drift import FeatureDrift, ScoreDrift
from ctr.schema.levels import Level
from ctr.schema.split_metrics import SplitMetrics

VERSION: Literal[1] = 1


@record
class GroupMetrics(TypedDict):
    """Metrics of a group of examples; null where a metric is undefined."""

    rows: int
    """Number of examples."""
    auc: float | None
    """Probability that a random positive scores above a random negative (ties count half)."""
    auc_standard_error: float | None
    """Standard error of `auc` for independent examples (Hanley and McNeil 1982)."""
    log_loss: float | None
    """Mean log loss, in nats."""
    positive_rate: float | None
    """Mean label."""
    mean_score: float | None
    """Mean probability."""
    calibration: float | None
    """Sum of scores over sum of labels."""
    calibration_error: float | None
    """Standard error of `calibration` if each example is positive with probability equal to its score."""
    calibration_z: float | None
    """Sum of labels minus sum of scores, in standard errors."""


@record
class SliceMetrics(GroupMetrics):
    """Metrics of a slice: the examples with one value, or range of values, of a column."""

    value: str
    """Value, or range of values, as text."""
    psi: PSIResult
    """PSI of the slice's scores against the same slice of the training data."""


@record
class BandMetrics(GroupMetrics):
    """Metrics of the examples whose id the training data has about equally often."""

    seen: Band
    """Band of how often the training data has the id."""


@record
class UnknownIds(TypedDict):
    """Share of a feature's ids that the model does not know."""

    values: int
    """Number of ids that are not null."""
    share: float | None
    """Fraction of these ids that the model does not know, 0 to 1; null without ids."""


@record
class Duplicates(TypedDict):
    """Estimated share of examples that were copied from the training data."""

    share: float | None
    """Fraction of `identified_rows` that are copies, 0 to 1."""
    error: float | None
    """Standard error of `share`."""
    upper: float | None
    """Upper end of the 95% CI of `share`."""
    identified_rows: int
    """Number of examples that can be identified, because none of their ids is out of vocabulary."""
    is_suspect: bool
    """True if the share is at least 0.5% and above four standard errors."""
    reason: NotRequired[str]
    """Reason why `share` is null."""


@record
class Leakage(TypedDict):
    """Signs that the label is known before it should be: copied examples, or features that predict it alone."""

    duplicates: Duplicates
    """Examples that were copied from the training data."""
    single_feature_auc: dict[str, float | None]
    """Feature -> AUC of the feature alone, with its bins ranked by their positive rate in the training data."""


@record
class Check(TypedDict):
    """Result of a check."""

    check: str
    """Name of the check."""
    split: str
    """Split that was checked."""
    level: Level
    """Severity of the result."""
    sentence: str
    """Result in words."""


@record
class FileRows(TypedDict):
    """File of a dataset."""

    path: str
    """Path as given."""
    rows: int
    """Number of rows of the file that are in the dataset."""


@record
class BadRows(TypedDict):
    """Invalid rows that were left out of a split."""

    rows: int
    """Number of invalid rows."""
    share: float
    """Fraction of the split's rows, invalid ones included, 0 to 1."""
    reasons: dict[str, int]
    """Reason -> number of rows."""


@record
class TableSize(TypedDict):
    """Size of an embedding table."""

    name: str
    """Name of the table."""
    rows: int
    """Number of embeddings, special rows included."""
    dim: int
    """Width of an embedding."""
    all_zero_embeddings: int
    """Number of embeddings that are exactly zero, special rows not counted."""
    row_sparsity: float
    """Fraction of all-zero embeddings, special rows not counted, 0 to 1."""
    bytes: int
    """Bytes of weights and optimizer state."""
    weight_bytes: int
    """Bytes of weights."""
    nonzero_weight_bytes: int
    """Bytes of weights without all-zero embeddings."""
    optimizer: str
    """Name of its optimizer."""


@record
class Measured(TypedDict):
    """Keys of a report that come from scoring. A number that cannot be computed is null, with a reason."""

    version: Literal[1]
    """Version of this schema."""
    main_split: str
    """Split that checks and summary cards judge: test, or the last split if there is no test split."""
    metrics: dict[str, SplitMetrics]
    """Split -> metrics. `train` is a sample of the training data."""
    negative_sampling_rate: dict[str, float | None]
    """Split -> rate at which its negatives were sampled; null: it has all negatives."""
    deciles: dict[str, list[Decile]]
    """Split -> ten groups of examples, from the highest score down; empty if all sample weights are 0."""
    psi: ScoreDrift
    """Drift of the score and of features against the training data."""
    slices: dict[str, dict[str, list[SliceMetrics]]]
    """Split -> column -> metrics of its slices."""
    frequency: dict[str, dict[str, list[BandMetrics]]]
    """Split -> feature -> metrics by how often the training data has the id."""
    unknown_ids: dict[str, dict[str, UnknownIds]]
    """Split -> feature -> share of ids that the model does not know."""
    leakage: dict[str, Leakage]
    """Split -> signs that the label is known before it should be."""
    checks: list[Check]
    """Results of the checks, the most severe first."""


@record
class ScoredReport(Measured):
    """Keys that reports of runs, evaluations and classical models have in common."""

    files: dict[str, list[FileRows]]
    """Split -> its files; also `gap`, for rows between the splits that are in none."""
    bad_rows: dict[str, BadRows]
    """Split -> invalid rows that were left out; splits without invalid rows are absent."""
    seconds: dict[str, float]
    """Elapsed seconds: `total`; except for an evaluation, also `train`."""


@record
class ModelReport(ScoredReport):
    """Keys that reports of runs and evaluations have in common."""

    tables: list[TableSize]
    """Size of every embedding table."""
    row_sparsity: float
    """Fraction of all-zero embeddings in all tables, 0 to 1."""
    fingerprints: dict[str, str]
    """SHA-256 of the final weights; for a run, also of the initial weights and of the order of examples."""


@record
class SampledNegatives(TypedDict):
    """Negatives of an epoch, if `data.sample_negatives` draws them."""

    kept: int
    """Number of negatives that an epoch trains on."""
    all: int
    """Number of negatives in the training data."""


@record
class Training(TypedDict):
    """Length of the training."""

    epochs: int
    """Number of complete epochs."""
    steps: int
    """Number of steps."""
    rows: int
    """Number of examples, counted once per epoch."""
    stopped_early: bool
    """True if training ended before the last step of `training.epochs`."""
    negatives: NotRequired[SampledNegatives]
    """Number of negatives in an epoch; absent if every epoch trains on all of them."""


@record
class Component(TypedDict):
    """Line of the model cost table."""

    name: str
    """Name of the component."""
    parameters: int
    """Number of trainable weights."""
    flops: int
    """FLOPs per example, forward."""


@record
class Model(TypedDict):
    """Cost of the model."""

    components: list[Component]
    """Tables and blocks of the model."""


@record
class RunReport(ModelReport):
    """Report of a run."""

    kind: Literal["run"]
    training: Training
    """Length of the training."""
    model: Model
    """Cost of the model."""
    warm_start: dict[str, Any] | None
    """Content of warm_start.json; null: the run started from initial weights."""
    state_bytes: dict[str, int]
    """Bytes of optimizer state of all tables and of the dense tower."""


@record
class FileOfRun(TypedDict):
    """File of the evaluated dataset that the run has read, too."""

    sets: list[str]
    """Splits of the run that contain rows of the file, and `gap` if rows of it are between the splits."""
    unchanged: bool
    """True if the file still has the values that the run read."""


@record
class EvaluationReport(ModelReport):
    """Report of an evaluation."""

    kind: Literal["evaluation"]
    files_of_run: dict[str, FileOfRun]
    """Path -> use of the file by the run."""


@record
class ClassicalReport(ScoredReport):
    """Report of a classical model of a comparison."""

    kind: Literal["classical"]
    fit: ClassicalFit
    """Examples, settings and library of the fit."""


@record
class DriftReport(TypedDict):
    """Report of `ctr psi`."""

    version: Literal[1]
    """Version of this schema."""
    kind: Literal["psi"]
    psi: FeatureDrift
    """Drift of the columns."""
    column_types: dict[str, str]
    """Column -> `numeric`, `categorical`, `list` (of categories) or `list of numbers`."""
    type_reasons: NotRequired[dict[str, str]]
    """Integer column -> why it is numeric or categorical: an option, the config, or a rule."""
    not_compared: dict[str, str]
    """Column that is not compared -> reason."""
    shared_files: list[str]
    """Files that are in both datasets, and cannot show drift."""
    files: dict[str, list[FileRows]]
    """`reference` or `current` -> its files."""
    rows: dict[str, int]
    """`reference` or `current` -> its number of rows."""
    settings: dict[str, Any]
    """Settings of the comparison."""
    seconds: dict[str, float]
    """Elapsed seconds: `sample`, `count` and `total`."""


Report: TypeAlias = Annotated[RunReport | EvaluationReport | ClassicalReport | DriftReport, Field(discriminator="kind")]
