"""report.json of a run, of an evaluation and of `ctr psi`."""

from typing import Annotated, Any, Literal, NotRequired, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from ctr.metrics.frequency_bands import Band
from ctr.metrics.psi import PSIResult
from ctr.metrics.records import record
from ctr.metrics.thresholds import Decile
from ctr.schema.drift import FeatureDrift, ScoreDrift
from ctr.schema.levels import Level
from ctr.schema.split_metrics import SplitMetrics

VERSION: Literal[1] = 1


@record
class GroupMetrics(TypedDict):
    """Metrics of the rows of one group; null where they are not defined."""

    rows: int
    """Number of examples."""
    auc: float | None
    """Probability that a random positive scores above a random negative, ties counted half."""
    auc_standard_error: float | None
    """By Hanley and McNeil 1982, of independent rows."""
    log_loss: float | None
    """Mean log loss in nats."""
    positive_rate: float | None
    """Mean label."""
    mean_score: float | None
    """Mean probability."""
    calibration: float | None
    """Sum of scores over sum of labels."""
    calibration_error: float | None
    """Standard error of `calibration` if every row is positive by its score."""
    calibration_z: float | None
    """Sum of labels minus sum of scores, in standard errors."""


@record
class SliceMetrics(GroupMetrics):
    """Metrics of the rows with one value of a column."""

    value: str
    """Value, or range of values, as text."""
    psi: PSIResult
    """PSI of their scores against those of the same slice of the training data."""


@record
class BandMetrics(GroupMetrics):
    """Metrics of the rows whose id the training data has about equally often."""

    seen: Band
    """How often the training data has their id."""


@record
class UnknownIds(TypedDict):
    """Ids of a feature that the model does not know."""

    values: int
    """Number of ids that are not null."""
    share: float | None
    """Fraction of them that the vocabulary does not have, 0 to 1; null without ids."""


@record
class Duplicates(TypedDict):
    """Estimate of the rows that were copied from the training data."""

    share: float | None
    """Fraction of the identified rows, 0 to 1."""
    error: float | None
    """Standard error of `share`."""
    upper: float | None
    """Upper end of its 95% interval."""
    identified_rows: int
    """Rows without a value out of vocabulary, which alone can be told apart."""
    is_suspect: bool
    """True if the share is at least 0.5% and above four standard errors."""
    reason: NotRequired[str]
    """Why `share` is null."""


@record
class Leakage(TypedDict):
    """Whether a feature or copied rows give the label away."""

    duplicates: Duplicates
    """Rows that were copied from the training data."""
    single_feature_auc: dict[str, float | None]
    """Feature -> AUC of the feature alone, its bins ranked by their positive rate in the training data."""


@record
class Check(TypedDict):
    """One sentence of an analyst."""

    check: str
    """Name of the check."""
    split: str
    """Split that the sentence is about."""
    level: Level
    """How bad it is."""
    sentence: str
    """What was found, or not."""


@record
class FileRows(TypedDict):
    """A file of a dataset."""

    path: str
    """Path as it was given."""
    rows: int
    """Rows of the file that the dataset has."""


@record
class BadRows(TypedDict):
    """Invalid rows that were left out of a split."""

    rows: int
    """Number of invalid rows."""
    share: float
    """Fraction of the rows that the split has with them."""
    reasons: dict[str, int]
    """Reason -> rows."""


@record
class TableSize(TypedDict):
    """An embedding table."""

    name: str
    """Name of the table."""
    rows: int
    """Number of embeddings, special ones included."""
    dim: int
    """Width of an embedding."""
    all_zero_embeddings: int
    """Embeddings that are exactly zero, without those of special rows."""
    row_sparsity: float
    """Their fraction of all rows but the special ones, 0 to 1."""
    bytes: int
    """Weights and optimizer state."""
    weight_bytes: int
    """Weights."""
    nonzero_weight_bytes: int
    """Weights without all-zero embeddings."""
    optimizer: str
    """Name of its optimizer."""


