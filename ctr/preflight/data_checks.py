"""What the profile of the sets says about a training: sentences with how bad it is."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ctr.checks.finding import Finding
from ctr.checks.leaks import copied
from ctr.checks.significance import RATE_MARGIN, STANDARD_ERRORS
from ctr.config.data import Data
from ctr.preflight.profile import InputProfile, SetProfile
from ctr.schema.levels import Level
from ctr.schema.report import Duplicates
from features import BadRows, Features, RowGroup, count_rows

FEW_POSITIVES = 100
UNKNOWN = 0.5
NULLS = 0.1


def check_data(
    data: Data, features: Features, sets: Mapping[str, SetProfile], copies: Mapping[str, Duplicates]
) -> list[Finding]:
    """Return warnings of labels, nulls, ids and copied rows, and an `ok` for each of these without any.

    Args:
        data: settings of the data.
        features: the declared features.
        sets: profiles of the splits.
        copies: for each split but the training data, the share of its rows that were copied from there.
    """
    looks = {
        "labels": _labels(sets),
        "values": _values(sets, [data.label, data.weight]),
        "ids": _ids(features, sets),
        "copies": _copies(copies),
    }
    ok = {
        "labels": "labels: both classes in every set, about as often",
        "values": "values: no input is constant, or null much more often in one set than in training",
        "ids": "ids: tables are about as large as their ids need",
        "copies": "copies: no sign that rows of another set were copied from the training data",
    }
    found = {
        check: [Finding(Level.WARNING, check, f"{check}: {told}") for told in told] for check, told in looks.items()
    }
    return [finding for check in looks for finding in found[check] or [Finding(Level.OK, check, ok[check])]]


def check_bad_rows(data: Data, bad_rows: Mapping[str, BadRows]) -> list[Finding]:
    """Bad rows of each set, by reason: an error where there are more than `data.bad_rows` allows, which may be none."""
    at_most = 0.0 if data.bad_rows == "error" else data.bad_rows.skip
    found = []
    for name, bad in bad_rows.items():
        reasons = ", ".join(f"{reason} ({count:,})" for reason, count in bad.reasons.items())
        told = f"bad rows: {name}: {bad.rows:,} rows, a share of {bad.share:.3g}: {reasons}"
        if bad.share > at_most:
            allowed = "errors unless `data.bad_rows: {skip: SHARE}` allows them"
            told += f"; {allowed if not at_most else f'`data.bad_rows` allows {at_most:g}'}"
        found.append(Finding(Level.ERROR if bad.share > at_most else Level.WARNING, "bad rows", told))
    return found or [Finding(Level.OK, "bad rows", "bad rows: none")]


def check_order(data: Data, train: list[RowGroup]) -> Finding:
    """A warning if the training data is one row group of more rows than are shuffled together."""
    rows = count_rows(train)
    if train[0].slice is None or len({group.location for group in train}) > 1 or rows <= data.shuffle_rows:
        return Finding(Level.OK, "order", "order: every epoch mixes rows of different row groups, or all rows")
    return Finding(
        Level.WARNING,
        "order",
        f"order: the training data is one row group of {rows:,} rows, and `data.shuffle_rows` mixes "
        f"{data.shuffle_rows:,} neighbors at a time. Write the file again in row groups of 65,536 rows, or raise "
        f"`data.shuffle_rows`.",
    )


def _labels(sets: Mapping[str, SetProfile]) -> Iterator[str]:
    train = sets["train"]
    for name, one in sets.items():
        fewer = min(one.positives, one.rows - one.positives)
        if not fewer:
            yield f"{name} has labels of one class only, so it has no AUC"
        elif fewer < FEW_POSITIVES:
            yield f"{name} has only {fewer} rows of the rarer class; its metrics will be noisy"
        change = abs(one.positive_rate / train.positive_rate - 1)
        if change > RATE_MARGIN and _differ(one.positive_rate, one.rows, train.positive_rate, train.rows):
            yield f"the label rate is {one.positive_rate:.4f} in {name}, but {train.positive_rate:.4f} in training"


def _values(sets: Mapping[str, SetProfile], label_and_weight: list[str | None]) -> Iterator[str]:
    train = sets["train"]
    for name, before in train.inputs.items():
        if name in label_and_weight:
            continue
        if not before.values:
            yield f"{name!r} has no value in the training data"
        elif before.different == 1 and not before.nulls:
            yield f"{name!r} is {_shown(before.low)} in every row of the training data"
        for other, one in sets.items():
            after = one.inputs[name]
            change = after.null_share - before.null_share
            if abs(change) > NULLS and _differ(after.null_share, after.rows, before.null_share, before.rows):
                yield f"{name!r} is null in {_percent(after)} of {other}, but in {_percent(before)} of training"


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, np.datetime64) else repr(value)


def _percent(seen: InputProfile) -> str:
    return f"{100 * seen.null_share:.1f} %"


def _ids(features: Features, sets: Mapping[str, SetProfile]) -> Iterator[str]:
    for name, feature in features.columns.items():
        seen = sets["train"].inputs[name]
        for other, one in sets.items():
            share = one.inputs[name].unknown_share
            if share is None or share <= UNKNOWN or feature.parts:  # new pairs of values are usual
                continue
            if feature.unknown_ids == "unseen":
                why = "ids that the training data never has"
            else:
                why = "too rare for the vocabulary" if other == "train" else "out of the vocabulary"
            yield f"{100 * share:.1f} % of the values of {name!r} in {other} are {why}"
        if seen.values:
            yield from feature.remarks(seen.different, seen.high)


def _copies(copies: Mapping[str, Duplicates]) -> Iterator[str]:
    for name, found in copies.items():
        if found["is_suspect"]:
            yield f"about {copied(found, name)}"


def _differ(one: float, rows: int, other: float, others: int) -> bool:
    """Whether two shares differ by more than chance would have it."""
    return abs(one - other) > STANDARD_ERRORS * math.sqrt(one * (1 - one) / rows + other * (1 - other) / others)
