"""`features.columns.NAME: drop`, which leaves a feature or a pattern of features out. Imports no TensorFlow."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ctr.config import yaml_file
from ctr.config.feature_patterns import GLOB, hint
from ctr.errors import ConfigError

DROP = "drop"
COLUMNS = ["features", "columns"]


@dataclass(frozen=True)
class Dropped:
    """A declared feature that a later setting dropped."""

    settings: Any
    """Settings of the feature, as declared."""


def is_dropped(settings: Any) -> bool:
    """Return True for the value of a feature that is left out."""
    return settings == DROP or isinstance(settings, Dropped)


def declared_columns(values: Mapping[str, Any]) -> dict[Any, Any]:
    """Return `features.columns` of a config's unchecked values; empty if it is missing or not a mapping."""
    features = values.get("features")
    columns = features.get("columns") if isinstance(features, dict) else None
    return columns if isinstance(columns, dict) else {}


def put_setting(values: dict[str, Any], key: list[str], value: Any, where: str) -> None:
    """Set the value of a key in place, as `yaml_file.put` does; the settings of a feature that it drops are kept.

    The settings tell an existing feature from a misspelled one, and which column a pattern must not match.

    Args:
        values: values of a config.
        key: parts of the key.
        value: the new value.
        where: origin of the change, for the message.

    Raises:
        ConfigError: a parent is not a mapping.
    """
    if value == DROP and len(key) == 3 and key[:2] == COLUMNS:
        columns = declared_columns(values)
        for name, settings in columns.items():
            if str(name) == key[2]:
                columns[name] = settings if is_dropped(settings) else Dropped(settings)
                return
    yaml_file.put(values, key, value, where)


def dropped_names(names: Sequence[str], dropped: Iterable[str]) -> set[str]:
    """Return the names of the features that are dropped.

    Args:
        names: names of every feature that could be dropped.
        dropped: names, or patterns of names. One that is in `names` is not a pattern.

    Raises:
        ConfigError: a name or pattern drops nothing.

    >>> sorted(dropped_names(["C1", "C2", "hour", "user"], ["C*", "hour"]))
    ['C1', 'C2', 'hour']
    """
    removed: set[str] = set()
    for key in dropped:
        is_glob = key not in names and GLOB.search(key)
        matching = [name for name in names if name == key or (is_glob and fnmatchcase(name, key))]
        if not matching:
            raise ConfigError(f"features.columns.{key}: no feature to drop; {hint(key, names)}")
        removed.update(matching)
    return removed


def check_references(values: Mapping[str, Any], kept: Mapping[str, Any], removed: Mapping[str, Any]) -> None:
    """Check that no setting refers to a dropped feature.

    Features that share the embedding table of a dropped one do not refer to it: they keep the table.

    Args:
        values: values of a config.
        kept: name -> settings of the features that are left.
        removed: name -> settings of the dropped features.

    Raises:
        ConfigError: a cross, the model or `report.slices` refers to a dropped feature.
    """
    for name, settings in kept.items():
        parts = settings.get("of") if isinstance(settings, dict) else None
        for part in _names_in(parts):
            if part in removed:
                raise ConfigError(
                    f"features.columns.{name}: is made of the dropped feature {part!r}. "
                    f"Drop {name!r} too, or leave {part!r} in."
                )
    for key, name in _names_in_model(values.get("model"), "model"):
        if name in removed:
            raise ConfigError(f"{key}: names the dropped feature {name!r}. Remove it there, or leave {name!r} in.")
    report = values.get("report")
    for name in _names_in(report.get("slices") if isinstance(report, dict) else None):
        if name in removed and not _is_column(name, removed[name]):
            raise ConfigError(
                f"report.slices: the dropped feature {name!r} is not a column of the data. "
                f"Remove it there, or leave {name!r} in."
            )


def without_their_optimizers(
    sparse: Mapping[str, Any], kept: Mapping[str, Any], removed: Mapping[str, Any]
) -> dict[str, Any]:
    """Return `optimizers.sparse` without the keys of tables that only dropped features have: `user`, `wide/user`.

    Features that share an embedding table have separate tables `wide/<feature>`.

    >>> item = {"table": "item"}
    >>> without_their_optimizers({"item": {}, "wide/past": {}, "wide/item": {}}, {"item": item}, {"past": item})
    {'item': {}, 'wide/item': {}}
    >>> without_their_optimizers({"*": {}, "user": {}, "wide/user": {}}, {"item": {}}, {"user": {}})
    {'*': {}}
    """
    remaining = {_table(name, settings) for name, settings in kept.items()}
    gone = {_table(name, settings) for name, settings in removed.items()} - remaining
    ends = (*(f"/{table}" for table in gone), *(f"wide/{name}" for name in removed))
    return {
        key: settings
        for key, settings in sparse.items()
        if key in remaining or not (key in gone or str(key).endswith(ends))
    }


def _table(name: str, settings: Any) -> str:
    return str(settings.get("table", name)) if isinstance(settings, dict) else name


def _is_column(name: str, settings: Any) -> bool:
    """Return True if a feature has the name of the column that it reads."""
    return not isinstance(settings, dict) or ("of" not in settings and settings.get("column", name) == name)


def _names_in(value: Any) -> Iterator[str]:
    """Yield the texts in a value, at any depth, with the keys of mappings."""
    if isinstance(value, Mapping):
        value = [*value, *value.values()]
    if isinstance(value, str):
        yield value
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _names_in(inner)


def _names_in_model(settings: Any, key: str) -> Iterator[tuple[str, str]]:
    """Yield key and text of every list and mapping in `model`, which can name features; a plain text is an option."""
    for name, value in settings.items() if isinstance(settings, dict) else ():
        if name == "base":
            yield from _names_in_model(value, f"{key}.base")
        elif name == "streams" and isinstance(value, dict):
            for stream, model in value.items():
                yield from _names_in_model(model, f"{key}.streams.{stream}")
        elif name not in ("initializer", "batch_norm") and isinstance(value, list | dict):
            yield from ((f"{key}.{name}", text) for text in _names_in(value))
