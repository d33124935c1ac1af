"""Conversion of Arrow columns of every accepted type to feature values.

A categorical's values are int64, uint64 or a dictionary of large_string, with nulls. A numeric's are float64, with
nulls. A sequence's are a `Ragged` of categorical values. Integers never pass through a float. Text becomes a dictionary
here, whatever the file stores, so that each distinct text of a row group is looked up once.
"""

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.labels import FLOAT32_MAX
from features.numbers import as_floats
from features.ragged import Ragged, list_lengths
from features.types import is_list, is_number, is_text

Values: TypeAlias = pa.Array | Ragged


def values_of_column(column: pa.ChunkedArray) -> Values | None:
    """Return the values of a column that no feature declares; None for a type without a meaningful distribution.

    Integers, text and booleans are categories, floats and decimals are numbers, and lists contain either. Times give
    None.
    """
    array = column.combine_chunks()
    types = pa.types
    if types.is_null(array.type):
        return array.cast(pa.large_string())
    if is_category(array.type):
        return categories(array, [])
    if is_list(array.type):
        flat = values_of_column(pa.chunked_array([pc.list_flatten(array)]))
        return None if flat is None or isinstance(flat, Ragged) else Ragged(flat, list_lengths(array))
    if is_flag_or_number(array.type):
        numbers = as_floats(array)
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    return None


def is_flag_or_number(type_: pa.DataType) -> bool:
    """Return True for numbers and booleans."""
    return is_number(type_) or pa.types.is_boolean(type_)


def is_category(type_: pa.DataType) -> bool:
    """Return True for types whose values are categories: integers, strings and booleans."""
    if pa.types.is_dictionary(type_):
        return is_category(type_.value_type)
    return pa.types.is_integer(type_) or pa.types.is_boolean(type_) or is_text(type_)


def categories(column: pa.Array, missing: list[str | int]) -> pa.Array:
    """Convert to int64, uint64 or a dictionary of large_string; `missing` values become null."""
    if pa.types.is_dictionary(column.type) and not is_text(column.type.value_type):
        column = column.dictionary_decode()
    if not pa.types.is_integer(column.type):
        return _texts(column, missing)
    values = column if pa.types.is_uint64(column.type) else column.cast(pa.int64())
    low, high = (0, 2**64) if pa.types.is_uint64(values.type) else (-(2**63), 2**63)
    return _with_nulls(values, [value for value in missing if isinstance(value, int) and low <= value < high])


def _texts(column: pa.Array, missing: list[str | int]) -> pa.DictionaryArray:
    """Return text, and booleans as text, as a dictionary whose nulls are only among the indices."""
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.large_string()).dictionary_encode()
    absent = [value for value in missing if isinstance(value, str)]
    texts = _with_nulls(column.dictionary.cast(pa.large_string()), absent)
    indices = column.indices.cast(pa.int32())
    if texts.null_count:
        indices = pc.if_else(pc.take(texts.is_null(), indices), pa.scalar(None, pa.int32()), indices)
        texts = pc.fill_null(texts, "")
    return pa.DictionaryArray.from_arrays(indices, texts)


def _with_nulls(values: pa.Array, absent: list[Any]) -> pa.Array:
    """Return values with null in place of `absent` ones."""
    if not absent:
        return values
    is_absent = pc.is_in(values, value_set=pa.array(absent, type=values.type))
    return pc.if_else(is_absent, pa.scalar(None, values.type), values)


def decoded(values: pa.Array) -> pa.Array:
    """Return the values, with text taken out of its dictionary."""
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def filtered(values: Values, rows: np.ndarray) -> Values:
    """Return the values of selected rows, bool `[rows]`."""
    if isinstance(values, Ragged):
        return Ragged(values.flat.filter(pa.array(np.repeat(rows, values.lengths))), values.lengths[rows])
    return values.filter(pa.array(rows))


def too_large(numbers: pa.Array) -> pa.BooleanArray:
    """Return True for each number that float32 cannot hold; False for null and NaN."""
    return pc.fill_null(pc.greater(pc.abs(numbers), FLOAT32_MAX), False)


def outside(ids: pa.Array, size: int) -> pa.BooleanArray:
    """Return True for each id that is not 0 <= id < size; False for null."""
    low, high = pa.scalar(0, ids.type), pa.scalar(size, ids.type)
    return pc.fill_null(pc.or_(pc.less(ids, low), pc.greater_equal(ids, high)), False)
