"""Tables in memory, read like a file: a pandas DataFrame, a pyarrow Table, or another Arrow table."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from features.casts import Cast
from features.errors import DataError, first_line
from features.row_groups import SLICE_ROWS, RowGroup, open_file

CANNOT_CONVERT = (pa.ArrowException, ValueError, TypeError, OverflowError)  # what pyarrow raises for a value or type


class Column(NamedTuple):
    """Column of a table in memory."""

    name: str
    """Name of the column."""
    type: pa.DataType
    """Type of its values."""
    part: Callable[[int, int], pa.Array | pa.ChunkedArray]
    """Function from first row and end to the values of these rows."""
    shown: str
    """Type that the user knows, for errors."""


@dataclass(frozen=True)
class FileInMemory:
    """Parquet file in memory, with the two methods of `pa.fs.FileSystem` that reading needs."""

    content: pa.Buffer
    """Bytes of the file."""

    def get_file_info(self, path: str) -> pa.fs.FileInfo:
        """Return the size of the file; it has no modification time."""
        return pa.fs.FileInfo(path, pa.fs.FileType.File, size=self.content.size)

    def open_input_file(self, path: str) -> pa.NativeFile:
        """Open the file."""
        return pa.BufferReader(self.content)


def is_table(data: Any) -> bool:
    """Return True if `open_table` accepts a value: a DataFrame, or a table with the Arrow stream interface."""
    return isinstance(data, pd.DataFrame | pa.RecordBatch) or (
        hasattr(data, "__arrow_c_stream__") and not isinstance(data, pd.Series)
    )


def open_table(data: Any, columns: Iterable[str], casts: Mapping[str, Cast] | None = None) -> list[RowGroup]:
    """List the row groups of a table in memory, which are read, cast and checked like those of a file.

    The columns are copied to Parquet in memory, `SLICE_ROWS` rows at a time. In a DataFrame, NaN is null in text, and
    the named levels of an index are columns, as in a file that `DataFrame.to_parquet` writes.

    Args:
        data: pandas DataFrame, pyarrow Table or RecordBatch, or a table with the Arrow stream interface, such as a
            Polars DataFrame.
        columns: columns to copy; other columns cannot be read.
        casts: column -> its cast; None: no casts.

    Raises:
        DataError: it is not a table, there are no rows or no columns, column names have several levels, or a column has
            values of different types, or of a type that Parquet cannot hold.

    >>> frame = pd.DataFrame({"user": ["a", None], "price": [1.5, 2.5]})
    >>> [row_group] = open_table(frame, ["user"])
    >>> row_group.read(["user"])["user"].to_pylist()
    ['a', None]
    """
    name = type(data).__name__
    if not is_table(data):
        raise DataError(f"{name}: expected a DataFrame or another table. Use `open_data` for files.")
    if isinstance(data, pd.DataFrame):
        rows, available = len(data), _pandas_columns(data, set(columns), name)
    else:
        table = _arrow_table(data, name)
        rows, available = table.num_rows, _arrow_columns(table, set(columns))
    if not rows:
        raise DataError(f"{name}: no rows. Use data that has rows.")
    if not available:
        raise DataError(f"{name}: no columns. Use data that has columns.")
    content = _as_parquet(rows, available, name)
    return open_file(FileInMemory(content), name, name, {}, casts or {})


def _arrow_table(data: Any, name: str) -> pa.Table:
    """Return a table with the Arrow interface as a pyarrow Table, which shares its memory."""
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    try:
        return data if isinstance(data, pa.Table) else pa.table(data)
    except CANNOT_CONVERT as error:
        raise DataError(f"{name}: cannot be read as a table: {first_line(error)}. Pass a DataFrame.") from error


def _arrow_columns(table: pa.Table, needed: set[str]) -> list[Column]:
    times = Counter(table.column_names)
    return [
        _arrow_column(field.name, column) if field.name in needed and times[field.name] == 1 else _nulls(field.name)
        for field, column in zip(table.schema, table.columns, strict=True)
    ]


def _arrow_column(name: str, column: pa.ChunkedArray) -> Column:
    type_ = column.type
    if pa.types.is_dictionary(type_) and pa.types.is_string_view(type_.value_type):  # pyarrow cannot write it
        type_ = pa.dictionary(type_.index_type, pa.large_string())
    return Column(name, type_, lambda first, end: column[first:end].cast(type_), str(column.type))


def _pandas_columns(frame: pd.DataFrame, needed: set[str], name: str) -> list[Column]:
    """Return the columns of a DataFrame, then the named levels of its index."""
    if isinstance(frame.columns, pd.MultiIndex):
        raise DataError(
            f"{name}: column names have {frame.columns.nlevels} levels. Join them, or choose one with `droplevel`."
        )
    names = [str(label) for label in frame.columns]
    levels = {str(level): k for k, level in enumerate(frame.index.names) if level is not None}
    times = Counter(names)
    columns = []
    for position, column in enumerate(names):
        is_copied = column in needed and times[column] == 1
        columns.append(_series_column(column, frame.iloc[:, position], name) if is_copied else _nulls(column))
    for column, level in levels.items():
        if column in needed and column not in times:
            columns.append(_series_column(column, pd.Series(frame.index.get_level_values(level)), name))
    return columns


def _series_column(column: str, series: pd.Series, name: str) -> Column:
    """Return a column of a DataFrame, in the type that pyarrow infers from all of its values."""
    shown = str(series.dtype)
    try:
        if series.dtype == object:
            type_ = pa.infer_type(series.to_numpy(), from_pandas=True)
        else:
            type_ = pa.array(series.iloc[:0], from_pandas=True).type
    except CANNOT_CONVERT as error:
        raise _unsuitable(name, column, shown, error) from error
    return Column(column, type_, lambda first, end: pa.array(series.iloc[first:end], type_, from_pandas=True), shown)


def _nulls(name: str) -> Column:
    """Return a column of nulls: its name is known to messages, and nothing reads its values."""
    return Column(name, pa.null(), lambda first, end: pa.nulls(end - first), "null")


def _as_parquet(rows: int, columns: list[Column], name: str) -> pa.Buffer:
    """Write columns to Parquet in memory, so that never more than one part of them is copied twice."""
    for column in columns:
        try:
            pq.ParquetWriter(pa.BufferOutputStream(), pa.schema([(column.name, column.type)])).close()
        except CANNOT_CONVERT as error:
            raise _unsuitable(name, column.name, column.shown, error) from error
    schema = pa.schema([(column.name, column.type) for column in columns])
    stream = pa.BufferOutputStream()
    with pq.ParquetWriter(stream, schema) as writer:
        for first in range(0, rows, SLICE_ROWS):
            end = min(first + SLICE_ROWS, rows)
            parts = [_part(column, first, end, name) for column in columns]
            try:
                writer.write_table(pa.Table.from_arrays(parts, schema=schema))
            except pa.ArrowException as error:
                reason = f"cannot be stored as Parquet: {first_line(error)}"
                raise DataError(f"{name}: rows {first} to {end - 1} {reason}. Convert the columns.") from error
    return stream.getvalue()


def _part(column: Column, first: int, end: int, name: str) -> pa.Array | pa.ChunkedArray:
    try:
        return column.part(first, end)
    except CANNOT_CONVERT as error:
        raise _unsuitable(name, column.name, column.shown, error) from error


def _unsuitable(name: str, column: str, shown: str, error: Exception) -> DataError:
    where = f"{name}: column {column!r} ({shown[:60]})"
    return DataError(f"{where} cannot be converted: {first_line(error)}. Convert its values to one type.")
