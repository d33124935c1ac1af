"""Checks of the data before training, from the profiles of its splits."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ctr.checks.finding import Finding
from ctr.checks.leaks import duplicate_share
from ctr.checks.significance import RATE_MARGIN, STANDARD_ERRORS
from ctr.config.data import Data
from ctr.evaluation.input_profile import InputProfile
from ctr.preflight.profile import SplitProfile
from ctr.schema.levels import Level
from ctr.schema.report import Duplicates
from features import OTHER_LABELS, BadRows, Features, NegativeSample, RowGroup, count_rows

FEW_POSITIVES = 100
MAX_UNKNOWN = 0.5  # fraction of values
MAX_NULL_CHANGE = 0.1  # of the fraction of nulls, from training


def check_data(
    data: Data, features: Features, splits: Mapping[str, SplitProfile], copies: Mapping[str, Duplicates]
) -> list[Finding]:
    """Return warnings about labels, values, ids and duplicates, and an `ok` for each of these without any.

    Args:
        data: settings of the data.
        features: the declared features.
        splits: profiles of the splits.
        copies: split -> the share of its examples that duplicate training examples, for each split except train.
    """
    warnings = {
        "labels": list(_labels(splits)),
        "values": list(_values(splits, [data.label, data.weight])),
        "ids": list(_ids(features, splits)),
        "duplicates": list(_duplicates(copies)),
    }
    ok = {
        "labels": "every split has both classes, without a large and significant change of the positive rate",
        "values": "no input is constant, or null much more often in one split than in training",
        "ids": "no split has mostly unknown ids, and no table is far too small or too large",
        "duplicates": "no sign that other splits duplicate training examples",
    }
    return [
        finding
        for check, sentences in warnings.items()
        for finding in [Finding(Level.WARNING, check, f"{check}: {sentence}.") for sentence in sentences]
        or [Finding(Level.OK, check, f"{check}: {ok[check]}")]
    ]


def check_bad_rows(data: Data, bad_rows: Mapping[str, BadRows]) -> list[Finding]:
    """Return the invalid rows of each split by reason, an error if there are more than `data.bad_rows` allows."""
    at_most = 0.0 if data.bad_rows == "error" else data.bad_rows.skip
    findings = []
    for name, bad in bad_rows.items():
        reasons = ", ".join(f"{reason} ({count:,})" for reason, count in bad.reasons.items())
        message = f"invalid rows: {bad.rows:,} in {name} ({100 * bad.fraction:.3g}%): {reasons}."
        if bad.fraction > at_most:
            allowed = f" `data.bad_rows` allows {100 * at_most:g}%." if at_most else ""
            correct = "Correct them, or set `data.bad_rows: {skip: FRACTION}`."
            message += f"{allowed} {OTHER_LABELS if bad.has_other_labels else correct}"
        findings.append(Finding(Level.ERROR if bad.fraction > at_most else Level.WARNING, "invalid rows", message))
    return findings or [Finding(Level.OK, "invalid rows", "invalid rows: none")]


def check_negatives(negatives: NegativeSample | None) -> list[Finding]:
    """Return how many negatives an epoch draws, a warning if they are few; nothing without a draw."""
    if negatives is None:
        return []
    message = (
        f"negatives: each epoch draws {negatives.kept:,} of {negatives.all_negatives:,} and has "
        f"{negatives.rows_per_epoch:,} examples"
    )
    if negatives.kept >= FEW_POSITIVES:
        return [Finding(Level.OK, "negatives", message)]
    return [Finding(Level.WARNING, "negatives", f"{message}. Raise `data.sample_negatives`.")]


def check_order(data: Data, train: list[RowGroup], negatives: NegativeSample | None) -> Finding:
    """Return a warning if the training data is one row group with more rows than are shuffled together."""
    rows = count_rows(train)
    trained = rows if negatives is None else negatives.rows_per_epoch
    if train[0].slice is None or len({group.location for group in train}) > 1 or trained <= data.shuffle_rows:
        return Finding(Level.OK, "order", "order: every epoch mixes different row groups, or all rows")
    return Finding(
        Level.WARNING,
        "order",
        f"order: the training data is one row group of {rows:,} rows, and `data.shuffle_rows` mixes "
        f"{data.shuffle_rows:,} neighbors at a time. Write the file again in row groups of 65,536 rows, or raise "
        f"`data.shuffle_rows`.",
    )


def _labels(splits: Mapping[str, SplitProfile]) -> Iterator[str]:
    train = splits["train"]
    for name, profile in splits.items():
        minority = min(profile.positives, profile.rows - profile.positives)
        if not minority:
            yield f"{name} has labels of one class only, so it has no AUC"
        elif minority < FEW_POSITIVES:
            yield f"{name} has only {minority} rows of the rarer class, so its metrics will be noisy"
        rate = profile.positive_rate
        is_different = _differ(rate, profile.rows, train.positive_rate, train.rows)
        if abs(rate / train.positive_rate - 1) > RATE_MARGIN and is_different:
            yield f"the positive rate is {rate:.4f} in {name}, but {train.positive_rate:.4f} in training"


def _values(splits: Mapping[str, SplitProfile], label_and_weight: list[str | None]) -> Iterator[str]:
    train = splits["train"]
    for name, trained in train.inputs.items():
        if name in label_and_weight:
            continue
        if not trained.values:
            yield f"{name!r} has no value in the training data"
        elif trained.different == 1 and not trained.nulls:
            yield f"{name!r} is {_format(trained.low)} in every row of the training data"
        for split, profile in splits.items():
            input_ = profile.inputs[name]
            is_different = _differ(input_.null_share, input_.rows, trained.null_share, trained.rows)
            if abs(input_.null_share - trained.null_share) > MAX_NULL_CHANGE and is_different:
                yield f"{name!r} is null in {_percent(input_)} of {split}, but in {_percent(trained)} of training"


def _format(value: Any) -> str:
    return str(value) if isinstance(value, np.datetime64) else repr(value)


def _percent(profile: InputProfile) -> str:
    return f"{100 * profile.null_share:.1f}%"


def _ids(features: Features, splits: Mapping[str, SplitProfile]) -> Iterator[str]:
    for name, feature in features.columns.items():
        trained = splits["train"].inputs[name]
        for split, profile in splits.items():
            fraction = profile.inputs[name].unknown_share
            if fraction is None or fraction <= MAX_UNKNOWN or feature.parts:  # new pairs of values are usual
                continue
            if feature.unknown_ids == "unseen":
                why = "ids that are not in the training data"
            else:
                why = "too rare for the vocabulary" if split == "train" else "not in the vocabulary"
            yield f"{100 * fraction:.1f}% of the values of {name!r} in {split} are {why}"
        if trained.values:
            yield from feature.remarks(trained.different, trained.high)


def _duplicates(copies: Mapping[str, Duplicates]) -> Iterator[str]:
    for name, duplicates in copies.items():
        if duplicates["is_suspect"]:
            yield f"about {duplicate_share(duplicates, name)}"


def _differ(fraction: float, rows: int, other_fraction: float, other_rows: int) -> bool:
    """Return True if two fractions differ significantly."""
    variance = fraction * (1 - fraction) / rows + other_fraction * (1 - other_fraction) / other_rows
    return abs(fraction - other_fraction) > STANDARD_ERRORS * math.sqrt(variance)
