"""Roles of columns other than features: the group of GAUC, the sample weight, and tables that two columns share."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from ctr.starter.choices import Choice, Settings
from ctr.starter.reading import Column
from ctr.starter.words import KEYS, USERS, WEIGHTS, words_of
from features import innermost, is_list, is_number, is_text

MIN_GROUPS = 20
MIN_ROWS = 1.5  # rows of a group, on average
MAX_SHARE = 0.1  # of the rows, in the largest group
MIN_USER_ROWS = 20  # of each user, from which the id of a user is a feature next to a list of items
OVERLAP = 0.8  # fraction of the values of a list that a column must have to share its table
MIN_SHARED = {True: 5, False: 20}  # common values of text, of integers, which often agree by chance
RESERVED = ("label", "weight", "logit", "score")  # columns of a score file


def choose_group(columns: Mapping[str, Column]) -> str | None:
    """Return a column whose name is that of users, devices or sessions, with several rows each; None without one.

    Users come before devices, and devices before sessions. A value for unknown users would be one huge group,
    so none may have more than a tenth of the rows.
    """

    def can_group(column: Column) -> bool:
        profile, type_ = column.counts.profile, column.type
        return (
            column.sample is not None
            and (is_text(type_) or pa.types.is_integer(type_))
            and column.problem is None
            and column.name not in RESERVED
            and profile.different >= MIN_GROUPS
            and profile.values >= MIN_ROWS * profile.different
            and _largest_share(column.sample) <= MAX_SHARE
        )

    possible = [column.name for column in columns.values() if can_group(column)]
    for words in USERS:
        named = [name for name in possible if _names_one(name, words)]
        if named:
            return min(named, key=lambda name: len(words_of(name)))
    return None


def choose_weight(columns: Mapping[str, Column]) -> str | None:
    """Return a column of numbers of at least 0 that is named like a sample weight; None without one."""
    for name, column in columns.items():
        profile = column.counts.profile
        is_number_column = column.problem is None and is_number(column.type) and not profile.nulls
        if name not in WEIGHTS or not is_number_column or column.counts.too_large:
            continue
        if float(profile.low) >= 0 and float(profile.high) > 0:
            return name
    return None


def share_tables(choices: list[Choice], columns: Mapping[str, Column]) -> list[Choice]:
    """Return the choices, with each list of ids on the table of the column that holds the same ids, if there is one.

    The column must have 80% of the distinct values of the list. Of several, the one whose values agree best.
    """
    shared = []
    for choice in choices:
        settings = next(iter(choice.features.values()), {})
        target = _same_ids(columns[choice.column], choices, columns) if settings.get("type") == "sequence" else None
        if target is None:
            shared.append(choice)
            continue
        (name, of_target), *_ = target.features.items()
        encoding: Settings = {key: of_target[key] for key in ("vocabulary", "hash") if key in of_target}
        own = {key: value for key, value in settings.items() if key not in ("type", "vocabulary", "hash", "column")}
        column = {"column": settings["column"]} if "column" in settings else {}
        merged: Settings = {**column, "type": "sequence", "table": name, **encoding, **own}
        note = f"{choice.note}; the same ids as {target.column}, so both share a table"
        shared.append(replace(choice, note=note, features=dict.fromkeys(choice.features, merged)))
    return shared


def leave_out_sparse_user(choices: list[Choice], columns: Mapping[str, Column], group: str | None) -> list[Choice]:
    """Return the choices without the id of a user that has few rows, if a list of ids describes the user.

    Embeddings of such users mostly memorize their rows.
    """
    histories = [
        choice.column for choice in choices if any("table" in settings for settings in choice.features.values())
    ]
    if group is None or not histories:
        return choices
    profile = columns[group].counts.profile
    rows = profile.values / max(profile.different, 1)
    if rows >= MIN_USER_ROWS:
        return choices
    reason = (
        f"{rows:.1f} rows for each of {profile.different:,} values, and {histories[0]} describes the same users better"
    )
    return [
        replace(choice, note=reason, is_used=False) if choice.column == group and choice.is_used else choice
        for choice in choices
    ]


def _same_ids(lists: Column, choices: list[Choice], columns: Mapping[str, Column]) -> Choice | None:
    best, best_agreement = None, 0.0
    for choice in choices:
        column = columns[choice.column]
        settings = next(iter(choice.features.values()), {})
        if is_list(column.type) or settings.get("type") == "numeric" or not choice.is_used or choice.cast is not None:
            continue
        if "part" in settings or is_text(column.type) != is_text(innermost(lists.type)):
            continue
        one, other = lists.counts.profile.distinct, column.counts.profile.distinct
        union = one.merge(other).estimate
        common = one.estimate + other.estimate - union
        if common >= max(MIN_SHARED[is_text(column.type)], OVERLAP * one.estimate) and common / union > best_agreement:
            best, best_agreement = choice, common / union
    return best


def _largest_share(sample: pa.Array) -> float:
    """Return the fraction of the sampled rows that have the most frequent value."""
    counts = pc.value_counts(sample.drop_null()).field("counts")
    return float(pc.max(counts).as_py() or 0) / max(len(sample), 1)


def _names_one(name: str, words: Collection[str]) -> bool:
    """Return True for a name such as `user`, `user_id` or `hashed_user`, but not `user_age`."""
    of_name = [word for word in words_of(name) if word not in KEYS]
    return len(of_name) == 1 and of_name[0] in words
