"""Differences between the settings of two experiments."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import yaml

from ctr.config.experiment import Experiment

MAX_LINES = 5
MAX_NAMES = 5
FEATURES = "features.columns."


def diff_experiments(
    old: Experiment, new: Experiment, include: tuple[str, ...] = ("*",), exclude: tuple[str, ...] = ()
) -> list[str]:
    """Return a line for each setting that differs: `training.epochs: 3 in the run, 5 now`.

    Features that only one of the two has are listed by name, in one line for each of the two.

    Args:
        old: the experiment of the run.
        new: the requested experiment.
        include: patterns of the dotted keys to compare.
        exclude: patterns of the keys among them to ignore.
    """
    differences = _differences(*(yaml.safe_load(experiment.to_yaml()) for experiment in (old, new)))
    lines: list[str] = []
    features: dict[str, list[str]] = {}
    for key, old_value, new_value in differences:
        if not _matches(key, include) or _matches(key, exclude):
            continue
        parent, name = key.rpartition(FEATURES)[1:]
        if parent and old.features.columns.keys() ^ new.features.columns.keys() >= {name}:
            features.setdefault("only now" if name in new.features.columns else "only in the run", []).append(name)
        else:
            lines.append(f"{key}: {old_value} in the run, {new_value} now")
    return [f"{FEATURES[:-1]}, {where}: {_some(names)}" for where, names in features.items()] + lines


def bullet_list(title: str, lines: list[str]) -> str:
    """Return a title and, below it, the first MAX_LINES lines."""
    more = [f"and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
    return "\n  ".join([title, *lines[:MAX_LINES], *more])


def _matches(key: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)


def _some(names: list[str]) -> str:
    """Return the first MAX_NAMES names, and the number of the others.

    >>> _some(["a", "b"]), _some(list("abcdefgh"))
    ('a, b', 'a, b, c, d, e and 3 more')
    """
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield dotted key, old value and new value of each difference; a subtree that one lacks is one difference.

    The order of keys counts too: the order of features is the order of their vectors in a tower's input.
    """
    if old.keys() == new.keys() and list(old) != list(new):
        yield prefix.removesuffix("."), f"the order {', '.join(old)}", ", ".join(new)
    for key in {**old, **new}:
        old_value, new_value = old.get(key, "absent"), new.get(key, "absent")
        if isinstance(old_value, dict) and isinstance(new_value, dict):
            yield from _differences(old_value, new_value, f"{prefix}{key}.")
        elif old_value != new_value:
            yield f"{prefix}{key}", old_value, new_value
