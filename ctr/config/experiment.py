"""The config: one YAML file is one experiment, checked before anything is read or written."""

import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PositiveFloat,
    ValidationError,
    model_validator,
)

from ctr.config import yaml_file
from ctr.config.messages import explain
from ctr.config.registry_settings import EpochsOrSteps, settings_from_registry
from ctr.config.report import Report
from ctr.errors import ConfigError as ConfigError
from features import Cast, Count, Features, Settings, Split
from models import MODELS
from optimizers import DENSE, SPARSE


def available_cpus() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Initializer(Settings):
    """How weights start."""

    tables: float = Field(0.01, ge=0, le=1e6)
    """Standard deviation of the normal that starts embeddings."""
    towers: Literal["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal"] = (
        "glorot_uniform"
    )
    """Keras initializer of the kernels."""
    head_bias: Literal["log_odds", "zero"] = "log_odds"
    """Bias of the logit before training: the log-odds of the training labels, weighted by `data.weight`, or 0.
    From the log-odds, a model of rare positives does not spend its first epochs on their rate."""


class SkipBadRows(Settings):
    """Leave bad rows out, counted and reported."""

    skip: float = Field(gt=0, lt=1)
    """The share of a set's rows up to which it may be; more are an error."""


def _error_or_skip(value: Any) -> Any:
    if isinstance(value, dict):
        return SkipBadRows.model_validate(value)
    if value != "error" and not isinstance(value, SkipBadRows):
        raise ValueError("needs `error`, or the share of rows that may be left out, such as {skip: 0.001}")
    return value


class Data(Settings):
    """Where the data is and what its columns mean, features apart."""

    root: str | None = None
    """Relative paths are relative to it."""
    path: str | list[str] | None = None
    """One set, divided by `split`; or `train`, `valid` and `test` as sets of their own."""
    train: str | list[str] | None = None
    valid: str | list[str] | None = None
    test: str | list[str] | None = None
    split: Split | None = None
    label: str
    weight: str | None = None
    """Column that weighs loss and metrics."""
    negative_sampling_rate: float | None = Field(None, gt=0, le=1)
    """The share of negatives that the data kept: scores get + ln r, metrics weigh negatives by 1/r."""
    keep: list[str] = []
    """Columns that are read though not features, and copied into the scores."""
    cast: dict[str, Cast] = {}
    """Columns that are read as another type, wherever they are used: as `text`, `hex`, `integer`, `number` or
    `{timestamp: FORMAT}`."""
    shuffle_rows: Count = 1 << 18
    """Training rows are shuffled in windows of at least this many rows and two row groups."""
    bad_rows: Annotated[Literal["error"] | SkipBadRows, BeforeValidator(_error_or_skip)] = "error"
    """What a row with an unusable label, weight, number or id is: an error, or left out of its set and counted."""

    @model_validator(mode="after")
    def _names_one_source(self) -> "Data":
        if (self.path is None) == (self.train is None):
            raise ValueError("needs `path` with `split`, or `train` (and `valid`, `test`)")
        if (self.path is None) != (self.split is None):
            raise ValueError("`path` and `split` go together")
        if self.path is not None and (self.valid or self.test):
            raise ValueError("`valid` and `test` go with `train`; `path` is divided by `split`")
        for key in ("path", "train", "valid", "test"):
            named = getattr(self, key)
            if named is not None and not (named and all(named)):
                raise ValueError(f"`{key}` names no file. Received: {named!r}")
        return self


class EarlyStopping(Settings):
    """Stop at the `patience`-th validation in a row without improvement."""

    metric: Literal["auc", "log_loss"] = "auc"
    """Also chooses the best checkpoint."""
    patience: Count = 3


class Plateau(Settings):
    """Multiply every learning rate at each validation without improvement."""

    factor: float = Field(0.1, gt=0, lt=1)


DENSE_ONLY = {
    name: f"is for towers: on a table it would move every row at each step; tables have {', '.join(SPARSE)}"
    for name in DENSE
    if name not in SPARSE
}


class LookaheadSettings(Settings):
    """Slow weights that follow those of the optimizer."""

    every: Count = 5
    """Steps of the optimizer to one of the slow weights."""
    alpha: float = Field(0.5, gt=0, le=1)
    """Share of the way that the slow weights go."""


