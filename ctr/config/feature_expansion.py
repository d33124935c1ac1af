"""Names instead of patterns and `drop` in the `features.columns` of a config file. Imports no TensorFlow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ctr.config import yaml_file
from ctr.config.data import Data
from ctr.config.dropped_features import (
    Dropped,
    check_references,
    declared_columns,
    dropped_names,
    is_dropped,
    without_their_optimizers,
)
from ctr.config.earlier_versions import translate_config
from ctr.config.feature_patterns import NEAREST, expand_patterns, is_pattern, named_columns
from ctr.config.messages import explain
from ctr.errors import ConfigError
from features import columns_of_first_file

Notify = Callable[[str], None]
"""Function that is called with a line for the user."""


def ignore(message: str) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class _Source:
    """Columns that patterns can match."""

    where: str
    """Origin of the columns, for messages."""
    columns: list[str]
    used: Mapping[str, str]
    """Column with another use -> key of that use."""
    new: tuple[str, ...] = ()
    """Columns of the data that the run of a warm start does not have."""


class FeatureExpander:
    """Expands patterns and `drop` of config files. It reads the columns of each dataset once.

    A pattern is expanded against the columns of the first file of the training data, in file order, without the columns
    that `data` and `report` use otherwise. With a warm start it is expanded against the features of that run.

    Args:
        notify: function that is called with a line about columns that a warm start ignores.
    """

    def __init__(self, notify: Notify = ignore) -> None:
        self._notify = notify
        self._columns: dict[str, tuple[str, list[str]]] = {}
        self._notified: set[str] = set()

    def expand(self, values: dict[str, Any], where: str) -> dict[str, Any]:
        """Return the values of a config whose `features.columns` holds names only.

        Values without patterns and `drop` are returned as they are, and no file is read.

        Args:
            values: values of a config file, unchecked.
            where: path of the config, for messages.

        Raises:
            ConfigError: a pattern matches no column, there is nothing to drop, another setting refers to a dropped
                feature, or the section `data` is invalid.
            DataError: the first file of the training data cannot be read.
        """
        try:
            return self._expanded(values)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error

    def _expanded(self, values: dict[str, Any]) -> dict[str, Any]:
        entries = {str(name): settings for name, settings in declared_columns(values).items()}
        dropped = [name for name, settings in entries.items() if is_dropped(settings)]
        declared = {
            name: settings.settings if isinstance(settings, Dropped) else settings
            for name, settings in entries.items()
            if name not in dropped or isinstance(settings, Dropped)
        }
        new: tuple[str, ...] = ()
        if any(is_pattern(name, settings) for name, settings in declared.items()):
            source = self._source(values, declared)
            declared, new = expand_patterns(declared, source.columns, source.used, source.where), source.new
        elif not dropped:
            return values
        gone = dropped_names([*declared, *new], dropped)
        kept = {name: settings for name, settings in declared.items() if name not in gone}
        if not kept:
            raise ConfigError(f"features.columns: all {len(declared)} features are dropped. Leave at least one in.")
        removed = {name: settings for name, settings in declared.items() if name in gone}
        check_references(values, kept, removed)
        self._tell_new([name for name in new if name not in gone], values)
        return {**_without_optimizers(values, kept, removed), "features": {**values["features"], "columns": kept}}

    def _source(self, values: Mapping[str, Any], declared: Mapping[str, Any]) -> _Source:
        where, columns = self._training_columns(values.get("data"))
        used, run = _used(values), _warm_start(values)
        if run is None:
            return _Source(where, columns, used)
        known, taken = _features_of(run), {**named_columns(declared), **used}
        matching = expand_patterns(declared, columns, used, where)
        new = tuple(name for name in matching if name not in known and name not in taken)
        return _Source(str(run), known, {}, new)

    def _training_columns(self, section: Any) -> tuple[str, list[str]]:
        """Return the path and the columns of the first file of the training data."""
        try:
            data = Data.model_validate(section)
        except ValidationError as error:
            raise ConfigError(explain(error, lambda path: ".".join(map(str, ("data", *path))))) from error
        path = data.train if data.path is None else data.path
        assert path is not None
        key = f"{data.root} {path}"
        if key not in self._columns:
            self._columns[key] = columns_of_first_file(path, data.root)
        return self._columns[key]

    def _tell_new(self, new: list[str], values: Mapping[str, Any]) -> None:
        if not new:
            return
        names = ", ".join(new[:NEAREST]) + (f" and {len(new) - NEAREST} more" if len(new) > NEAREST else "")
        message = f"features.columns: ignoring columns that {_warm_start(values)} does not have: {names}"
        if message not in self._notified:
            self._notified.add(message)
            self._notify(message)


def _used(values: Mapping[str, Any]) -> dict[str, str]:
    """Return each column that is used otherwise than as a feature -> the key of its use."""
    data, report = _mapping(values.get("data")), _mapping(values.get("report"))
    keep = data.get("keep")
    keep = [keep] if isinstance(keep, str) else keep
    uses = [
        ("data.label", data.get("label")),
        ("data.weight", data.get("weight")),
        ("data.split", _mapping(data.get("split")).get("column")),
        *(("data.keep", name) for name in (keep if isinstance(keep, list) else ())),
        ("report.group", report.get("group")),
        ("report.time", _mapping(report.get("time")).get("column")),
    ]
    return {name: key for key, name in reversed(uses) if isinstance(name, str)}


def _warm_start(values: Mapping[str, Any]) -> Path | None:
    """Return the folder of the run that a warm start copies from; None without a warm start."""
    run = _mapping(_mapping(values.get("training")).get("warm_start")).get("run")
    return Path(run) if isinstance(run, str) else None


def _features_of(run: Path) -> list[str]:
    """Return the features of a run that have the names of their columns, in order.

    Raises:
        ConfigError: the run has no config.
    """
    try:
        values = translate_config(yaml_file.read(run / "config.yaml"))
    except ConfigError as error:
        raise ConfigError(
            f"training.warm_start.run: no config.yaml in {run} to read features for the patterns from. "
            f"Choose a finished run. To resume a run, use its own config.yaml."
        ) from error
    columns = _mapping(_mapping(values.get("features")).get("columns"))
    return [str(name) for name, settings in columns.items() if _mapping(settings).get("column") == name]


def _without_optimizers(values: dict[str, Any], kept: Mapping[str, Any], removed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values without the optimizers of tables that only dropped features have."""
    optimizers = values.get("optimizers")
    if not removed or not isinstance(optimizers, dict) or not isinstance(optimizers.get("sparse"), dict):
        return values
    sparse = without_their_optimizers(optimizers["sparse"], kept, removed)
    return {**values, "optimizers": {**optimizers, "sparse": sparse}}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
