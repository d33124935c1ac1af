"""Choice of the label: a column of 0 and 1."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from ctr.errors import ConfigError
from ctr.starter.reading import Column, TrainingData
from ctr.starter.words import FLAGS, LABELS, has_word, words_of
from features import is_number, is_text, nearest

MAX_NAMED = 8  # columns in an error
NEAR = 10  # distinct values of a column that could become a label
MIN_ROWS = 50  # of each class, for three splits that have both


@dataclass(frozen=True)
class Label:
    """The label of a config.

    Args:
        column: column with 0 and 1.
        positive_rate: fraction of rows with label 1, 0 to 1.
        reason: why this column, as a phrase.
        cast: type of `data.cast` that it is read as; None for its own.
    """

    column: str
    positive_rate: float
    reason: str
    cast: str | None = None


def choose_label(data: TrainingData, name: str | None) -> Label:
    """Return the label: the column `name`, or the only candidate.

    A candidate holds 0 and 1, or booleans, in every row, and both occur. One with a name of `LABELS` wins over those
    without; a name such as `is_weekend` counts only if the user gives it.

    Raises:
        ConfigError: the column `name` does not exist or does not hold labels; or the number of candidates is not one.
    """
    if name is not None:
        return _named(data, name)
    candidates = {column.name: column for column in data.columns.values() if _fault(column) is None}
    for names in LABELS:
        telling = [candidate for candidate in candidates if "_".join(words_of(candidate)) in names]
        if len(telling) == 1:
            others = "" if len(candidates) == 1 else ", by its name"
            return _label(candidates[telling[0]], f"holds 0 and 1{others}")
        if telling:
            raise ConfigError(_several({found: candidates[found] for found in telling}))
    unflagged = {found: column for found, column in candidates.items() if not has_word(found, FLAGS)}
    if len(unflagged) == 1:
        return _label(next(iter(unflagged.values())), "the only column of 0 and 1 that does not look like a feature")
    if candidates:
        raise ConfigError(_several(unflagged or candidates))
    raise ConfigError(_none(data))


def positive_rate(column: Column) -> float:
    """Return the fraction of rows that are 1 or true, 0 to 1."""
    return column.counts.ones / max(column.counts.profile.rows, 1)


def _label(column: Column, reason: str) -> Label:
    rows, ones = column.counts.profile.rows, column.counts.ones
    if min(ones, rows - ones) < MIN_ROWS:
        raise ConfigError(
            f"--label: column {column.name!r} is 1 in {ones:,} of {rows:,} rows, too few for three splits. Use "
            f"data with at least {MIN_ROWS} rows of each class."
        )
    return Label(column.name, positive_rate(column), reason, "integer" if is_text(column.type) else None)


def _named(data: TrainingData, name: str) -> Label:
    if name not in data.columns:
        raise ConfigError(f"--label: no column {name!r}; {nearest(name, list(data.columns))}")
    column = data.columns[name]
    if fault := column.problem or _fault(column):
        raise ConfigError(f"--label: column {name!r} {fault}")
    return _label(column, "as given")


def _fault(column: Column) -> str | None:
    """Return why a column is not a label, with what to do; None if it is one."""
    profile = column.counts.profile
    if column.problem is not None:
        return f"cannot be read: {column.problem}. Write the files with one schema."
    if not profile.values:
        return "has no values. Choose another column."
    if profile.nulls:
        return f"is null in {profile.nulls:,} of {profile.rows:,} rows. Remove these rows."
    kind = _values_are_labels(column)
    if not kind:
        return f"{_describe(column)}, expected 0 and 1. Write a column of 0 and 1{_example(column)}."
    if column.counts.ones in (0, profile.rows):
        return f"is {int(column.counts.ones > 0)} in every row. Use data with both classes."
    return None


def _values_are_labels(column: Column) -> bool:
    profile, type_ = column.counts.profile, column.type
    if column.sample is None or profile.different > 2:
        return False
    if pa.types.is_boolean(type_):
        return True
    if is_text(type_):
        return {profile.low, profile.high} <= {"0", "1"}
    return is_number(type_) and {profile.low, profile.high} <= {0, 1}


def _describe(column: Column) -> str:
    profile = column.counts.profile
    if not isinstance(profile.low, int | float):
        return f"holds {profile.different:,} distinct values" if profile.different else "holds no values"
    return f"holds numbers from {profile.low:g} to {profile.high:g}"


def _example(column: Column) -> str:
    """Return an example of how to make a label of a column, for a message."""
    profile, name = column.counts.profile, column.name
    if not isinstance(profile.low, int | float):
        return ""
    middle = (float(profile.low) + float(profile.high)) / 2
    return f", such as {name} > {middle:g}"


def _is_near(column: Column) -> bool:
    """Return True for a column with few values, or with the name of a label."""
    has_name = any("_".join(words_of(column.name)) in names for names in LABELS)
    return has_name or 2 <= column.counts.profile.different <= NEAR


def _several(candidates: Mapping[str, Column]) -> str:
    """Return an error that lists the candidates, one a line."""
    lines = [f"  {name}: {100 * positive_rate(column):.3g}% positive" for name, column in candidates.items()]
    if len(lines) > MAX_NAMED:
        lines = [*lines[:MAX_NAMED], f"  and {len(lines) - MAX_NAMED} more"]
    return "\n".join([f"--label: {len(candidates)} columns hold 0 and 1. Choose one of these:", *lines]) + "."


def _none(data: TrainingData) -> str:
    """Return an error that lists columns which could become a label."""
    near = [
        column
        for column in data.columns.values()
        if column.sample is not None and column.problem is None and _is_near(column)
    ]
    text = "--label: no column holds only 0 and 1. Add such a column to the data"
    if not near:
        return f"{text}: 1 for a click or a purchase, 0 otherwise."
    lines = [f"  {column.name} {_fault(column) or 'is a label'}" for column in near[:MAX_NAMED]]
    return "\n".join([f"{text}, for example from one of these:", *lines])
