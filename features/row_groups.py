"""A Parquet file and its row groups: opened, and read by columns.

A data set is a plain list of `RowGroup`s. A row group may hold only some of the file's rows, where a split or a policy
on bad rows leaves out others: it then carries one bit for each.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from features.errors import DataError, first_line


@dataclass(frozen=True)
class DataFile:
    """One Parquet file: where it is, what it holds."""

    filesystem: pa.fs.FileSystem
    path: str
    place: str  # the path without links, where the file is local
    version: tuple[int, int | None]  # size and time of change, when it was opened
    footer: str  # SHA-256 of what the file says of its contents: places, sizes, least and greatest values
    schema: pa.Schema  # the file's columns and those of its `key=value` folders
    folder_values: dict[str, pa.Scalar]


@dataclass(frozen=True)
class RowGroup:
    """Rows that are read at once: one row group of one file, or the part of it that is selected."""

    file: DataFile
    index: int
    rows: int
    selected: bytes | None = None
    """One bit for each row of the file's row group, first row first; None for all rows."""

    def __str__(self) -> str:
        return f"{self.file.path}, row group {self.index}"

    def read(self, columns: Iterable[str], dictionaries: Collection[str] = ()) -> pa.Table:
        """Read the selected rows of `columns`, in file order.

        Args:
            columns: names.
            dictionaries: those of them that, if they hold text, come as a dictionary and indices, as files store them.

        Raises:
            DataError: the file is damaged, gone or has changed since it was opened.
        """
        columns = list(dict.fromkeys(columns))
        stored = [name for name in columns if name not in self.file.folder_values]
        texts = [field.name for field in self.file.schema if field.type in (pa.string(), pa.large_string())]
        encoded = [name for name in stored if name in dictionaries and name in texts]
        try:
            version = _version(self.file.filesystem, self.file.path)
            if version != self.file.version:
                what = "was removed" if version[0] is None else "changed"
                raise DataError(f"{self}: the file {what} while it was in use")
            with pq.ParquetFile(
                self.file.path,
                filesystem=self.file.filesystem,
                read_dictionary=encoded,
                page_checksum_verification=True,  # of the pages that have one
            ) as parquet:
                table = parquet.read_row_group(self.index, columns=stored)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self}: cannot be read: {first_line(error)}") from error
        _check_values(table, str(self))
        for name in columns:
            if name in self.file.folder_values:
                table = table.append_column(name, pa.repeat(self.file.folder_values[name], table.num_rows))
        if self.selected is not None:
            table = table.filter(pa.array(_unpacked(self.selected, table.num_rows)))
        if table.num_rows != self.rows:
            raise DataError(f"{self}: damaged: holds {table.num_rows} rows where {self.rows} were announced")
        return table.select(columns)

    def part(self, mask: np.ndarray) -> "RowGroup":
        """Those of its rows that `mask`, bool [rows], picks."""
        picked = mask
        if self.selected is not None:
            picked = _unpacked(self.selected, None)
            picked[picked] = mask
        return replace(self, rows=int(mask.sum()), selected=np.packbits(picked).tobytes())


def count_rows(row_groups: Iterable[RowGroup]) -> int:
    """The number of rows of a data set."""
    return sum(group.rows for group in row_groups)


def open_file(
    filesystem: pa.fs.FileSystem, path: str, place: str, folder_values: dict[str, pa.Scalar]
) -> list[RowGroup]:
    try:
        version = _version(filesystem, path)
        with filesystem.open_input_file(path) as opened, pq.ParquetFile(opened) as parquet:
            metadata, schema = parquet.metadata, parquet.schema_arrow
            footer = _footer(opened)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last: names of columns
        raise DataError(f"{path}: not a readable Parquet file: {first_line(error)}") from error
    own = {name: value for name, value in folder_values.items() if name not in schema.names}
    for name, value in own.items():
        schema = schema.append(pa.field(name, value.type))
    file = DataFile(filesystem, path, place, version, footer, schema.remove_metadata(), own)
    rows = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
    return [RowGroup(file, k, count) for k, count in enumerate(rows) if count]


def _footer(opened: pa.NativeFile) -> str:
    """A Parquet file ends with its footer, the footer's length as four bytes, and four more."""
    opened.seek(opened.size() - 8)
    length = int.from_bytes(opened.read(4), "little")
    opened.seek(opened.size() - 8 - length)
    return hashlib.sha256(opened.read(length)).hexdigest()


def _version(filesystem: pa.fs.FileSystem, path: str) -> tuple[int, int | None]:
    info = filesystem.get_file_info(path)
    return info.size, info.mtime_ns


def _unpacked(selected: bytes, rows: int | None) -> np.ndarray:
    return np.unpackbits(np.frombuffer(selected, np.uint8), count=rows).astype(bool)


def _check_values(table: pa.Table, where: str) -> None:
    """Raise DataError if a column is not what its type says, such as text that is not UTF-8."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowException as error:
            raise DataError(f"{where}: column {name!r} is not valid {column.type}: {first_line(error)}") from error