@record
class Measured(TypedDict):
    """The part of a report that scoring gives. What cannot be computed is null, with a reason."""

    version: Literal[1]
    """Version of this schema."""
    main_split: str
    """Split that the checks and the top of the page are about: test, or else the last one."""
    metrics: dict[str, SplitMetrics]
    """By split; `train` is a sample of the training data."""
    negative_sampling_rate: dict[str, float | None]
    """Split -> rate at which its negatives were sampled; null: all rows."""
    deciles: dict[str, list[Decile]]
    """By split, from the highest score down; none where no row has a weight."""
    psi: ScoreDrift
    """Drift of the score and of features against the training data."""
    slices: dict[str, dict[str, list[SliceMetrics]]]
    """Split -> column -> slices."""
    frequency: dict[str, dict[str, list[BandMetrics]]]
    """Split -> feature -> rows by how often the training data has their id."""
    unknown_ids: dict[str, dict[str, UnknownIds]]
    """Split -> feature -> ids that the model does not know."""
    leakage: dict[str, Leakage]
    """By split."""
    checks: list[Check]
    """The worst level first."""


@record
class ScoredReport(Measured):
    """The parts that a run and an evaluation have in common."""

    files: dict[str, list[FileRows]]
    """By split."""
    bad_rows: dict[str, BadRows]
    """By split; without those that have none."""
    tables: list[TableSize]
    """Every embedding table."""
    row_sparsity: float
    """Fraction of all-zero embeddings in all tables, 0 to 1."""
    fingerprints: dict[str, str]
    """SHA-256 of the final weights; of a run also of the initial weights and of the order of rows."""
    seconds: dict[str, float]
    """Clock readings: `total`; of a run also `train`."""


@record
class Training(TypedDict):
    """How far training went."""

    epochs: int
    """Whole epochs."""
    steps: int
    """Batches."""
    rows: int
    """Examples, counted in every epoch."""
    stopped_early: bool
    """True if training ended before the last step that was asked for."""


@record
class Component(TypedDict):
    """A line of the model's cost."""

    name: str
    """Name of the component."""
    parameters: int
    """Number of weights that are trained."""
    flops: int
    """Floating-point operations per example, forward."""


@record
class Model(TypedDict):
    """The cost of the model."""

    components: list[Component]
    """Its tables and blocks."""


@record
class RunReport(ScoredReport):
    """report.json of a run."""

    kind: Literal["run"]
    training: Training
    """How far training went."""
    model: Model
    """The cost of the model."""
    warm_start: dict[str, Any] | None
    """What warm_start.json holds; null: the run began with weights of its own."""
    state_bytes: dict[str, int]
    """Bytes of optimizer state of all tables and of all towers."""


@record
class FileOfRun(TypedDict):
    """A file of an evaluated dataset that the run has too."""

    sets: list[str]
    """Splits of the run that have rows of it."""
    unchanged: bool
    """True if its values are those that the run read."""


@record
class EvaluationReport(ScoredReport):
    """report.json of an evaluation."""

    kind: Literal["evaluation"]
    files_of_run: dict[str, FileOfRun]
    """Path -> what the run has of the file."""


@record
class DriftReport(TypedDict):
    """report.json of `ctr psi`."""

    version: Literal[1]
    """Version of this schema."""
    kind: Literal["psi"]
    psi: FeatureDrift
    """Drift of the columns."""
    column_types: dict[str, str]
    """Column -> numeric, categorical, list (of categories) or list of numbers."""
    not_compared: dict[str, str]
    """Column -> reason."""
    shared_files: list[str]
    """Files that both datasets have: no drift can be seen in them."""
    files: dict[str, list[FileRows]]
    """`reference` and `current`."""
    rows: dict[str, int]
    """`reference` and `current`."""
    settings: dict[str, Any]
    """What was compared, and how."""
    seconds: dict[str, float]
    """Clock readings: `sample`, `count`, `total`."""


Report: TypeAlias = Annotated[RunReport | EvaluationReport | DriftReport, Field(discriminator="kind")]
