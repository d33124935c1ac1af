"""The axis `drop` of a study: an option for each feature, or group of features, that variants train without."""

import re
from collections.abc import Mapping
from typing import Any

from ctr.config.dropped_features import COLUMNS, DROP
from ctr.config.yaml_file import join_key

AXIS = "drop"
BASELINE = "none"
"""Option that drops nothing."""
_FOREIGN = re.compile(r"[^A-Za-z0-9_.,=-]")  # characters that an option's name cannot have


def is_short_form(declared: Any) -> bool:
    """Return True unless the axis is written with the settings of each option."""
    is_mapping = isinstance(declared, dict) and declared
    return not is_mapping or not all(isinstance(value, dict) for value in declared.values())


def drop_options(declared: Any) -> dict[str, dict[str, str]]:
    """Return the options of the axis with their settings, the baseline first.

    Args:
        declared: list of features, or group -> list of features. A feature can be a pattern.

    Raises:
        ValueError: the value has another form, or two options have the same name.

    >>> drop_options(["hour"])
    {'none': {}, 'hour': {'features.columns.hour': 'drop'}}
    >>> list(drop_options({"time": ["hour", "weekday"], "ids": ["*_id"]}))
    ['none', 'time', 'ids']
    """
    if isinstance(declared, list) and all(isinstance(name, str) for name in declared):
        groups = [(_FOREIGN.sub("-", name), [name]) for name in declared]
    elif isinstance(declared, Mapping):
        groups = [(str(group), _names(group, names)) for group, names in declared.items()]
    else:
        groups = []
    if not groups:
        raise ValueError(
            f"{AXIS}: must be a list of features, such as [hour, user], or groups of them, such as "
            f"{{time: [hour, weekday]}}. Received: {declared!r}"
        )
    options: dict[str, dict[str, str]] = {BASELINE: {}}
    for group, names in groups:
        if group == BASELINE:
            raise ValueError(
                f"{AXIS}: the option {BASELINE!r} drops nothing. Name a group for it, such as {{a: [none]}}."
            )
        if group in options:
            raise ValueError(f"{AXIS}: two options are called {group!r}. Name groups, such as {{a: [...], b: [...]}}.")
        options[group] = {join_key([*COLUMNS, name]): DROP for name in names}
    return options


def _names(group: Any, names: Any) -> list[str]:
    """Return the features of a group."""
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"{AXIS}.{group}: must be a list of features, such as [hour, weekday]. To vary a setting, rename the axis. "
            f"Received: {names!r}"
        )
    return names
