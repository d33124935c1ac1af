"""Arrow columns of every accepted type -> the values that a feature stands for.

A categorical's values are int64, uint64 or a dictionary of large_string, with nulls; a numeric's are float64, with
nulls; a sequence's are a `Ragged` of categorical values. Integers never pass through a float. Texts become a dictionary
here, whatever the file stores, so that each distinct text of a row group is looked up once.
"""

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.casts import cast_hint
from features.errors import DataError
from features.labels import FLOAT32_MAX
from features.numbers import as_floats
from features.ragged import Ragged, list_lengths
from features.schema import Categorical, ColumnFeature, Numeric, Sequence
from features.times import HOUR, wall_clock
from features.types import is_list, is_number, is_text, type_name

Values: TypeAlias = pa.Array | Ragged


def values_of(feature: ColumnFeature, table: pa.Table, where: str) -> Values:
    """The values of `feature` in `table`; `where` names the file and row group in errors.

    Raises:
        DataError: a type that the feature cannot take, or a number that is infinite.
    """
    column = table.column(feature.column).combine_chunks()
    check_type(feature, column.type, where)
    if isinstance(feature, Numeric):
        return _finite(column, feature.column, where)
    if isinstance(feature, Sequence):
        return _last(column, feature)
    if feature.part is not None:
        try:
            return _part(column, feature)
        except pa.ArrowException as error:
            raise DataError(f"{where}: column {feature.column!r} holds a value that is no time: {error}") from error
    return _categories(column, feature.missing)


def values_of_column(column: pa.ChunkedArray) -> Values | None:
    """The values of a column that no feature declares; None of a type that has no distribution to speak of.

    Integers, texts and booleans are categories, floats and decimals numbers, and so are those of lists; times are None.
    """
    array = column.combine_chunks()
    types = pa.types
    if types.is_null(array.type):
        return array.cast(pa.large_string())
    if _is_category(array.type):
        return _categories(array, [])
    if is_list(array.type):
        flat = values_of_column(pa.chunked_array([pc.list_flatten(array)]))
        return None if flat is None or isinstance(flat, Ragged) else Ragged(flat, list_lengths(array))
    if _is_flag_or_number(array.type):
        numbers = as_floats(array)
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    return None


def check_type(feature: ColumnFeature, type_: pa.DataType, where: str) -> None:
    """Raise DataError if a column of `type_` cannot feed `feature`."""
    if pa.types.is_null(type_):
        return
    if isinstance(feature, Numeric):
        accepted = _is_flag_or_number(type_)
        wanted = "numbers"
    elif isinstance(feature, Sequence):
        accepted = is_list(type_) and (_is_category(type_.value_type) or pa.types.is_null(type_.value_type))
        wanted = "lists of integers, strings or booleans"
    elif feature.part is not None:
        accepted = pa.types.is_timestamp(type_) or pa.types.is_date(type_)
        wanted = "timestamps, or integers with `time_unit`"
        accepted = accepted or (feature.time_unit is not None and pa.types.is_integer(type_))
    else:
        accepted = _is_category(type_)
        wanted = "integers, strings or booleans"
    if not accepted:
        raise DataError(
            f"{where}: column {feature.column!r} has type {type_name(type_)}, "
            f"but {feature.type} feature {feature.name!r} needs {wanted}{_hint(feature, type_)}"
        )


def _hint(feature: ColumnFeature, type_: pa.DataType) -> str:
    if isinstance(feature, Numeric):
        return cast_hint(feature.column, type_, "number")
    if isinstance(feature, Categorical) and feature.part is not None:
        return cast_hint(feature.column, type_, "time")
    if isinstance(feature, Categorical) and (pa.types.is_timestamp(type_) or pa.types.is_date(type_)):
        return "; choose a `part` of it"
    return cast_hint(feature.column, type_, "category")


def _is_flag_or_number(type_: pa.DataType) -> bool:
    return is_number(type_) or pa.types.is_boolean(type_)


def _is_category(type_: pa.DataType) -> bool:
    if pa.types.is_dictionary(type_):
        return _is_category(type_.value_type)
    return pa.types.is_integer(type_) or pa.types.is_boolean(type_) or is_text(type_)


