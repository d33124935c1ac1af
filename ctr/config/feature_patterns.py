"""Patterns in `features.columns`: keys such as `C*` that match many like columns. Imports no TensorFlow."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from ctr.config.yaml_file import deep_copy
from ctr.errors import ConfigError

GLOB = re.compile(r"[*?\[]")
NEAREST = 5  # names in a message


def is_pattern(name: str, settings: Any) -> bool:
    """Return True if a key of `features.columns` is a pattern, unless the data has a column of that name.

    A feature that names its `column`, or the features that it is made of, is not a pattern. Every feature of a resolved
    config does one of these.

    >>> is_pattern("C*", {"dim": 8}), is_pattern("C*", {"column": "price"}), is_pattern("C1", {})
    (True, False, False)
    """
    names_inputs = isinstance(settings, dict) and not {"column", "of"}.isdisjoint(settings)
    return GLOB.search(name) is not None and not names_inputs


def expand_patterns(
    declared: Mapping[str, Any], columns: Sequence[str], used: Mapping[str, str], where: str
) -> dict[str, Any]:
    """Return the declared features with each pattern replaced by the columns that it matches, in file order.

    A column belongs to its longest pattern, to `*` last. A pattern does not match a column of `used`, nor one that a
    feature declared by name has as its name or its `column`. A key that is a column is a name.

    Args:
        declared: name or pattern -> settings.
        columns: columns of the data, in file order.
        used: column with another use -> the key of that use, such as `data.label`.
        where: origin of the columns, for messages.

    Raises:
        ConfigError: a pattern matches no column, or two patterns of one length match a column.

    >>> columns, used = ["label", "I1", "I2", "C1", "C2"], {"label": "data.label"}
    >>> expand_patterns({"C*": {}, "I*": {"type": "numeric"}, "C2": None}, columns, used, "x.parquet")
    {'C1': {}, 'I1': {'type': 'numeric'}, 'I2': {'type': 'numeric'}, 'C2': None}
    """
    patterns = [name for name, settings in declared.items() if is_pattern(name, settings) and name not in columns]
    named = {name: settings for name, settings in declared.items() if name not in patterns}
    taken = {**named_columns(named), **used}
    free = [column for column in dict.fromkeys(columns) if column not in taken]
    for pattern in patterns:
        if not any(fnmatchcase(column, pattern) for column in free):
            raise ConfigError(_no_match(pattern, columns, taken, where))
    members: dict[str, list[str]] = {pattern: [] for pattern in patterns}
    for column in free:
        if matching := [pattern for pattern in patterns if fnmatchcase(column, pattern)]:
            members[_longest(matching, column)].append(column)
    expanded: dict[str, Any] = {}
    for name, settings in declared.items():
        expanded |= {column: deep_copy(settings) for column in members.get(name, [name])}
    return expanded


def named_columns(named: Mapping[str, Any]) -> dict[str, str]:
    """Return each name of a feature and each `column` that one reads -> the key of that feature."""
    keys = {name: f"features.columns.{name}" for name in named}
    read = {settings["column"]: keys[name] for name, settings in named.items() if _names_a_column(settings)}
    return {**read, **keys}


def hint(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the known names that are most like it.

    >>> hint("weekdy", ["hour", "weekday"])
    "did you mean 'weekday'?"
    >>> hint("x", ["hour", "weekday"])
    'known: hour, weekday'
    """
    known = list(known)
    if close := difflib.get_close_matches(name, known, n=1):
        return f"did you mean {close[0]!r}?"
    more = f" and {len(known) - NEAREST} more" if len(known) > NEAREST else ""
    return f"known: {', '.join(_most_like(name, known)) or 'none'}{more}"


def _names_a_column(settings: Any) -> bool:
    return isinstance(settings, dict) and isinstance(settings.get("column"), str)


def _longest(patterns: list[str], column: str) -> str:
    """Return the longest pattern, `*` only if it is the only one."""
    first, *others = sorted(patterns, key=lambda pattern: (pattern != "*", len(pattern)), reverse=True)
    if others and len(others[0]) == len(first) and others[0] != "*":
        raise ConfigError(
            f"features.columns: {column!r} is matched by two patterns of equal length, {first!r} and {others[0]!r}. "
            f"Declare {column!r} by name."
        )
    return first


def _no_match(pattern: str, columns: Sequence[str], taken: Mapping[str, str], where: str) -> str:
    """Return the message for a pattern without columns: the nearest columns, or the other uses of its columns."""
    key = f"features.columns.{pattern}"
    if matching := [column for column in columns if fnmatchcase(column, pattern)]:
        uses = ", ".join(f"{column} ({taken[column]})" for column in matching[:NEAREST])
        return f"{key}: matches only columns with another use: {uses}. Declare them by name, or remove the pattern."
    nearest = ", ".join(_most_like(pattern, columns))
    return f"{key}: matches no column of {where}. Correct the pattern; the nearest columns are: {nearest or 'none'}."


def _most_like(name: str, known: Sequence[str]) -> list[str]:
    """Return the names that are most like `name`, whatever their case, the most similar first."""
    plain = GLOB.sub("", name).lower()
    ratio = {other: difflib.SequenceMatcher(None, plain, other.lower()).ratio() for other in known}
    return sorted(ratio, key=lambda other: -ratio[other])[:NEAREST]
