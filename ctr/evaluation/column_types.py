"""What the columns of data without declared features are taken as: numbers, categories, or lists of these."""

from collections.abc import Collection
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from ctr.errors import ConfigError
from features import (
    Ragged,
    RowGroup,
    Values,
    as_floats,
    check_agreement,
    check_columns,
    files_of,
    innermost,
    is_bytes,
    is_number,
    is_uuid,
    list_lengths,
    type_name,
    values_of_column,
)

ColumnType = Literal["numeric", "categorical", "list", "list of numbers"]
LIST_OF = "list of "  # what check_agreement says of lists, before what is in them


def shared_columns(before: list[RowGroup], after: list[RowGroup]) -> tuple[list[str], dict[str, str]]:
    """The columns that every file of both sets has, in the first file's order; and the others, with what lacks them."""
    sets = {"the reference": files_of(before), "the current data": files_of(after)}
    names_in = {where: [set(file.schema.names) for file in files] for where, files in sets.items()}
    everywhere = set.intersection(*(names for of_files in names_in.values() for names in of_files))
    seen = dict.fromkeys(name for files in sets.values() for file in files for name in file.schema.names)
    lacking: dict[str, str] = {}
    for name in seen:
        having = [where for where, of_files in names_in.items() if any(name in names for names in of_files)]
        if len(having) == 1:
            lacking[name] = f"only in {having[0]}"
        elif name not in everywhere:
            without = next(file for files in sets.values() for file in files if name not in file.schema.names)
            lacking[name] = f"not in {without.path}"
    return [name for name in seen if name in everywhere], lacking


def infer_column_types(
    before: list[RowGroup],
    after: list[RowGroup],
    names: list[str],
    categorical: Collection[str],
    numeric: Collection[str],
) -> tuple[dict[str, ColumnType | None], dict[str, str]]:
    """The kind of each column, as far as its type decides it. Of lists it is that of their values.

    Args:
        before, after: both sets.
        names: of the columns.
        categorical: those whose numbers are categories.
        numeric: those whose integers or flags are numbers.

    Returns:
        column -> its kind, None for integers, which may be either; and column -> why it is not compared, of those
        without a kind: times, binary, structs.

    Raises:
        ConfigError: a column that is to be numeric holds no numbers.
        DataError: a file lacks a column, or differs from the others in what it holds.
    """
    for row_groups in (before, after):
        check_columns(row_groups, names, lambda schema, where: None)
    files = files_of(before + after)
    types = {name: _types([file.schema.field(name).type for file in files]) for name in names}
    others = {
        name: _reason(name, found[0]) for name, found in types.items() if found and not any(map(_has_values, found))
    }
    compared = [name for name in names if name not in others]
    # a flag is no number, unless said to be one; and integers that are categories are not compared with floats
    numbers = {name for name in compared if all(map(_can_be_numeric, types[name]))} - set(categorical) | set(numeric)
    meanings = check_agreement(before + after, compared, numbers)
    kinds: dict[str, ColumnType | None] = {}
    for name in compared:
        meaning = meanings.get(name, "nulls")
        is_list, values = meaning.startswith(LIST_OF), meaning.removeprefix(LIST_OF)
        if name in numeric and values not in ("number", "nulls"):
            raise ConfigError(f"--numeric: column {name!r} holds {meaning}, no numbers")
        if is_list:
            kinds[name] = "list of numbers" if values == "number" else "list"
        elif values == "number":
            kinds[name] = "numeric" if name in numeric else _kind_of_numbers(types[name])
        else:
            kinds[name] = "categorical"
    return kinds, others


def values_of_kind(column: pa.ChunkedArray, kind: ColumnType | None) -> Values:
    """The values of a column as its kind has them: float64, where null or NaN is missing, or categories."""
    if pa.types.is_null(innermost(column.type)):  # of a file that has no values where others have some
        return pa.nulls(len(column), pa.float64() if kind in ("numeric", "list of numbers") else pa.large_string())
    if kind == "numeric":
        return as_floats(column.combine_chunks())
    if kind == "list of numbers":
        lists = column.combine_chunks()
        return Ragged(as_floats(pc.list_flatten(lists)), list_lengths(lists))
    values = values_of_column(column)
    assert values is not None
    if isinstance(values, Ragged):
        return Ragged(_as_categories(values.flat), values.lengths)
    return _as_categories(values)


def _as_categories(values: pa.Array) -> pa.Array:
    return values.cast(pa.large_string()) if pa.types.is_floating(values.type) else values


def _types(of_files: list[pa.DataType]) -> list[pa.DataType]:
    """The different types that hold more than nulls."""
    return [type_ for type_ in dict.fromkeys(of_files) if not pa.types.is_null(innermost(type_))]


def _reason(name: str, type_: pa.DataType) -> str:
    """Return why a column of a type is not compared: its type, and the cast that helps."""
    inner = innermost(type_)
    help_ = f"; compare it with --cast {name}=text or {name}=hex" if is_bytes(inner) or is_uuid(inner) else ""
    return type_name(type_) + help_


def _has_values(type_: pa.DataType) -> bool:
    return values_of_column(pa.chunked_array([pa.nulls(0, type_)])) is not None


def _can_be_numeric(type_: pa.DataType) -> bool:
    """Return True for numbers and lists of floats or decimals; integers in lists are categories."""
    inner = innermost(type_)
    return pa.types.is_integer(type_) or (is_number(inner) and not pa.types.is_integer(inner))


def _kind_of_numbers(types: list[pa.DataType]) -> ColumnType | None:
    """None of integers; as categories uint64 would have no type in common with other integers, so both are numbers."""
    is_whole = all(map(pa.types.is_integer, types))
    return None if is_whole and len(set(map(pa.types.is_uint64, types))) == 1 else "numeric"
