"""Settings of saved configs that the user chose, as opposed to defaults and values that follow from other settings."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from ctr.config.yaml_file import deep_copy
from ctr.errors import ConfigError

ABSENT = object()
"""The value of a key that a config does not have."""

Path = tuple[str, ...]


def differences(configs: Sequence[Any], path: Path = ()) -> Iterator[tuple[Path, list[Any]]]:
    """Yield each path whose values differ, with the value of each config or `ABSENT`.

    Where every config has a mapping, its keys are compared; a mapping that one of them lacks is one difference.

    >>> [path for path, _ in differences([{"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}}])]
    [('b', 'c')]
    """
    if all(isinstance(values, dict) for values in configs):
        for key in dict.fromkeys(key for values in configs for key in values):
            yield from differences([values.get(key, ABSENT) for values in configs], (*path, str(key)))
    elif any(values is ABSENT or configs[0] is ABSENT or values != configs[0] for values in configs[1:]):
        yield path, list(configs)


def is_explicit(config: Mapping[str, Any], path: Path) -> bool:
    """Return True unless an experiment without the setting gets the same value for it.

    A saved config has every setting, so a value counts as chosen by the user if it is neither the default nor what
    follows from the other settings of the same config. A value that the user wrote and that equals the default counts
    as default. If the experiment is not valid without the setting, the user must have written it.

    Args:
        config: resolved config of a run, in the keys of this version.
        path: keys from the outermost to the setting, which the config has.
    """
    from ctr.config.experiment import check_experiment  # needs TensorFlow, which takes seconds to import

    shortened = deep_copy(config)
    parent = _value_at(shortened, path[:-1])
    del parent[path[-1]]
    try:
        resolved = yaml.safe_load(check_experiment(shortened, "config").to_yaml())
    except ConfigError:
        return True
    return bool(_value_at(resolved, path) != _value_at(config, path))


def explicit_part(config: Mapping[str, Any], path: Path) -> Any:
    """Return the value at a path, of a mapping only the settings that `is_explicit` finds."""
    value = _value_at(config, path)
    if not isinstance(value, dict):
        return value
    return {
        key: explicit_part(config, (*path, key))
        for key, below in value.items()
        if isinstance(below, dict) or is_explicit(config, (*path, key))
    }


def _value_at(values: Any, path: Path) -> Any:
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return ABSENT
        values = values[key]
    return values
