"""The study file: a base experiment, axes of options, seeds and a tuning budget."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from ctr.comparison.search_ranges import Sampled, SearchRange, filled, ranges_in
from ctr.config import yaml_file
from ctr.config.experiment import Experiment, check_experiment, plain_name
from ctr.config.messages import explain
from ctr.errors import ConfigError
from ctr.metrics.catalog import shown_in
from ctr.metrics.metric import Place
from features import Settings, nearest

THREADS = 1  # of each run, so that results do not depend on how many run at once
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.,=-]*")
JOIN = "+"  # of the choices that make a cell's name
COLUMNS = {  # of runs.csv, beside the axes
    *("run", "seed", "reason", "chosen", "seconds", "trained_epochs", "trained_steps", "trained_rows"),
    *(f"{split}_{metric.key}" for split in ("train", "valid", "test") for metric in shown_in(Place.COMPARISON)),
    *("row_sparsity", "table_bytes", "nonzero_table_bytes", "state_bytes"),
}
OF_THE_STUDY = {"seed": "give the study `seeds`", "name": "give the study a `name`"}

Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Tuning(Settings):
    """Tuning budget, the same for every variant."""

    trials: int = Field(gt=0, le=10**4)
    """Number of trials of each variant."""
    seed: Seed = 0
    """Seed of the sampled settings and of the trial runs. Must not be one of `seeds`."""


class Study(Settings):
    """Everything that determines a comparison."""

    name: Annotated[str, AfterValidator(plain_name)]
    """Name of the study. The default result folder is `comparisons/<name>`."""
    experiment: dict[str, Any]
    """Base experiment. In the file, also the path of a config, relative to the study file."""
    settings: dict[str, Any] = {}
    """Settings of every run, by dotted key. They override `experiment`."""
    axes: dict[str, dict[str, Any]] = Field(min_length=1)
    """Axis -> option -> settings by dotted key. Short form: axis -> one dotted key -> list of values."""
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
    def _are_different(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"one stands twice. Received: {seeds}")
        return seeds

    @field_validator("axes", mode="before")
    @classmethod
    def _with_their_choices(cls, axes: Any) -> Any:
        if not isinstance(axes, dict):
            return axes
        if taken := [axis for axis in axes if axis in COLUMNS]:
            raise ValueError(f"an axis cannot be called {taken[0]!r}: runs.csv has a column of that name")
        return {axis: _choices(str(axis), declared) for axis, declared in axes.items()}

    @field_validator("baseline", mode="before")
    @classmethod
    def _texts(cls, baseline: Any) -> Any:
        return {axis: str(choice) for axis, choice in baseline.items()} if isinstance(baseline, dict) else baseline

    @model_validator(mode="after")
    def _tunes_with_a_seed_of_its_own(self) -> "Study":
        """A trial is the best of several, also by its seed's luck, so it is none of the trainings that are compared."""
        if self.tuning is not None and self.tuning.seed in self.seeds:
            raise ValueError(f"tuning.seed: {self.tuning.seed} is one of `seeds`; trials need a seed of their own")
        return self

    @model_validator(mode="after")
    def _has_its_baseline(self) -> "Study":
        for axis, choice in self.baseline.items():
            if axis not in self.axes:
                raise ValueError(f"baseline: no axis {axis!r}; {nearest(axis, list(self.axes))}")
            if choice not in self.axes[axis]:
                raise ValueError(f"baseline.{axis}: no choice {choice!r}; {nearest(choice, list(self.axes[axis]))}")
        return self


@dataclass(frozen=True)
class Variant:
    """One choice on every axis.

    Attributes:
        name: the choices, joined by `+`; the name of a folder.
        choices: axis -> choice.
        values: of the config, with ranges in it.
        ranges: dotted key -> range.
    """

    name: str
    choices: dict[str, str]
    values: dict[str, Any]
    ranges: dict[str, SearchRange]

    def experiment(self, drawn: Sampled, seed: int) -> Experiment:
        """The experiment with what a trial drew.

        Raises:
            ConfigError: a setting is wrong.
        """
        values = {**filled(self.values, drawn), "seed": seed, "name": f"{self.name}, seed {seed}"}
        return check_experiment(values, self.name)


