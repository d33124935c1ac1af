"""Checks that columns exist in every file and mean the same in all of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa

from features.errors import Advice, DataError
from features.row_groups import DataFile, RowGroup
from features.settings import nearest
from features.types import is_list, is_number, is_text, type_name


def check_columns(row_groups: list[RowGroup], columns: Iterable[str], check: Callable[[pa.Schema, str], None]) -> None:
    """Check that every file has all `columns`, and call `check(schema, file name)` for each file.

    Raises:
        DataError: a file lacks a column; the message names it and the nearest existing one.
    """
    columns = list(columns)
    for file in files_of(row_groups):
        times = Counter(file.schema.names)
        for name in columns:
            if times[name] > 1:
                raise DataError(f"{file.path}: duplicate column {name!r}. Rename one of the two.")
            if name not in times:
                raise DataError(f"{file.path}: no column {name!r}; {nearest(name, file.schema.names, columns)}")
        check(file.schema, file.path)


def check_known(row_groups: list[RowGroup], columns: Iterable[str], key: str) -> None:
    """Check that some file has each of `columns`; `key` is the setting that names them.

    Raises:
        DataError: no file has one of the columns.
    """
    names = sorted({name for file in files_of(row_groups) for name in file.schema.names})
    for column in columns:
        if column not in names:
            raise DataError(f"{key}: no file has a column {column!r}; {nearest(column, names)}")


def check_agreement(
    row_groups: list[RowGroup],
    columns: Iterable[str],
    numbers: Iterable[str],
    trained: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Check that `columns` have the same meaning in every file, such as integer, text or list of text.

    Integers of all widths agree, and so do text of all encodings and timestamps of all units. A column of nulls agrees
    with every type.

    Args:
        row_groups: row groups of all splits, the training data first.
        columns: columns to compare, which every file has.
        numbers: columns in which integers, floats, decimals and booleans count as the same.
        trained: column -> its meaning in the training data, if that is not among `row_groups`.

    Returns:
        Column -> its meaning, without columns that are all null.

    Raises:
        DataError: a file differs from the first, or from `trained`; the message names both types.
    """
    numbers = set(numbers)
    meanings: dict[str, str] = {}
    for name in columns:
        first: DataFile | None = None
        expected = (trained or {}).get(name)
        for file in files_of(row_groups):
            type_ = file.schema.field(name).type
            meaning = _meaning(type_, name in numbers)
            if meaning is None:
                continue
            if meaning != (expected or meaning):
                expected_text = f"{expected} in training"
                if first is not None:
                    expected_text = f"{type_name(first.schema.field(name).type)} in {first.path}"
                raise DataError(
                    f"{file.path}: column {name!r} is {type_name(type_)}, but {expected_text}.",
                    Advice(
                        "Use one type in all files, or cast the column.",
                        "Convert the column to that type." if first is None else "Use one type in all files.",
                    ),
                )
            first, expected = first or file, meaning
        if expected is not None:
            meanings[name] = expected
    return meanings


def unified_schema(row_groups: list[RowGroup], columns: Iterable[str]) -> pa.Schema:
    """Return a schema that holds `columns` of every file without loss.

    Raises:
        DataError: there is no such schema; the message names the first file that does not fit.
    """
    unified = [pa.field(name, pa.null()) for name in columns]
    for file in files_of(row_groups):
        for index, field in enumerate(unified):
            file_field = file.schema.field(field.name)
            common = _promote(field, file_field)
            if common is None:
                raise DataError(
                    f"{file.path}: pass-through column {field.name!r} is {type_name(file_field.type)}, but "
                    f"{type_name(field.type)} in earlier files, and no type holds both. Use one type in all files."
                )
            unified[index] = common
    return pa.schema(unified)


def files_of(row_groups: Iterable[RowGroup]) -> list[DataFile]:
    """Return the files of row groups, each once, in order."""
    return list({group.file.path: group.file for group in row_groups}.values())


def rows_of_files(row_groups: Iterable[RowGroup]) -> list[dict[str, Any]]:
    """Return the `path` of each file of a split, in order, with the number of its `rows` in the split."""
    rows: Counter[str] = Counter()
    for group in row_groups:
        rows[group.file.path] += group.rows
    return [{"path": path, "rows": count} for path, count in rows.items()]


def _promote(first: pa.Field, second: pa.Field) -> pa.Field | None:
    """Return a field that holds every value of both; None if Arrow's promotion would lose values or is impossible."""
    try:
        schemas = [pa.schema([first]), pa.schema([second])]
        merged = pa.unify_schemas(schemas, promote_options="permissive").field(0)
    except pa.ArrowException:
        return None
    types = pa.types
    if types.is_timestamp(first.type) and types.is_timestamp(second.type) and first.type != second.type:
        return merged.with_type(pa.timestamp("us", merged.type.tz))  # nanoseconds cannot hold every year
    for narrow in (first.type, second.type):
        if types.is_integer(narrow) and not types.is_integer(merged.type):
            return None  # a float cannot hold every integer
        if types.is_uint64(narrow) and not types.is_uint64(merged.type):
            return None
    return merged


def _meaning(type_: pa.DataType, any_number: bool) -> str | None:
    """Return the meaning of a type's values, whatever their width or encoding; None for a type of nulls only."""
    types = pa.types
    if types.is_null(type_):
        return None
    if is_list(type_):
        inner = _meaning(type_.value_type, any_number)
        return inner and f"list of {inner}"
    if any_number and (is_number(type_) or types.is_boolean(type_)):
        return "number"
    if types.is_integer(type_):
        return "uint64" if types.is_uint64(type_) else "integer"
    if is_text(type_):
        return "text"
    return "timestamp" if types.is_timestamp(type_) else type_name(type_)
