"""The config without TensorFlow: reading it, and checking everything except `model` and `optimizers`.

TensorFlow takes seconds to import. A command that checks a config here first answers most mistakes in it immediately.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, model_validator

from ctr.config import yaml_file
from ctr.config.data import Data
from ctr.config.dropped_features import put_setting
from ctr.config.feature_expansion import FeatureExpander, Notify, ignore
from ctr.config.initializer import Initializer
from ctr.config.messages import explain
from ctr.config.report import Report
from ctr.config.training import Training
from ctr.errors import ConfigError
from features import Features, Settings

MAX_NAME = 200  # file systems allow 255 bytes; suffixes such as .unfinished need some


def plain_name(name: str) -> str:
    """Return the name if a folder can have it.

    Raises:
        ValueError: it cannot.
    """
    if not name or name[0] == "." or "/" in name or "\\" in name or not name.isprintable():
        raise ValueError("the name must be usable as a folder: without slash, leading dot and control character")
    if len(name.encode()) > MAX_NAME:
        raise ValueError(f"the name must be usable as a folder: at most {MAX_NAME} bytes")
    return name


class BaseExperiment(Settings):
    """Settings of a run whose model and optimizers are not checked.

    `ctr.config.experiment.Experiment` checks these too: it gives both fields a type, and keeps the order of all fields.
    """

    name: Annotated[str, AfterValidator(plain_name)]
    """Name of the experiment, and of the run folder: `runs/<name>` unless `--run` names another."""
    seed: int = Field(1, ge=0, lt=2**31)
    """Seed of every random draw: splits, data order, initial weights, dropout."""
    data: Data
    """Files, splits, and the columns that are not features."""
    features: Features
    """Model inputs."""
    model: Any
    """Model and its arguments, unchecked."""
    initializer: Initializer = Initializer()
    """Initial weights. A config has them in `model.initializer`."""
    optimizers: Any = None
    """Optimizers of embedding tables and dense tower, unchecked."""
    training: Training = Training()
    """Batches, validation, checkpoints, devices and precision."""
    report: Report = Report()
    """Contents of the report."""

    @model_validator(mode="before")
    @classmethod
    def _initializer_of_the_model(cls, values: Any) -> Any:
        """Move `model.initializer`, where users write it, next to `model`, because it covers tables too."""
        model = values.get("model") if isinstance(values, dict) else None
        if isinstance(model, dict) and "initializer" in model:
            rest = {key: value for key, value in model.items() if key != "initializer"}
            return {**values, "model": rest, "initializer": model["initializer"]}
        return values

    @model_validator(mode="after")
    def _monitor_has_groups(self) -> "BaseExperiment":
        stopping = self.training.early_stopping
        if stopping is not None and stopping.needs_groups and self.report.group is None:
            raise ValueError(
                f"training.early_stopping.metric: {stopping.metric!r} needs groups to rank within. Set "
                f"report.group to a column, such as the user id."
            )
        return self


def read_experiment(
    path: str | Path, overrides: str | Sequence[str] | None = None, notify: Notify = ignore
) -> dict[str, Any]:
    """Return the values of a config file with overrides, of which `check_base` has accepted what needs no TensorFlow.

    Args:
        path: path of the YAML file.
        overrides: texts `KEY=VALUE`, or one such text, with a dotted KEY, such as `training.epochs=3`; key parts that
            contain dots are quoted.
        notify: function that is called with a line about columns that a warm start ignores.

    Raises:
        ConfigError: the file is missing, not YAML, or a study, or a setting is wrong.
        DataError: the config has patterns, and the first file of the training data cannot be read.
    """
    values = yaml_file.read(path)
    if {"experiment", "axes"} <= set(values):
        raise ConfigError(f"{path}: a study, expected an experiment. Use `ctr compare {path}`.")
    put_overrides(values, overrides)
    values = FeatureExpander(notify).expand(values, str(path))
    check_base(values, str(path))
    return values


def put_overrides(values: dict[str, Any], overrides: str | Sequence[str] | None) -> None:
    """Set the values of `KEY=VALUE` texts in place.

    Raises:
        ConfigError: a text is not of this form, or a parent of its key is not a mapping.
    """
    for override in yaml_file.list_overrides(overrides):
        put_setting(values, *yaml_file.parse_override(override), f"--set {override!r}")


def check_base(values: dict[str, Any], where: str) -> None:
    """Check the settings of a config, except `model` and `optimizers`.

    Args:
        values: values of the config.
        where: path of the config, for messages.

    Raises:
        ConfigError: settings are wrong; the message lists them.
    """
    try:
        BaseExperiment.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(error)}") from error
