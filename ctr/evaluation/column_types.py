"""Types of the columns of data without declared features: numbers, categories, or lists of these."""

from collections.abc import Collection
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from ctr.errors import ConfigError
from features import (
    DataError,
    Ragged,
    RowGroup,
    Values,
    as_floats,
    check_agreement,
    check_columns,
    common_cast,
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
MAX_CONFLICTS = 5  # lines of an error
LIST_OF = "list of "  # start of the meaning of a list column in check_agreement


def shared_columns(reference: list[RowGroup], current: list[RowGroup]) -> tuple[list[str], dict[str, str]]:
    """Return the columns that all files of both datasets have, and the reason for each other column."""
    datasets = {"the reference": files_of(reference), "the current data": files_of(current)}
    names_in = {where: [set(file.schema.names) for file in files] for where, files in datasets.items()}
    everywhere = set.intersection(*(names for of_files in names_in.values() for names in of_files))
    names = dict.fromkeys(name for files in datasets.values() for file in files for name in file.schema.names)
    reasons: dict[str, str] = {}
    for name in names:
        datasets_with = [where for where, of_files in names_in.items() if any(name in names for names in of_files)]
        if len(datasets_with) == 1:
            reasons[name] = f"only in {datasets_with[0]}"
        elif name not in everywhere:
            file_without = next(file for files in datasets.values() for file in files if name not in file.schema.names)
            reasons[name] = f"not in {file_without.path}"
    return [name for name in names if name in everywhere], reasons


def infer_column_types(
    reference: list[RowGroup],
    current: list[RowGroup],
    names: list[str],
    categorical: Collection[str],
    numeric: Collection[str],
) -> tuple[dict[str, ColumnType | None], dict[str, str]]:
    """Return the type of each column, as far as the Parquet type decides it; for a list, the type of its values.

    Args:
        reference: row groups of the reference dataset.
        current: row groups of the current dataset.
        names: names of the columns.
        categorical: columns whose numbers are categories.
        numeric: columns whose integers or flags are numbers.

    Returns:
        column -> type, None for integers, which can be either; and column -> reason, for columns that are not
        compared: times, binary, structs.

    Raises:
        ConfigError: a column of `numeric` does not hold numbers.
        DataError: a file lacks a column, or has a different type in it.
    """
    for row_groups in (reference, current):
        check_columns(row_groups, names, lambda schema, where: None)
    files = files_of(reference + current)
    types = {name: _types([file.schema.field(name).type for file in files]) for name in names}
    others = {
        name: _reason(name, of_column[0])
        for name, of_column in types.items()
        if of_column and not any(map(_has_values, of_column))
    }
    compared = [name for name in names if name not in others]
    # flags are numbers only if listed in `numeric`; integers that are categories are not compared with floats
    numbers = {name for name in compared if all(map(_can_be_numeric, types[name]))} - set(categorical) | set(numeric)
    meanings = _agreed_meanings(reference + current, compared, numbers)
    column_types: dict[str, ColumnType | None] = {}
    for name in compared:
        meaning = meanings.get(name, "nulls")
        is_list, values = meaning.startswith(LIST_OF), meaning.removeprefix(LIST_OF)
        if name in numeric and values not in ("number", "nulls"):
            raise ConfigError(f"--numeric: column {name!r} holds {meaning}, not numbers. Remove it from --numeric.")
        if is_list:
            column_types[name] = "list of numbers" if values == "number" else "list"
        elif values == "number":
            column_types[name] = "numeric" if name in numeric else _type_of_numbers(types[name])
        else:
            column_types[name] = "categorical"
    return column_types, others


def _agreed_meanings(row_groups: list[RowGroup], names: list[str], numbers: Collection[str]) -> dict[str, str]:
    """Return column -> meaning, as `check_agreement` does.

    Raises:
        DataError: columns differ in type between files; the message lists all of them, with the casts that help.
    """
    meanings: dict[str, str] = {}
    conflicts: dict[str, str] = {}
    for name in names:
        try:
            meanings |= check_agreement(row_groups, [name], numbers)
        except DataError as error:
            conflicts[name] = error.message
    if not conflicts:
        return meanings
    files = files_of(row_groups)
    casts = {name: common_cast([file.schema.field(name).type for file in files]) for name in conflicts}
    options = " ".join(f"--cast {name}={cast}" for name, cast in casts.items() if cast is not None)
    others = ", ".join(repr(name) for name, cast in casts.items() if cast is None)
    advice = [f"Add {options}."] if options else []
    advice += [f"Use one type in all files for {others}, or leave it out with --columns."] if others else []
    if len(conflicts) == 1:
        raise DataError(f"{next(iter(conflicts.values()))} {' '.join(advice)}")
    shown = list(conflicts.values())[:MAX_CONFLICTS]
    more = [f"and {len(conflicts) - MAX_CONFLICTS} more"] if len(conflicts) > MAX_CONFLICTS else []
    title = f"{len(conflicts)} columns: their types differ between files."
    raise DataError("\n".join([f"{title} {' '.join(advice)}", *(f"  {line}" for line in [*shown, *more])]))


def values_of_type(column: pa.ChunkedArray, column_type: ColumnType | None) -> Values:
    """Return the values of a column: float64 for a numeric type, with null or NaN as missing, otherwise categories."""
    if pa.types.is_null(innermost(column.type)):  # the column is empty in this file only
        return pa.nulls(
            len(column), pa.float64() if column_type in ("numeric", "list of numbers") else pa.large_string()
        )
    if column_type == "numeric":
        return as_floats(column.combine_chunks())
    if column_type == "list of numbers":
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
    """Return the distinct types, except those of columns that are all null."""
    return [type_ for type_ in dict.fromkeys(of_files) if not pa.types.is_null(innermost(type_))]


def _reason(name: str, type_: pa.DataType) -> str:
    """Return why a column of a type is not compared: its type, and the cast that helps."""
    inner = innermost(type_)
    help_ = f"; use --cast {name}=text or {name}=hex to compare it" if is_bytes(inner) or is_uuid(inner) else ""
    return type_name(type_) + help_


def _has_values(type_: pa.DataType) -> bool:
    return values_of_column(pa.chunked_array([pa.nulls(0, type_)])) is not None


def _can_be_numeric(type_: pa.DataType) -> bool:
    """Return True for numbers and lists of floats or decimals; integers in lists are categories."""
    inner = innermost(type_)
    return pa.types.is_integer(type_) or (is_number(inner) and not pa.types.is_integer(inner))


def _type_of_numbers(types: list[pa.DataType]) -> ColumnType | None:
    """Return None for integers, except that uint64 mixed with other integers is numeric: they lack a common type."""
    is_whole = all(map(pa.types.is_integer, types))
    return None if is_whole and len(set(map(pa.types.is_uint64, types))) == 1 else "numeric"