def _categories(column: pa.Array, missing: list[str | int]) -> pa.Array:
    """Normalize to int64, uint64 or a dictionary of large_string; `missing` values become null."""
    if pa.types.is_dictionary(column.type) and not is_text(column.type.value_type):
        column = column.dictionary_decode()
    if not pa.types.is_integer(column.type):
        return _texts(column, missing)
    values = column if pa.types.is_uint64(column.type) else column.cast(pa.int64())
    low, high = (0, 2**64) if pa.types.is_uint64(values.type) else (-(2**63), 2**63)
    return _without(values, [value for value in missing if isinstance(value, int) and low <= value < high])


def _texts(column: pa.Array, missing: list[str | int]) -> pa.DictionaryArray:
    """Texts, and flags as texts, as a dictionary; nulls are among the indices only."""
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.large_string()).dictionary_encode()
    absent = [value for value in missing if isinstance(value, str)]
    texts = _without(column.dictionary.cast(pa.large_string()), absent)
    indices = column.indices.cast(pa.int32())
    if texts.null_count:
        indices = pc.if_else(pc.take(texts.is_null(), indices), pa.scalar(None, pa.int32()), indices)
        texts = pc.fill_null(texts, "")
    return pa.DictionaryArray.from_arrays(indices, texts)


def _without(values: pa.Array, absent: list[Any]) -> pa.Array:
    """Values with null in place of those that are absent."""
    if not absent:
        return values
    is_absent = pc.is_in(values, value_set=pa.array(absent, type=values.type))
    return pc.if_else(is_absent, pa.scalar(None, values.type), values)


def decoded(values: pa.Array) -> pa.Array:
    """The values, texts out of their dictionary."""
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def filtered(values: Values, rows: np.ndarray) -> Values:
    """The values of some rows, bool [rows]."""
    if isinstance(values, Ragged):
        return Ragged(values.flat.filter(pa.array(np.repeat(rows, values.lengths))), values.lengths[rows])
    return values.filter(pa.array(rows))


def _finite(column: pa.Array, name: str, where: str) -> pa.Array:
    """NaN becomes null; a value that float32 cannot hold is an error."""
    column = as_floats(column)
    if not column.null_count and np.abs(column.to_numpy()).max(initial=0) <= FLOAT32_MAX:  # NaN is not
        return column
    found = too_large(column)
    if pc.any(found).as_py():
        value = column[pc.index(found, True).as_py()].as_py()
        count = pc.sum(found).as_py()
        raise DataError(f"{where}: column {name!r} holds {value} ({count} such rows); a number must fit float32")
    return pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)


def too_large(numbers: pa.Array) -> pa.BooleanArray:
    """Which numbers float32 cannot hold; a null and NaN are not among them."""
    return pc.fill_null(pc.greater(pc.abs(numbers), FLOAT32_MAX), False)


def outside(ids: pa.Array, size: int) -> pa.BooleanArray:
    """Which ids are not 0 <= id < size; a null is not among them."""
    low, high = pa.scalar(0, ids.type), pa.scalar(size, ids.type)
    return pc.fill_null(pc.or_(pc.less(ids, low), pc.greater_equal(ids, high)), False)


def _last(column: pa.Array, feature: Sequence) -> Ragged:
    """The last `max_length` values of each list; a null list is empty."""
    if pa.types.is_null(column.type):
        return Ragged(pa.array([], pa.large_string()), np.zeros(len(column), np.int64))
    lengths = list_lengths(column)
    flat = _categories(pc.list_flatten(column), feature.missing)
    to_end = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(flat))  # 1 for the last value of a list
    if lengths.max(initial=0) > feature.max_length:
        flat = flat.filter(pa.array(to_end <= feature.max_length))
        lengths = np.minimum(lengths, feature.max_length)
    return Ragged(flat, lengths)


def _part(column: pa.Array, feature: Categorical) -> pa.Array:
    """Hour, weekday or day of the month, as int64 from 0."""
    if pa.types.is_null(column.type):
        return column.cast(pa.int64())
    if pa.types.is_integer(column.type):
        column = _categories(column, feature.missing)
    days, seconds = wall_clock(column, feature.time_zone, feature.time_unit)
    if feature.part == "hour":
        found = seconds // HOUR
    elif feature.part == "weekday":
        found = (days + 3) % 7  # the first of January 1970 was a Thursday
    else:
        dates = days.astype("datetime64[D]")
        found = (dates - dates.astype("datetime64[M]")).astype(np.int64)
    return pa.array(found, mask=column.is_null().to_numpy(zero_copy_only=False))
