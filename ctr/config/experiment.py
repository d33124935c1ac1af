"""The config: one YAML file is one experiment, checked before anything is read or written."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, model_validator

from ctr.config import yaml_file
from ctr.config.base_experiment import BaseExperiment, put_overrides, read_experiment
from ctr.config.earlier_versions import translate_config
from ctr.config.feature_expansion import Notify, ignore
from ctr.config.messages import explain
from ctr.config.model import Model, has_dropout, model_parts
from ctr.config.optimizers import Optimizers
from ctr.config.user_code import is_user_code, source_sum
from ctr.errors import CodeRefused, ConfigError


class Experiment(BaseExperiment):
    """All settings of a run."""

    model: Model
    """Model, its arguments, and initial weights."""
    optimizers: Optimizers = Optimizers()
    """Optimizer of each embedding table and each block of the dense tower."""

    @property
    def user_code(self) -> dict[str, str]:
        """The user's own classes in this experiment: `MODULE:NAME` -> SHA-256 of the file."""
        optimizers = [*self.optimizers.sparse.values(), *self.optimizers.dense.values()]
        parts = [*(part.settings for part in model_parts(self.model)), *optimizers]
        return {part.type: source_sum(part.factory) for part in parts if is_user_code(part.type)}

    @model_validator(mode="after")
    def _crosses_have_a_place(self) -> "Experiment":
        has_wide_weights = any(part.settings.factory.has_wide_weights for part in model_parts(self.model))
        for name, feature in self.features.columns.items():
            if feature.is_wide_only and not has_wide_weights:
                raise ValueError(
                    f"features.columns.{name}: a {feature.type} with `dim: 1` is a wide weight, but model "
                    f"{self.model.type} has no wide weights. Use a dim above 1."
                )
        return self

    @model_validator(mode="after")
    def _passes_differ(self) -> "Experiment":
        if self.training.self_ensemble and not (drops_out := has_dropout(self.model)):
            advice = "Choose a model with dropout" if drops_out is None else "Set its `dropout` above 0"
            raise ValueError(
                f"training.self_ensemble: model {self.model.type} has no dropout, so both passes would be equal. "
                f"{advice}, or remove self_ensemble."
            )
        return self

    def to_yaml(self) -> str:
        """Return the resolved config, with every default written out."""
        dumped = self.model_dump(mode="json", by_alias=True, serialize_as_any=True)
        dumped["model"]["initializer"] = dumped.pop("initializer")
        return yaml.safe_dump(dumped, sort_keys=False, allow_unicode=True)

    def __str__(self) -> str:
        return self.to_yaml()


def with_default_optimizers(experiment: Experiment) -> Experiment:
    """Add the default optimizers that the models of an experiment declare, for their tables that only `*` matches.

    The key of a default optimizer is the declared pattern. If the config has patterns for some of these tables, the
    declared pattern might overrule them, so each remaining table is named instead.
    """
    features, sparse = experiment.features, dict(experiment.optimizers.sparse)
    categories_and_crosses = dict.fromkeys([*features.categories, *features.crosses])
    first_order = [name for name, feature in features.columns.items() if feature.has_first_order]
    keys = [pattern for pattern in sparse if pattern != "*"]
    for part in model_parts(experiment.model):
        tower = part.settings.factory
        for own, settings in tower.default_optimizers.items():
            pattern = part.tables + own
            names = first_order if tower.has_first_order else categories_and_crosses
            tables = [pattern.replace("*", name) for name in names]
            free = [table for table in tables if not any(fnmatchcase(table, key) for key in keys)]
            patterns = [pattern] if tables and free == tables else free
            sparse |= Optimizers.model_validate({"sparse": dict.fromkeys(patterns, settings)}).sparse
    optimizers = experiment.optimizers.model_copy(update={"sparse": sparse})
    return experiment.model_copy(update={"optimizers": optimizers})


def load_experiment(
    path: str | Path, overrides: str | Sequence[str] | None = None, notify: Notify = ignore
) -> Experiment:
    """Read and check a YAML file.

    If `features.columns` has patterns, the columns of the first file of the training data replace them.

    Args:
        path: path of the file.
        overrides: texts `KEY=VALUE`, or one such text, with a dotted KEY, such as `training.epochs=3`; key parts that
            contain dots are quoted.
        notify: function that is called with a line about columns that a warm start ignores.

    Raises:
        ConfigError: the file is missing or not YAML, or a setting is wrong.
        DataError: the config has patterns, and the first file of the training data cannot be read.
    """
    return check_experiment(read_experiment(path, overrides, notify), str(path))


def load_saved_experiment(path: str | Path, overrides: str | Sequence[str] | None = None) -> Experiment:
    """Read the config of a run, which holds every setting of its version.

    `ctr.config.earlier_versions` translates a config of an earlier version.

    Args:
        path: config.yaml of the run.
        overrides: changes, see `load_experiment`.

    Raises:
        ConfigError: as `load_experiment`.
    """
    values = translate_config(yaml_file.read(path))
    put_overrides(values, overrides)
    return check_experiment(values, str(path))


def check_experiment(values: dict[str, Any], where: str) -> Experiment:
    """Return the experiment of a config file's values.

    Args:
        values: values of the config.
        where: path of the config, for messages.

    Raises:
        ConfigError: a setting is wrong.
    """
    try:
        return with_default_optimizers(Experiment.model_validate(values))
    except ValidationError as error:
        is_code = any(detail["type"] == "user_code" for detail in error.errors())
        kind = CodeRefused if is_code else ConfigError
        raise kind(f"{where}: {explain(error)}") from error
