"""Choices for each column: the type of its feature, or the reason to leave it out."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ctr.starter.column_counts import is_long_decimal
from ctr.starter.leaks import LEAK_AUC, SUSPECT_AUC
from ctr.starter.reading import Column
from ctr.starter.times import TimeColumn
from ctr.starter.words import OUTCOMES, PREDICTIONS, has_word, last_known, words_of
from features import as_floats, innermost, is_bytes, is_list, is_text, is_uuid, type_name

KEY_SHARE = 0.95  # of the values of a column that are distinct, from which it identifies rows
FEW = 20  # distinct integers that are always categories
MANY = 200  # distinct integers, up to which a quantity is also a category: its effect need not be monotonic
SMALL_VOCABULARY = 100_000  # distinct values, up to which embeddings of rare ids cost little memory
HASHED_ABOVE = 2_000_000  # distinct values, from which a hash takes less memory than a vocabulary
LARGE_ID = 2**31  # integers from here are ids unless their name says otherwise
SKEWED = 2.0  # skewness from which a logarithm is tried
MAX_LENGTH = 50  # values of a list
GLOBS = re.compile(r"[*?\[\]/]")
Settings = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """Treatment of a column in a config."""

    column: str
    note: str
    """Description of its values, or the reason to leave it out."""
    features: dict[str, Settings] = field(default_factory=dict)
    """Feature name -> its settings; those that would use a column that is left out."""
    is_used: bool = True
    """False if the column is left out."""
    cast: Any = None
    """Type of `data.cast` that the column is read as; None for its own."""
    is_key: bool = False
    """True if the column identifies rows, so that scores can be joined by it."""


def choose(column: Column, time: TimeColumn | None, auc: float | None, taken: Collection[str]) -> Choice:
    """Return what a config does with a column that is neither label nor weight.

    Args:
        column: the column.
        time: its times, if it holds times.
        auc: AUC of the column alone; None if unknown.
        taken: names of other columns and features.
    """
    profile, name = column.counts.profile, column.name
    if column.problem is not None:
        return Choice(name, column.problem, is_used=False)
    if time is not None:
        return _time_parts(time, taken)
    if profile.rows == 0:
        return Choice(name, f"{type_name(column.type)} cannot be a feature", is_used=False)
    if profile.values == 0:
        return Choice(name, "null in every row", is_used=False)
    choice = _by_type(column)
    if not choice.is_used:
        return choice
    reason, is_key = None, _is_key(column, choice)
    if profile.different == 1 and not profile.nulls:
        reason = "one value in every row"
    elif auc is not None and auc >= LEAK_AUC:
        reason = f"probably a leak: alone it has AUC {auc:.4f}, so it may be known only after the label"
    elif _is_flag(column) and "_".join(words_of(name)) in OUTCOMES:
        reason = "by its name an outcome, which is known only after the event"
    elif _is_prediction(column):
        reason = "by its name a prediction of another model"
    elif is_key:
        reason = f"{_about(column)} distinct values in {profile.values:,} rows, so it identifies rows"
    if reason is not None:
        return Choice(name, reason, choice.features, False, choice.cast, is_key and not profile.nulls)
    note = choice.note
    if auc is not None and auc > SUSPECT_AUC:
        note += f"; CHECK: alone it has AUC {auc:.4f}. Is it known before the label?"
    return Choice(name, note, choice.features, True, choice.cast)


def feature_name(column: str) -> str:
    """Return a name without the characters that mean something in patterns of tables."""
    return GLOBS.sub("_", column)


def _by_type(column: Column) -> Choice:
    """Return the feature of a column by its type and values."""
    type_ = column.type
    if is_list(type_):
        return _sequence(column)
    by_name = last_known(column.name)
    if is_bytes(type_) or is_uuid(type_):
        return _categorical(column, "hex")
    if is_long_decimal(type_):
        return _numeric(column) if by_name == "quantity" else _categorical(column, "text")
    if is_text(type_) and _holds_numbers(column):
        return _numeric(column, "number")
    if pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        is_id = not column.counts.has_fractions and by_name == "id" and not column.counts.too_large
        return _categorical(column, "integer") if is_id else _numeric(column)
    if pa.types.is_integer(type_) and is_quantity(column):
        return _numeric(column)
    return _categorical(column)


def _categorical(column: Column, cast: Any = None) -> Choice:
    profile, settings = column.counts.profile, encoding(column)
    if column.counts.placeholders and is_text(column.type):
        settings["missing"] = sorted(column.counts.placeholders)
    note = f"{type_name(column.type)}, {_about(column)} distinct values{_nulls(column)}"
    if cast == "integer":
        note = f"{type_name(column.type)}, by the name ids, {_about(column)} distinct values{_nulls(column)}"
    elif pa.types.is_integer(column.type) and profile.different > FEW:
        note = f"{type_name(column.type)}, taken for ids, {_about(column)} distinct values{_nulls(column)}"
    return _feature(column, settings, note, cast)


def encoding(column: Column) -> Settings:
    """Return the settings of the ids of a column, by the number of distinct values and of rows for each.

    Ids with too few rows share an embedding, which then also suits ids that only appear later.
    """
    profile = column.counts.profile
    distinct = profile.different
    if distinct > HASHED_ABOVE:
        return {"hash": 1 << int(np.ceil(np.log2(distinct)))}
    if distinct <= 100:
        return {}
    rows_per_value = profile.values / distinct
    min_count = 2 if distinct <= SMALL_VOCABULARY or rows_per_value >= 20 else 5 if rows_per_value >= 5 else 10
    return {"vocabulary": {"min_count": min_count}}


def _sequence(column: Column) -> Choice:
    inner = innermost(column.type)
    is_category = pa.types.is_integer(inner) or is_text(inner) or pa.types.is_boolean(inner)
    cast = "hex" if is_bytes(inner) or is_uuid(inner) else None
    if not (is_category or cast):
        return Choice(column.name, f"{type_name(column.type)}: a list of numbers cannot be a feature", is_used=False)
    profile, longest = column.counts.profile, column.counts.longest
    settings = {"type": "sequence", **encoding(column), "max_length": max(1, min(longest, MAX_LENGTH))}
    mean = profile.values / max(profile.rows, 1)
    last = f", of which the last {MAX_LENGTH} count" if longest > MAX_LENGTH else ""
    empty = f", {100 * profile.null_share:.2g}% empty" if profile.nulls else ""
    note = (
        f"{type_name(column.type)}, {_about(column)} distinct values, {mean:.1f} a row, at most {longest}{last}{empty}"
    )
    return _feature(column, settings, note, cast)


def _numeric(column: Column, cast: Any = None) -> Choice:
    profile = column.counts.profile
    if column.counts.too_large:
        reason = f"holds {column.counts.too_large:,} infinite values, or values beyond float32; write nulls instead"
        return Choice(column.name, reason, is_used=False)
    settings: Settings = {"type": "numeric"}
    numbers = sampled_numbers(column)
    if is_skewed(numbers):
        settings["transform"] = "log1p"
    if profile.nulls:
        settings["missing_indicator"] = True
    is_written_as_text = isinstance(profile.low, str)
    low, high = (numbers.min(), numbers.max()) if is_written_as_text else (float(profile.low), float(profile.high))
    note = (
        f"{type_name(column.type)}, {_about(column)} distinct values{_nulls(column)}, {_number(low)} to {_number(high)}"
    )
    choice = _feature(column, settings, note + (", skewed" if "transform" in settings else ""), cast)
    if pa.types.is_integer(column.type) and profile.different <= MANY:
        # an integer that only occurs later gets the embedding which all that occur once train
        value = {"column": column.name, "vocabulary": {"min_count": 2}}
        choice = replace(
            choice,
            note=f"{choice.note}; number and category",
            features={**choice.features, f"{feature_name(column.name)}_value": value},
        )
    return choice


def _time_parts(time: TimeColumn, taken: Collection[str]) -> Choice:
    """Return hour and weekday, if the data spans enough days to compare them."""
    parts = [part for part, days in (("hour", 3.0), ("weekday", 14.0)) if time.days >= days]
    if not time.has_hours:
        parts = [part for part in parts if part != "hour"]
    unit = {} if time.unit is None else {"time_unit": time.unit}
    features = {}
    for part in parts:
        name = part if part not in taken else f"{feature_name(time.name)}_{part}"
        features[name] = {"column": time.name, "part": part, **unit}
    cast = None if time.cast is None else {"timestamp": time.cast}
    note = f"times, {time.span}"
    if not features:
        return Choice(time.name, f"{note}: too short a span to learn from hours or weekdays", is_used=False, cast=cast)
    return Choice(time.name, note, features, True, cast)


def _feature(column: Column, settings: Settings, note: str, cast: Any) -> Choice:
    name = feature_name(column.name)
    if name != column.name:
        settings = {"column": column.name, **settings}
    return Choice(column.name, note, {name: settings}, True, cast)


def is_quantity(column: Column) -> bool:
    """Return True if integers are quantities, False if they are ids or codes.

    Two distinct values are codes. Otherwise a telling word of the name decides. Without one, at most 20 distinct values
    are codes; integers below -1, and integers with gaps whose distinct values are far from evenly spread, are
    quantities; others are ids.
    """
    profile, known = column.counts.profile, last_known(column.name)
    low, high, distinct = int(profile.low), int(profile.high), profile.different
    if distinct <= 2:
        return False
    if known is not None:
        return known == "quantity"
    if distinct <= FEW:
        return False
    if low < -1:
        return True
    if high >= LARGE_ID:
        return False
    if distinct >= (high - low + 1) / 2:  # without large gaps: numbered things, or a narrow range such as ages
        return False
    values = np.unique(sampled_numbers(column))
    position = (values - values[0]) / max(values[-1] - values[0], 1)
    return bool(np.abs(position - np.linspace(0, 1, len(values))).max() > 0.2)


def sampled_numbers(column: Column) -> np.ndarray:
    """Return the sampled numbers of a column without nulls, float64; a single 0 if all are null."""
    assert column.sample is not None
    sample = column.sample.drop_null()
    if is_text(sample.type):
        sample = sample.filter(pa.compute.match_substring_regex(sample, "[0-9]"))
    numbers = as_floats(sample).to_numpy()
    return numbers if len(numbers) else np.zeros(1)


def is_skewed(numbers: np.ndarray) -> bool:
    """Return True if a logarithm makes a skewed distribution of numbers more symmetric.

    >>> is_skewed(np.exp(np.linspace(0, 9, 100))), is_skewed(np.linspace(0, 9, 100))
    (True, False)
    """
    skewness = _skewness(numbers)
    return skewness > SKEWED and abs(_skewness(np.sign(numbers) * np.log1p(np.abs(numbers)))) < skewness


def _skewness(numbers: np.ndarray) -> float:
    scaled = numbers / max(float(np.abs(numbers).max()), np.finfo(np.float64).tiny)
    deviation = scaled - scaled.mean()
    variance = float((deviation**2).mean())
    return 0.0 if variance < 1e-20 else float((deviation**3).mean()) / variance**1.5


def _holds_numbers(column: Column) -> bool:
    """Return True for text that holds numbers of which some are not whole."""
    counts = column.counts
    return "numbers" in counts.formats and "digits" not in counts.formats and not counts.placeholders


def _is_flag(column: Column) -> bool:
    profile = column.counts.profile
    return profile.different <= 2 and {profile.low, profile.high} <= {0, 1, "0", "1", "true", "false"}


def _is_prediction(column: Column) -> bool:
    profile = column.counts.profile
    is_probability = pa.types.is_floating(column.type) and 0 <= profile.low <= profile.high <= 1
    return is_probability and column.counts.has_fractions and has_word(column.name, PREDICTIONS)


def _is_key(column: Column, choice: Choice) -> bool:
    profile = column.counts.profile
    is_number = any(settings.get("type") == "numeric" for settings in choice.features.values())
    is_single = column.sample is not None and not is_number
    return is_single and profile.values >= 100 and profile.different >= KEY_SHARE * profile.values


def _about(column: Column) -> str:
    distinct = column.counts.profile.distinct
    return f"{'' if distinct.is_exact else '~'}{column.counts.profile.different:,}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e12 else f"{value:.4g}"


def _nulls(column: Column) -> str:
    profile = column.counts.profile
    if not profile.nulls:
        return ""
    words = sorted(column.counts.placeholders)
    missing = f" or {', '.join(map(repr, words))}" if words and is_text(column.type) else ""
    return f", {100 * profile.null_share:.2g}% null{missing}"