class TowerOptimizer(Settings):
    """What every optimizer of towers may have around it."""

    l1_gradient: float = Field(0.0, ge=0, allow_inf_nan=False)
    """lambda; lambda sign(w) is added to a matrix's gradient."""
    l2_gradient: float = Field(0.0, ge=0, allow_inf_nan=False)
    """lambda; lambda w is added to a matrix's gradient."""
    layerwise_normalization: bool = False
    """Each matrix moves by a share of its own norm: LAMB's rule around any optimizer."""
    lookahead: LookaheadSettings | None = None


SparseOptimizer: TypeAlias = settings_from_registry(SPARSE, unfit=DENSE_ONLY)  # type: ignore[valid-type]
DenseOptimizer: TypeAlias = settings_from_registry(DENSE, base=TowerOptimizer)  # type: ignore[valid-type]


class Optimizers(Settings):
    """The optimizer of each table and tower."""

    sparse: dict[str, SparseOptimizer] = Field({"*": {"type": "rmsprop_v2"}}, validate_default=True)
    """Pattern of table names -> optimizer; a wide table that only `*` matches is FTRL's."""
    dense: dict[str, DenseOptimizer] = Field({"*": {"type": "adam"}}, validate_default=True)
    """Pattern of tower names -> optimizer; or one optimizer for all towers."""
    clip_norm: PositiveFloat | None = None
    """Bound on the global norm of all gradients, after duplicates are summed."""

    @model_validator(mode="before")
    @classmethod
    def _one_for_all_towers(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("dense"), dict) and "type" in values["dense"]:
            return {**values, "dense": {"*": values["dense"]}}
        return values


class StepsOrMinutes(Settings):
    """So many steps of training, or so many minutes."""

    steps: Count | None = None
    minutes: PositiveFloat | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "StepsOrMinutes":
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("needs `steps` or `minutes`, one of them")
        return self


class Checkpointing(Settings):
    """When a checkpoint is saved, beside at the best validation and at the end, and how many are kept."""

    every: StepsOrMinutes = StepsOrMinutes(minutes=10)
    keep: Count = 2
    """The number of last checkpoints that stay; the best that each of them names stays with it."""


class WarmStart(Settings):
    """Begin with what a trained run has learned."""

    run: str
    """Its folder, relative to the working directory."""
    state: Literal["carry", "reset"] = "carry"
    """Of the optimizers: it goes on from the run's, or begins anew."""


