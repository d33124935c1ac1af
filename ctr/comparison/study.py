"""Studies: a base experiment, axes with options, seeds and a tuning budget, in one YAML file."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from ctr.comparison import drop_axis
from ctr.comparison.search_ranges import Sampled, SearchRange, fill_ranges, find_ranges, sample
from ctr.config import yaml_file
from ctr.config.base_experiment import check_base, plain_name
from ctr.config.dropped_features import put_setting
from ctr.config.feature_expansion import FeatureExpander, Notify, ignore
from ctr.config.messages import explain
from ctr.errors import ConfigError
from ctr.metrics.catalog import shown_in
from ctr.metrics.metric import Place
from ctr.schema.classical import ClassicalModel
from features import Settings, nearest

if TYPE_CHECKING:
    from ctr.config.experiment import Experiment

THREADS = 1  # of each run, so that results do not depend on the number of concurrent runs
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.,=-]*")
JOIN = "+"  # between the options in a variant's name
COLUMNS = {  # columns of runs.csv in addition to the axes
    *("run", "seed", "reason", "chosen", "seconds", "trained_epochs", "trained_steps", "trained_rows"),
    *(f"{split}_{metric.key}" for split in ("train", "valid", "test") for metric in shown_in(Place.COMPARISON)),
    *("row_sparsity", "table_bytes", "nonzero_table_bytes", "state_bytes"),
}
STUDY_KEYS = {"seed": "seeds", "name": "name"}
"""Settings that the comparison sets for each run -> the key of the study to use instead."""

CLASSICAL_READS = ("seed", "data*", "features*", "report*", "training.threads")
"""Patterns of the settings that a classical model depends on."""

Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Tuning(Settings):
    """Tuning budget, the same for every variant."""

    trials: int = Field(gt=0, le=10**4)
    """Number of trials of each variant."""
    seed: Seed = 0
    """Seed of the sampled settings and of the trial runs. Must not be one of `seeds`."""
    stop_losers: bool = False
    """If true, a trial that falls clearly behind an earlier trial of its variant is ended early."""


class Study(Settings):
    """Everything that determines a comparison."""

    name: Annotated[str, AfterValidator(plain_name)]
    """Name of the study. The default result folder is `comparisons/<name>`."""
    experiment: dict[str, Any]
    """Base experiment. In the file, also the path of a config, relative to the study file."""
    settings: dict[str, Any] = {}
    """Settings of every run, by dotted key. They override `experiment`."""
    axes: dict[str, dict[str, Any]] = Field(min_length=1)
    """Axis -> option -> settings by dotted key. Short form: axis -> one dotted key -> list of values. The axis `drop`
    is a list of features to leave out in turn, or group -> list of features."""
    classical_models: list[ClassicalModel] = []
    """Models of scikit-learn to compare with: `logistic` (logistic regression) and `trees` (gradient-boosted trees).
    They are added to the variants of the axes, and need the extra `classical`."""
    baseline: dict[str, str] = {}
    """Axis -> option of the baseline. Default: the first option of each axis."""
    seeds: list[Seed] = Field([1], min_length=1)
    """Distinct seeds of the reported runs. Each variant trains once with each seed."""
    tuning: Tuning | None = None
    """Tuning budget. Default: no tuning, so settings cannot be search ranges."""
    target_auc: float | None = Field(None, gt=0, lt=1)
    """Validation AUC whose cost is reported. Default: the highest that the baseline reaches with every seed."""

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, seeds: list[int]) -> list[int]:
        if duplicates := [seed for index, seed in enumerate(seeds) if seed in seeds[:index]]:
            raise ValueError(f"duplicate seed {duplicates[0]}. Seeds must be distinct. Received: {seeds}")
        return seeds

    @field_validator("axes", mode="before")
    @classmethod
    def _expand_axes(cls, axes: Any) -> Any:
        if not isinstance(axes, dict):
            return axes
        if reserved := [axis for axis in axes if axis in COLUMNS]:
            raise ValueError(f"axis {reserved[0]!r} has the name of a column of runs.csv. Rename the axis.")
        return {axis: _options(str(axis), declared) for axis, declared in axes.items()}

    @field_validator("baseline", mode="before")
    @classmethod
    def _as_text(cls, baseline: Any) -> Any:
        return {axis: str(option) for axis, option in baseline.items()} if isinstance(baseline, dict) else baseline

    @model_validator(mode="after")
    def _check_tuning_seed(self) -> "Study":
        """Keep trials apart from reported runs: the best trial is selected, also by the luck of its seed."""
        if self.tuning is not None and self.tuning.seed in self.seeds:
            raise ValueError(f"tuning.seed: {self.tuning.seed} is also one of `seeds`. Use a separate seed for trials.")
        return self

    @model_validator(mode="after")
    def _check_classical_models(self) -> "Study":
        for index, name in enumerate(self.classical_models):
            if name in self.classical_models[:index]:
                raise ValueError(f"classical_models: duplicate model {name!r}. Models must be distinct.")
            if axis := next((axis for axis, options in self.axes.items() if name in options), None):
                raise ValueError(f"axes.{axis}.{name}: is also the name of a classical model. Rename the option.")
        return self

    @model_validator(mode="after")
    def _check_baseline(self) -> "Study":
        for axis, option in self.baseline.items():
            if axis not in self.axes:
                raise ValueError(f"baseline: unknown axis {axis!r}; {nearest(axis, list(self.axes))}")
            if option not in self.axes[axis]:
                raise ValueError(
                    f"baseline.{axis}: unknown option {option!r}; {nearest(option, list(self.axes[axis]))}"
                )
        return self


@dataclass(frozen=True)
class Variant:
    """A combination of options, one of each axis, or a classical model.

    Attributes:
        name: options joined by `+`, or the name of the classical model; also the name of a folder.
        options: axis -> option; empty for a classical model.
        values: config with search ranges; for a classical model, that of the baseline.
        ranges: dotted key -> search range.
        expander: expands patterns of features, the same for all variants of a study.
        classical_model: name of the classical model; None for a combination of options.
        tuned_as: variant whose best trial sets the search ranges: the baseline for a classical model; None: itself.
    """

    name: str
    options: dict[str, str]
    values: dict[str, Any]
    ranges: dict[str, SearchRange]
    expander: FeatureExpander = field(default_factory=FeatureExpander, compare=False, repr=False)
    classical_model: ClassicalModel | None = None
    tuned_as: str | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """Patterns of the settings that decide the result of a run."""
        return ("*",) if self.classical_model is None else CLASSICAL_READS

    def depends_on(self, keys: Iterable[str]) -> bool:
        """Return True if one of the settings decides the result of a run."""
        return any(fnmatchcase(key, pattern) for key in keys for pattern in self.reads)

    def experiment(self, sampled: Sampled, seed: int) -> "Experiment":
        """Return the experiment with the sampled values of a trial.

        Raises:
            ConfigError: a setting is invalid.
        """
        from ctr.config.experiment import check_experiment  # needs TensorFlow, which takes seconds to import

        return check_experiment(self._filled(sampled, seed), self._where)

    def check_base(self, sampled: Sampled, seed: int) -> None:
        """Check what needs no TensorFlow: the settings with the sampled values, except `model` and `optimizers`.

        Raises:
            ConfigError: a setting is invalid.
        """
        check_base(self._filled(sampled, seed), self._where)

    def _filled(self, sampled: Sampled, seed: int) -> dict[str, Any]:
        values = {**fill_ranges(self.values, sampled), "seed": seed, "name": f"{self.name}, seed {seed}"}
        return self.expander.expand(values, self._where)

    @property
    def _where(self) -> str:
        return f"variant {self.name}"


def load_study(path: str | Path, overrides: str | Sequence[str] | None = None) -> Study:
    """Read and check a study file and the experiment that it names.

    Args:
        path: YAML file.
        overrides: `KEY=VALUE` texts, or one such text. A KEY of the study changes the study, any other KEY is a setting
            of every run.

    Raises:
        ConfigError: a file does not exist or is not YAML, or a value is invalid.
    """
    values = yaml_file.read(path)
    if "data" in values and not {"experiment", "axes"} & set(values):
        raise ConfigError(f"{path}: an experiment, expected a study. Use `ctr train {path}`.")
    for override in yaml_file.list_overrides(overrides):
        key, value = yaml_file.parse_override(override)
        is_study_key = key[0] in Study.model_fields
        target = key if is_study_key else ["settings", yaml_file.join_key(key)]
        yaml_file.put(values, target, value, f"--set {override!r}")
    if isinstance(values.get("experiment"), str):
        values["experiment"] = yaml_file.read(Path(path).parent / values["experiment"])
    try:
        study = Study.model_validate(values)
        list_variants(study)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error)}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return study


def check_variants(study: Study) -> None:
    """Check the settings of every variant, except `model` and `optimizers`, without TensorFlow.

    Search ranges are filled as in the first trial, which is planned in any case.

    Raises:
        ConfigError: a setting is invalid.
    """
    for variant in list_variants(study):
        seed = study.tuning.seed if study.tuning else study.seeds[0]
        sampled = sample(variant.ranges, 1, seed)[0] if study.tuning else {}
        variant.check_base(sampled, seed)


def list_variants(study: Study, notify: Notify = ignore) -> list[Variant]:
    """Return every combination of options, the baseline first, then the classical models.

    A classical model has no options. It reads the data, features and report settings of the baseline, so that its
    examples are those of the baseline.

    Args:
        study: study with the axes.
        notify: function that is called with a line about columns that a warm start ignores.

    Raises:
        ConfigError: a setting cannot be applied, or search ranges and tuning budget do not match.
    """
    variants, expander = [], FeatureExpander(notify)
    for names in itertools.product(*study.axes.values()):
        options = dict(zip(study.axes, names, strict=True))
        values = yaml_file.deep_copy(study.experiment)
        _apply(values, study.settings, "settings")
        for axis, option in options.items():
            _apply(values, study.axes[axis][option], f"axes.{axis}.{option}")
        training = values.setdefault("training", {})
        if isinstance(training, dict):
            training.setdefault("threads", THREADS)
        variants.append(Variant(JOIN.join(names), options, values, find_ranges(values), expander))
    _check_budget(study, variants)
    first = {axis: next(iter(options)) for axis, options in study.axes.items()}
    variants.sort(key=lambda variant: variant.options != {**first, **study.baseline})
    base = variants[0]
    classical = [
        replace(base, name=name, options={}, classical_model=name, tuned_as=base.name)
        for name in study.classical_models
    ]
    return [*variants, *classical]


def _check_budget(study: Study, variants: list[Variant]) -> None:
    """Raise ConfigError unless there are two variants, and all or none have search ranges."""
    if len(variants) + len(study.classical_models) < 2:
        raise ConfigError("axes: a comparison needs at least two variants, found 1. Add an option to an axis.")
    tuned = [variant for variant in variants if variant.ranges]
    if tuned and study.tuning is None:
        key = next(iter(tuned[0].ranges))
        raise ConfigError(
            f"variant {tuned[0].name}: {key} is a search range, but the study has no tuning budget. "
            f"Add `tuning: {{trials: 3}}`."
        )
    if study.tuning is not None and len(tuned) < len(variants):
        fixed = next(variant.name for variant in variants if not variant.ranges)
        raise ConfigError(
            f"tuning: variant {fixed} has no search range, so all its trials would be the same. Add a search range, "
            f"such as `learning_rate: {{tune: [0.001, 0.1]}}`{'' if tuned else ', or remove `tuning`'}."
        )


def _apply(values: dict[str, Any], settings: Mapping[str, Any], where: str) -> None:
    """Put dotted settings into a config."""
    for key, value in settings.items():
        try:
            path = yaml_file.split_key(key)
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from error
        if path in (["baseline"], ["classical_models"]):
            raise ConfigError(
                f"{where}: {key!r} is a key of the study. To compare with a classical model, add "
                f"`classical_models: [logistic, trees]` to the study."
            )
        if path[0] in STUDY_KEYS:
            raise ConfigError(
                f"{where}: the comparison sets {key!r}. Use `{STUDY_KEYS[path[0]]}` of the study instead."
            )
        put_setting(values, path, yaml_file.deep_copy(value), f"{where}: {key}")


def _options(axis: str, declared: Any) -> Any:
    """Return the options of an axis; a dotted key with a list of values is expanded to one option per value."""
    if axis == drop_axis.AXIS and drop_axis.is_short_form(declared):
        declared = drop_axis.drop_options(declared)
    if isinstance(declared, dict) and any(isinstance(values, list) for values in declared.values()):
        (key, values), *others = declared.items()
        if others or not values or any(isinstance(value, dict | list) for value in values):
            raise ValueError(
                f"{axis}: expected one key with a list of plain values, or options with their settings. "
                f"Received: {declared}"
            )
        names = [str(value) for value in values]
        if duplicates := [name for index, name in enumerate(names) if name in names[:index]]:
            raise ValueError(f"{axis}: duplicate value {duplicates[0]}. Values must be distinct. Received: {values}")
        declared = {name: {key: value} for name, value in zip(names, values, strict=True)}
    for option, settings in declared.items() if isinstance(declared, dict) else ():
        if not isinstance(option, str) or not NAME.fullmatch(option):
            raise ValueError(
                f"{axis}: an option's name becomes a folder name. Use letters, digits and _ . , = - only, and quote "
                f"names that YAML would convert, such as true. Received: {option!r}"
            )
        if not isinstance(settings, dict):
            raise ValueError(f"{axis}.{option}: expected settings, dotted keys with values. Received: {settings!r}")
    if not isinstance(declared, dict) or not declared:
        raise ValueError(
            f"{axis}: expected options with their settings, or one key with a list of values. Received: {declared!r}"
        )
    return declared
