"""Parquet files and their row groups: opened, and read by columns.

A dataset is a plain list of `RowGroup`s. A row group of more than `WHOLE_ROWS` rows is split into several, slices of at
most `SLICE_ROWS` rows, so that memory does not depend on how a file was written. A `RowGroup` can hold only some of its
rows, if a split or the removal of invalid rows excludes others; it then carries one bit per row.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from features.casts import Cast, cast_column, cast_type
from features.contents import Contents, Piece
from features.errors import DataError, first_line
from features.parquet import OtherFormatError, open_parquet, read_footer
from features.types import is_list, is_uuid, type_name

REPLACE_FILE = "Write or download the file again."
WHOLE_ROWS, SLICE_ROWS = 1 << 17, 1 << 16
BUFFERS, LEAST_BUFFER = 1 << 25, 1 << 16  # bytes read ahead in a sliced row group: for all columns, for one


class Files(Protocol):
    """Part of `pa.fs.FileSystem` that reading needs."""

    def get_file_info(self, path: str) -> pa.fs.FileInfo:
        """Return size and modification time of a file."""

    def open_input_file(self, path: str) -> pa.NativeFile:
        """Open a file for reading at any position."""


@dataclass(frozen=True)
class DataFile:
    """Parquet file: its location and its contents."""

    filesystem: Files
    """File system that holds the file."""
    path: str
    """Path of the file, as given or found by a glob."""
    real_path: str
    """Path with links resolved, if the file is local."""
    version: tuple[int, int | None]
    """Size in bytes and modification time in ns when the file was opened."""
    footer: str
    """SHA-256 of the footer, which lists positions, sizes, minimum and maximum values."""
    schema: pa.Schema
    """Columns of the file and of its `key=value` folders, in the types in which they are read, after casts."""
    contents: Contents
    """Hashes of the columns that were read."""
    folder_values: dict[str, pa.Scalar]
    """Column -> value from the `key=value` folders."""
    casts: Mapping[str, Cast] = field(default_factory=dict)
    """Column of the file or its folders -> its cast."""


@dataclass(frozen=True)
class RowGroup:
    """Rows that are read at a time: a row group of a file, a slice of a large one, or selected rows of either."""

    file: DataFile
    """File of the row group."""
    index: int
    """Number of the row group in the file, from 0."""
    rows: int
    """Number of selected rows."""
    selected: bytes | None = None
    """Selection, one bit per row of the row group or slice, first row first; None for all rows."""
    slice: tuple[int, int] | None = None
    """First row of the slice in the row group, and number of rows; None for the whole row group."""

    def __str__(self) -> str:
        text = f"{self.file.path}, row group {self.index}"
        return text if self.slice is None else f"{text}, rows {self.slice[0]} to {sum(self.slice) - 1}"

    @property
    def location(self) -> tuple[str, int]:
        """Path of the file and number of the row group, which slices have in common."""
        return self.file.path, self.index

    @property
    def piece(self) -> Piece:
        """Number of the row group and first row of the slice."""
        return self.index, 0 if self.slice is None else self.slice[0]

    @property
    def positions(self) -> np.ndarray:
        """Positions of the selected rows in the row group or slice, from 0, int64 `[rows]`."""
        if self.selected is None:
            return np.arange(self.rows)
        return np.flatnonzero(np.unpackbits(np.frombuffer(self.selected, np.uint8)))  # the padding is not selected

    def is_read(self, columns: Iterable[str]) -> bool:
        """Return True if this process has read these columns before, or the file does not store them."""
        not_stored = self.file.folder_values
        return all(name in not_stored or self.file.contents.is_read(name, self.piece) for name in columns)

    def is_known(self, column: str) -> bool:
        """Return True if the expected values of a column are known, from an earlier read or from `Contents.expect`."""
        return column in self.file.folder_values or self.file.contents.is_known(column, self.piece)

    def read(self, columns: Iterable[str]) -> pa.Table:
        """Read the selected rows of `columns`, in file order, in the types of the file's `schema`.

        A slice is read from the beginning of its row group; to read many slices in order, use `read_tables`.

        Raises:
            DataError: the file is corrupt, missing, or has changed since it was opened.
        """
        columns = list(dict.fromkeys(columns))
        with Cursor(columns) as cursor:
            return self.table(cursor.stored(self), columns)

    def table(self, stored: pa.Table, columns: list[str]) -> pa.Table:
        """Convert what the file stores to the table that `read` returns.

        Args:
            stored: all rows of the row group or slice, without the columns of its folders.
            columns: columns to return.

        Raises:
            DataError: a value is corrupt, cannot be cast or has changed since it was first read, or rows are missing.
        """
        _check_values(stored, str(self))
        table = stored
        if stored.num_columns:
            table = pa.table({name: _as_storage(stored[name]) for name in stored.column_names})
            self.file.contents.see(self.piece, table, str(self))
        for name in columns:
            if name in self.file.folder_values:
                table = table.append_column(name, pa.repeat(self.file.folder_values[name], table.num_rows))
        if self.selected is not None:
            table = table.filter(pa.array(_unpacked(self.selected, table.num_rows)))
        if table.num_rows != self.rows:
            raise DataError(
                f"{self}: damaged row group: expected {self.rows:,} rows, found {table.num_rows:,}. {REPLACE_FILE}"
            )
        for index, name in enumerate(table.column_names):
            if name in self.file.casts:
                cast = cast_column(table[name], self.file.casts[name], f"{self}: column {name!r}")
                table = table.set_column(index, name, cast)
        return table.select(columns)

    def select(self, mask: np.ndarray) -> "RowGroup":
        """Return the rows that `mask`, bool `[rows]`, selects."""
        selected = mask
        if self.selected is not None:
            selected = _unpacked(self.selected, None)
            selected[selected] = mask
        return replace(self, rows=int(mask.sum()), selected=np.packbits(selected).tobytes())


class Cursor:
    """Reader of row groups by columns, which reads a slice from where the last slice of the same row group ended.

    Args:
        columns: columns to read, each once.
    """

    def __init__(self, columns: list[str]) -> None:
        self.columns = columns
        self._location: tuple[str, int] | None = None  # location of the open row group
        self._open = ExitStack()
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._left: pa.RecordBatch | None = None  # decoded rows that were not returned yet
        self._row = 0  # next row

    def __enter__(self) -> "Cursor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the open file."""
        self._location, self._batches, self._left = None, iter(()), None
        self._open.close()

    def stored(self, group: RowGroup) -> pa.Table:
        """Return all rows of a row group or slice as the file stores them, for `RowGroup.table`.

        Raises:
            DataError: the file is corrupt, missing, or has changed since it was opened.
        """
        stored = [name for name in self.columns if name not in group.file.folder_values]
        try:
            _check_unchanged(group)
            return self._whole(group, stored) if group.slice is None or not stored else self._slice(group, stored)
        except pa.ArrowMemoryError as error:
            raise DataError(
                f"{group}: does not fit into memory: {first_line(error)}.\nWrite the file again in smaller row groups, "
                f"such as 65,536 rows: row_group_size in pyarrow and Polars, ROW_GROUP_SIZE in DuckDB."
            ) from error
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{group}: cannot read the row group: {first_line(error)}. {REPLACE_FILE}") from error

    def _whole(self, group: RowGroup, stored: list[str]) -> pa.Table:
        with ExitStack() as opened:
            table = _parquet(group, opened).read_row_group(group.index, columns=stored)
        return table if group.slice is None else table.slice(*group.slice)

    def _slice(self, group: RowGroup, stored: list[str]) -> pa.Table:
        assert group.slice is not None
        first, rows = group.slice
        if self._location != group.location or self._row > first:
            self.close()
            parquet = _parquet(group, self._open, max(BUFFERS // len(stored), LEAST_BUFFER))
            self._batches = parquet.iter_batches(rows, [group.index], stored)
            self._location, self._row = group.location, 0
        for _ in self._decoded(first - self._row):
            pass  # skipped rows
        batches = list(self._decoded(rows))
        if not batches:
            raise DataError(f"{group}: damaged row group: no row {first:,}. {REPLACE_FILE}")
        return pa.Table.from_batches(batches)

    def _decoded(self, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the next rows, or fewer at the end of the row group."""
        while rows:
            batch = self._left if self._left is not None else next(self._batches, None)
            if batch is None:
                return
            head = batch.slice(0, rows)
            self._left = batch.slice(len(head)) if len(head) < len(batch) else None
            self._row, rows = self._row + len(head), rows - len(head)
            yield head


def count_rows(row_groups: Iterable[RowGroup]) -> int:
    """Return the number of rows of a dataset."""
    return sum(group.rows for group in row_groups)


def open_file(
    filesystem: Files,
    path: str,
    real_path: str,
    folder_values: dict[str, pa.Scalar],
    casts: Mapping[str, Cast],
) -> list[RowGroup]:
    """Open a file and return its row groups, without empty ones.

    Args:
        filesystem: file system that holds the file.
        path: path of the file.
        real_path: path with links resolved.
        folder_values: column -> value from the `key=value` folders; a column of the file takes precedence.
        casts: column -> its cast.

    Raises:
        DataError: the file is not a readable Parquet file, or a column cannot be cast.
    """
    version, footer, metadata, schema = _opened(filesystem, path)
    added = {name: value for name, value in folder_values.items() if name not in schema.names}
    types = [(field.name, _storage(field.type)) for field in schema] + [(name, added[name].type) for name in added]
    casts = {name: casts[name] for name, _ in types if name in casts}
    types = [
        (name, cast_type(type_, casts[name], f"{path}: column {name!r}") if name in casts else type_)
        for name, type_ in types
    ]
    digest = hashlib.sha256(footer[:-8]).hexdigest()
    counts = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
    slices = [(k, slice_) for k, rows in enumerate(counts) for slice_ in _slices(rows)]
    contents = Contents((k, slice_[0]) for k, slice_ in slices)
    file = DataFile(filesystem, path, real_path, version, digest, pa.schema(types), contents, added, casts)
    return [RowGroup(file, k, slice_[1], slice=None if slice_[1] == counts[k] else slice_) for k, slice_ in slices]


def column_names(filesystem: pa.fs.FileSystem, path: str, folder_keys: Iterable[str]) -> list[str]:
    """Return the columns of a file, then those of its `key=value` folders, each once. Only the footer is read.

    Raises:
        DataError: the file is not a readable Parquet file.
    """
    *_, schema = _opened(filesystem, path)
    return list(dict.fromkeys([*schema.names, *folder_keys]))


def _opened(
    filesystem: pa.fs.FileSystem, path: str
) -> tuple[tuple[int, int | None], bytes, pq.FileMetaData, pa.Schema]:
    """Return the version, the footer, its metadata and the schema of a file.

    Raises:
        DataError: the file is not a readable Parquet file.
    """
    try:
        version = _version(filesystem, path)
        with filesystem.open_input_file(path) as opened:
            footer = read_footer(opened)
            with open_parquet(opened, footer) as parquet:
                return version, footer, parquet.metadata, parquet.schema_arrow
    except OtherFormatError as error:
        raise DataError(f"{path}: not a readable Parquet file: {error}") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # UnicodeDecodeError: in column names
        if isinstance(error, OSError) and error.errno is not None:
            reason = os.strerror(error.errno)
            raise DataError(
                f"{path}: cannot read the file: {reason}. Check that it exists and that you can read it."
            ) from error
        raise DataError(f"{path}: not a readable Parquet file: {first_line(error)}. {REPLACE_FILE}") from error


def _slices(rows: int) -> Iterator[tuple[int, int]]:
    """Yield the first row and number of rows of each slice of a row group; nothing for an empty one."""
    slices = -(-rows // SLICE_ROWS) if rows > WHOLE_ROWS else min(rows, 1)
    for k in range(slices):
        first, end = rows * k // slices, rows * (k + 1) // slices
        yield first, end - first


def _parquet(group: RowGroup, opened: ExitStack, buffer_size: int = 0) -> pq.ParquetFile:
    file = opened.enter_context(group.file.filesystem.open_input_file(group.file.path))
    return opened.enter_context(open_parquet(file, read_footer(file), buffer_size))


def _check_unchanged(group: RowGroup) -> None:
    """Raise DataError if the file has changed since it was opened."""
    version = _version(group.file.filesystem, group.file.path)
    if version != group.file.version:
        change = "was removed" if version[0] is None else "changed"
        raise DataError(f"{group}: the file {change} while it was in use. Run the command again.")


def _version(filesystem: Files, path: str) -> tuple[int, int | None]:
    info = filesystem.get_file_info(path)
    return info.size, info.mtime_ns


def _unpacked(selected: bytes, rows: int | None) -> np.ndarray:
    return np.unpackbits(np.frombuffer(selected, np.uint8), count=rows).astype(bool)


def _check_values(table: pa.Table, where: str) -> None:
    """Raise DataError if a column's values are not valid for its type, such as text that is not UTF-8."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowException as error:
            reason = first_line(error).rpartition("Invalid: ")[2]  # without the path to a value in a list
            raise DataError(
                f"{where}: column {name!r} is not valid {type_name(column.type)}: {reason}. {REPLACE_FILE}"
            ) from error


def _as_storage(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in the storage type of its type."""
    storage = _storage(column.type)
    return column if column.type == storage else column.cast(storage)  # pyarrow 26 breaks lists of nulls by a cast


def _storage(type_: pa.DataType) -> pa.DataType:
    """Return a type, or the storage type of an extension type, such as JSON; a UUID stays a UUID."""
    if is_list(type_):
        return pa.large_list(type_.value_field.with_type(_storage(type_.value_type)))
    return type_.storage_type if isinstance(type_, pa.BaseExtensionType) and not is_uuid(type_) else type_