def load_study(path: str | Path, overrides: list[str] | None = None) -> Study:
    """Read and check a YAML file, and the experiment that it names.

    Args:
        path: of the file.
        overrides: `KEY=VALUE`: of the study, where KEY begins with one of its keys, else a setting of every run.

    Raises:
        ConfigError: a file is missing or not YAML, or something in it is wrong.
    """
    values = yaml_file.read(path)
    for override in overrides or []:
        key, value = yaml_file.parse_override(override)
        is_own = key[0] in Study.model_fields
        at = key if is_own else ["settings", yaml_file.join_key(key)]
        yaml_file.put(values, at, value, f"--set {override!r}")
    if isinstance(values.get("experiment"), str):
        values["experiment"] = yaml_file.read(Path(path).parent / values["experiment"])
    try:
        study = Study.model_validate(values)
        cells_of(study)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error)}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return study


def cells_of(study: Study) -> list[Variant]:
    """Every combination of choices, the baseline first.

    Raises:
        ConfigError: a setting cannot be put where it says, or ranges and trials do not fit.
    """
    cells = []
    for names in itertools.product(*study.axes.values()):
        choices = dict(zip(study.axes, names, strict=True))
        values = yaml_file.copied(study.experiment)
        _put_all(values, study.settings, "settings")
        for axis, choice in choices.items():
            _put_all(values, study.axes[axis][choice], f"axes.{axis}.{choice}")
        training = values.setdefault("training", {})
        if isinstance(training, dict):
            training.setdefault("threads", THREADS)
        cells.append(Variant(JOIN.join(names), choices, values, ranges_in(values)))
    _check_budget(study, cells)
    first = {axis: next(iter(choices)) for axis, choices in study.axes.items()}
    return sorted(cells, key=lambda cell: cell.choices != {**first, **study.baseline})


def _check_budget(study: Study, cells: list[Variant]) -> None:
    """Raise ConfigError unless there are two cells, and all or none have something to tune."""
    if len(cells) < 2:
        raise ConfigError("axes: there is one choice only, and nothing to compare it with")
    tuned = [cell for cell in cells if cell.ranges]
    if tuned and study.tuning is None:
        key = next(iter(tuned[0].ranges))
        raise ConfigError(f"{tuned[0].name}: {key} is a range, which needs a budget: `tuning: {{trials: 3}}`")
    if study.tuning is not None and len(tuned) < len(cells):
        fixed = next(cell.name for cell in cells if not cell.ranges)
        raise ConfigError(
            f"tuning: {fixed} has nothing to tune, so its trials would all be the same: give it a range, such as "
            f"`learning_rate: {{tune: [0.001, 0.1]}}`{'' if tuned else ', or leave out `tuning`'}"
        )


def _put_all(values: dict[str, Any], settings: Mapping[str, Any], told: str) -> None:
    for key, value in settings.items():
        try:
            parts = yaml_file.split_key(key)
        except ValueError as error:
            raise ConfigError(f"{told}: {error}") from error
        if parts[0] in OF_THE_STUDY:
            raise ConfigError(f"{told}: {key} is set by the comparison; {OF_THE_STUDY[parts[0]]}")
        yaml_file.put(values, parts, yaml_file.copied(value), f"{told}: {key}")


def _choices(axis: str, declared: Any) -> Any:
    """An axis's choices, also of the short form: a dotted key with the list of its values."""
    if isinstance(declared, dict) and any(isinstance(values, list) for values in declared.values()):
        (key, listed), *others = declared.items()
        if others or not listed or any(isinstance(value, dict | list) for value in listed):
            raise ValueError(f"{axis}: needs one key with a list of plain values, or choices with their settings")
        declared = {str(value): {key: value} for value in listed}
        if len(declared) < len(listed):
            raise ValueError(f"{axis}: a value stands twice. Received: {listed}")
    for choice, settings in declared.items() if isinstance(declared, dict) else ():
        if not isinstance(choice, str) or not NAME.fullmatch(choice):
            raise ValueError(
                f"{axis}: a choice becomes a folder: letters, digits and _ . , = - only, and quotes where YAML would "
                f"make it something else. Received: {choice!r}"
            )
        if not isinstance(settings, dict):
            raise ValueError(f"{axis}.{choice}: needs settings, dotted keys with values. Received: {settings!r}")
    if not isinstance(declared, dict) or not declared:
        raise ValueError(f"{axis}: needs choices with their settings, or one key with a list of values")
    return declared