class Training(Settings):
    """The training loop."""

    batch_size: Count = 4096
    last_batch: Literal["keep", "drop"] = "keep"
    """The rows of an epoch that do not fill a batch: train on them as a smaller batch, or leave them out."""
    epochs: int = Field(10, gt=0, le=10**6)
    validate_every: EpochsOrSteps = EpochsOrSteps(epochs=1)
    early_stopping: EarlyStopping | None = EarlyStopping()
    plateau: Plateau | None = None
    checkpoint: Checkpointing = Checkpointing()
    """What a run goes on from with `--resume`."""
    warm_start: WarmStart | None = None
    """Vocabularies grow, old ids keep their rows."""
    threads: int = Field(default_factory=available_cpus, gt=0, le=1024)
    """CPU threads of TensorFlow; results are a function of it. Default: the CPUs of the machine that began the run."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """`auto` takes a GPU if there is one."""
    replicas: int = Field(1, gt=0, le=1024)
    """GPUs of one machine that train together, each with a copy of everything, on its share of every batch."""
    precision: Literal["float32", "tf32", "mixed_bfloat16"] = "float32"
    """What towers compute in; tables, all weights and their state, and the logit stay float32."""
    deterministic: bool = True
    """The same command gives the same bytes. A CPU always does; a GPU then uses slower kernels."""


EARLIER_SETTINGS = {("features", "unseen"): "own", ("model", "initializer", "head_bias"): "zero"}
"""Settings that versions up to 0.4.0 did not have -> what those did."""
Base: TypeAlias = settings_from_registry(  # type: ignore[valid-type]
    MODELS, "seed", "initializer", unfit={"can": "stands on another model, not on itself"}
)
"""The tower that another stands on."""
Model: TypeAlias = settings_from_registry(MODELS, "seed", "initializer", arguments={"base": Base})  # type: ignore[valid-type]
MAX_NAME = 200  # a file system's 255, less what is put around it
WIDE_OPTIMIZER = {"type": "ftrl", "learning_rate": 0.1, "l1": 0.001}


def plain_name(name: str) -> str:
    """The name, if a folder may have it; else ValueError."""
    if not name or name[0] == "." or "/" in name or "\\" in name or not name.isprintable():
        raise ValueError("a name becomes a folder: no slash, no leading dot, no control character")
    if len(name.encode()) > MAX_NAME:
        raise ValueError(f"a name becomes a folder: at most {MAX_NAME} bytes")
    return name


class Experiment(Settings):
    """Everything that determines a run."""

    name: Annotated[str, AfterValidator(plain_name)]
    seed: int = Field(1, ge=0, lt=2**31)
    data: Data
    features: Features
    model: Model
    initializer: Initializer = Initializer()
    optimizers: Optimizers = Optimizers()
    training: Training = Training()
    report: Report = Report()

    @property
    def _has_a_wide_part(self) -> bool:
        """Whether the model, or what it stands on, is Wide & Deep."""
        base = getattr(self.model, "base", None)
        return "wide_deep" in (self.model.type, base and base.type)

    @model_validator(mode="after")
    def _wide_part_trains_with_ftrl(self) -> "Experiment":
        """Wide tables that only `*` matches, by name if some have patterns, which `wide/*` might overrule."""
        if not self._has_a_wide_part:
            return self
        sparse = self.optimizers.sparse
        tables = [f"wide/{name}" for name in dict.fromkeys([*self.features.categories, *self.features.crosses])]
        free = [name for name in tables if not any(fnmatchcase(name, key) for key in sparse if key != "*")]
        names = ["wide/*"] if free == tables else free
        ftrl = Optimizers.model_validate({"sparse": dict.fromkeys(names, WIDE_OPTIMIZER)}).sparse
        optimizers = self.optimizers.model_copy(update={"sparse": {**sparse, **ftrl}})
        object.__setattr__(self, "optimizers", optimizers)  # frozen for everyone else
        return self

    @model_validator(mode="after")
    def _crosses_have_a_place(self) -> "Experiment":
        for name, cross in self.features.crosses.items():
            if cross.dim == 1 and not self._has_a_wide_part:
                raise ValueError(
                    f"features.columns.{name}: a {cross.kind} of dim 1 is a weight of the wide part, which "
                    f"{self.model.type} has not: give it a dim above 1"
                )
        return self

    @model_validator(mode="before")
    @classmethod
    def _initializer_of_the_model(cls, values: Any) -> Any:
        """`model: {initializer: ...}` is where users write it; it covers tables too, so it is kept beside the model."""
        model = values.get("model") if isinstance(values, dict) else None
        if isinstance(model, dict) and "initializer" in model:
            rest = {key: value for key, value in model.items() if key != "initializer"}
            return {**values, "model": rest, "initializer": model["initializer"]}
        return values

    def to_yaml(self) -> str:
        """The resolved config, every default written out."""
        dumped = self.model_dump(mode="json", by_alias=True, serialize_as_any=True)
        dumped["model"]["initializer"] = dumped.pop("initializer")
        return yaml.safe_dump(dumped, sort_keys=False, allow_unicode=True)


def load_experiment(path: str | Path, overrides: list[str] | None = None) -> Experiment:
    """Read and check a YAML file.

    Args:
        path: of the file.
        overrides: `KEY=VALUE` with a dotted KEY, such as `training.epochs=3`; parts that hold dots are quoted.

    Raises:
        ConfigError: the file is missing or not YAML, or a setting is wrong.
    """
    values = yaml_file.read(path)
    if {"experiment", "axes"} <= set(values):
        raise ConfigError(f"{path}: is a study, not an experiment; `ctr compare` takes it")
    return _with_overrides(values, path, overrides)


def load_saved_experiment(path: str | Path, overrides: list[str] | None = None) -> Experiment:
    """Read the config of a run, which has every setting that its version knew.

    A setting that it lacks is what the earlier version did, whatever the default is today.

    Args:
        path: config.yaml of the run.
        overrides: as of `load_experiment`.

    Raises:
        ConfigError: as `load_experiment`.
    """
    values = yaml_file.read(path)
    for keys, value in EARLIER_SETTINGS.items():
        yaml_file.put_default(values, keys, value)
    return _with_overrides(values, path, overrides)


def _with_overrides(values: dict[str, Any], path: str | Path, overrides: list[str] | None) -> Experiment:
    for override in overrides or []:
        yaml_file.put(values, *yaml_file.parse_override(override), f"--set {override!r}")
    return check_experiment(values, str(path))


def check_experiment(values: dict[str, Any], where: str) -> Experiment:
    """The experiment that a config file's values are.

    Args:
        values: of the config.
        where: they stand, for messages.

    Raises:
        ConfigError: a setting is wrong.
    """
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(error)}") from error
