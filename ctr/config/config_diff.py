"""Differences between the settings of two experiments."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import yaml

from ctr.config.experiment import Experiment

MAX_LINES = 5


def diff_experiments(
    old: Experiment, new: Experiment, include: tuple[str, ...] = ("*",), exclude: tuple[str, ...] = ()
) -> list[str]:
    """Return a line for each setting that differs: `training.epochs: 3 in the run, 5 now`.

    Args:
        old: the experiment of the run.
        new: the requested experiment.
        include: patterns of the dotted keys to compare.
        exclude: patterns of the keys among them to ignore.
    """
    differences = _differences(*(yaml.safe_load(experiment.to_yaml()) for experiment in (old, new)))
    return [
        f"{key}: {old_value} in the run, {new_value} now"
        for key, old_value, new_value in differences
        if any(fnmatchcase(key, pattern) for pattern in include)
        and not any(fnmatchcase(key, pattern) for pattern in exclude)
    ]


def bullet_list(title: str, lines: list[str]) -> str:
    """Return a title and, below it, the first MAX_LINES lines."""
    more = [f"and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
    return "\n  ".join([title, *lines[:MAX_LINES], *more])


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
