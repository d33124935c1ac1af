"""Columns from `key=value` folders."""

import datetime
import re
from collections.abc import Collection
from urllib.parse import unquote_to_bytes

import pyarrow as pa

from features.errors import DataError

NULL_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""Value in folder names for rows whose value is null; the same for all writers."""


def folder_values(paths: list[str], text: Collection[str] = ()) -> list[dict[str, pa.Scalar]]:
    """Read the `key=value` folders of each path as scalars.

    Spark, Hive, pyarrow, DuckDB and Polars percent-encode characters that a folder name cannot hold, so keys and values
    are decoded once: `city=New%20York` is `New York`. A `+` is a plus, and a `%` without two hexadecimal digits is
    itself.

    Args:
        paths: paths of files.
        text: keys whose values are text, even if all of them look like integers or dates.

    Returns:
        For each path, key -> value. Values are int64 or dates if all values of the key are, otherwise large_string;
        `__HIVE_DEFAULT_PARTITION__` is null.

    Raises:
        DataError: a decoded name is not UTF-8 or holds a NUL, or a path has two values for a key.

    >>> folder_values(["x/dt=2026-01-31/city=S%C3%A3o%20Paulo/a.parquet"])[0]["city"].as_py()
    'São Paulo'
    """
    pairs = [_pairs(path) for path in paths]
    keys = dict.fromkeys(key for row in pairs for key in row)
    types = {key: _type_of([row[key] for row in pairs if key in row]) for key in keys}
    types |= {key: pa.large_string() for key in keys if key in text}
    return [{key: _scalar(value, types[key]) for key, value in row.items()} for row in pairs]


def _pairs(path: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for folder in path.split("/")[:-1]:
        key, equals, value = folder.partition("=")
        if not equals:
            continue
        key, value = _decode(key, path), _decode(value, path)
        if pairs.setdefault(key, value) != value:
            raise DataError(f"{path}: folder names give both {key}={pairs[key]} and {key}={value}. Rename one.")
    return pairs


def _decode(name: str, path: str) -> str:
    try:
        decoded = unquote_to_bytes(name).decode()
    except UnicodeError as error:
        raise DataError(f"{path}: folder name part {name!r} is not UTF-8 once decoded. Rename the folder.") from error
    if "\0" in decoded:
        raise DataError(f"{path}: folder name part {name!r} contains NUL once decoded. Rename the folder.")
    return decoded


def _type_of(values: list[str]) -> pa.DataType:
    values = [value for value in values if value != NULL_VALUE]
    if not values:
        return pa.null()
    if all(re.fullmatch(r"0|-?[1-9][0-9]{0,17}", value) for value in values):
        return pa.int64()
    return pa.date32() if all(map(_is_date, values)) else pa.large_string()


def _is_date(value: str) -> bool:
    try:
        datetime.date.fromisoformat(value)
    except ValueError:
        return False
    return re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) is not None


def _scalar(value: str, type_: pa.DataType) -> pa.Scalar:
    if value == NULL_VALUE:
        return pa.scalar(None, type_)
    if pa.types.is_date(type_):
        return pa.scalar(datetime.date.fromisoformat(value), type_)
    return pa.scalar(int(value) if pa.types.is_integer(type_) else value, type_)
