"""Which settings differ between two experiments."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import yaml

from ctr.config.experiment import Experiment

SHOWN = 5  # lines


def diff_experiments(
    before: Experiment, now: Experiment, within: tuple[str, ...] = ("*",), but: tuple[str, ...] = ()
) -> list[str]:
    """Each setting that differs, with its value in the run and now.

    Args:
        before: of the run.
        now: what is asked for.
        within: patterns of the dotted keys that count.
        but: patterns of those among them that do not.
    """
    differences = _differences(*(yaml.safe_load(one.to_yaml()) for one in (before, now)))
    return [
        f"{key}: {then} in the run, {here} now"
        for key, then, here in differences
        if any(fnmatchcase(key, pattern) for pattern in within) and not any(fnmatchcase(key, one) for one in but)
    ]


def bullet_list(title: str, lines: list[str]) -> str:
    """A title, and below it the first of some lines."""
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n  ".join([title, *lines[:SHOWN], *more])


def _differences(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted key, value before and value now of what is not equal; of what one of them lacks, all at once.

    The order of keys counts too: that of features is the order of their vectors in a tower's input.
    """
    if before.keys() == now.keys() and list(before) != list(now):
        yield prefix.removesuffix("."), f"the order {', '.join(before)}", ", ".join(now)
    for key in {**before, **now}:
        then, here = before.get(key, "absent"), now.get(key, "absent")
        if isinstance(then, dict) and isinstance(here, dict):
            yield from _differences(then, here, f"{prefix}{key}.")
        elif then != here:
            yield f"{prefix}{key}", then, here
