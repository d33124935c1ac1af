"""A Parquet file and its row groups: opened, and read by columns.

A data set is a plain list of `RowGroup`s. A row group may hold only some of the file's rows, where a split or a policy
on bad rows leaves out others: it then carries one bit for each.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.fs

from features.casts import Cast, cast_column, cast_type
from features.errors import DataError, first_line
from features.parquet import open_parquet, read_footer
from features.types import is_list, is_uuid, type_name


@dataclass(frozen=True)
class DataFile:
    """One Parquet file: where it is, what it holds."""

    filesystem: pa.fs.FileSystem
    path: str
    place: str  # the path without links, where the file is local
    version: tuple[int, int | None]  # size and time of change, when it was opened
    footer: str  # SHA-256 of what the file says of its contents: places, sizes, least and greatest values
    schema: pa.Schema  # the file's columns and those of its `key=value` folders, as they are read: cast
    folder_values: dict[str, pa.Scalar]
    casts: Mapping[str, Cast] = field(default_factory=dict)  # of columns that the file or its folders have


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

    def read(self, columns: Iterable[str]) -> pa.Table:
        """Read the selected rows of `columns`, in file order, in the types of the file's `schema`.

        Raises:
            DataError: the file is damaged, gone or has changed since it was opened.
        """
        columns = list(dict.fromkeys(columns))
        table = self._stored([name for name in columns if name not in self.file.folder_values])
        for name in columns:
            if name in self.file.folder_values:
                table = table.append_column(name, pa.repeat(self.file.folder_values[name], table.num_rows))
        if self.selected is not None:
            table = table.filter(pa.array(_unpacked(self.selected, table.num_rows)))
        if table.num_rows != self.rows:
            raise DataError(f"{self}: damaged: holds {table.num_rows} rows where {self.rows} were announced")
        for place, name in enumerate(table.column_names):
            if name in self.file.casts:
                cast = cast_column(table[name], self.file.casts[name], f"{self}: column {name!r}")
                table = table.set_column(place, name, cast)
        return table.select(columns)

    def part(self, mask: np.ndarray) -> "RowGroup":
        """Those of its rows that `mask`, bool [rows], picks."""
        picked = mask
        if self.selected is not None:
            picked = _unpacked(self.selected, None)
            picked[picked] = mask
        return replace(self, rows=int(mask.sum()), selected=np.packbits(picked).tobytes())

    def _stored(self, columns: list[str]) -> pa.Table:
        """The columns that are in the file itself, all rows."""
        filesystem, path = self.file.filesystem, self.file.path
        try:
            version = _version(filesystem, path)
            if version != self.file.version:
                what = "was removed" if version[0] is None else "changed"
                raise DataError(f"{self}: the file {what} while it was in use")
            with filesystem.open_input_file(path) as opened, open_parquet(opened, read_footer(opened)) as parquet:
                table = parquet.read_row_group(self.index, columns=columns)
        except pa.ArrowMemoryError as error:
            raise DataError(
                f"{self}: does not fit into memory: {first_line(error)}. Write the file again in smaller row groups, "
                f"such as 65,536 rows: row_group_size in pyarrow and Polars, ROW_GROUP_SIZE in DuckDB."
            ) from error
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self}: cannot be read: {first_line(error)}") from error
        _check_values(table, str(self))
        return pa.table({name: table[name].cast(_storage(table[name].type)) for name in columns}) if columns else table


def count_rows(row_groups: Iterable[RowGroup]) -> int:
    """The number of rows of a data set."""
    return sum(group.rows for group in row_groups)


def open_file(
    filesystem: pa.fs.FileSystem,
    path: str,
    place: str,
    folder_values: dict[str, pa.Scalar],
    casts: Mapping[str, Cast],
) -> list[RowGroup]:
    """Open a file and list its row groups, those without rows left out.

    Args:
        filesystem: where the file is.
        path: of the file.
        place: the path without links.
        folder_values: what its `key=value` folders say; a column of the file wins over one of these.
        casts: column -> what to read it as.

    Raises:
        DataError: it is not a readable Parquet file, or has a column that cannot be cast.
    """
    try:
        version = _version(filesystem, path)
        with filesystem.open_input_file(path) as opened:
            footer = read_footer(opened)
            with open_parquet(opened, footer) as parquet:
                metadata, schema = parquet.metadata, parquet.schema_arrow
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last: names of columns
        raise DataError(f"{path}: not a readable Parquet file: {first_line(error)}") from error
    own = {name: value for name, value in folder_values.items() if name not in schema.names}
    types = [(field.name, _storage(field.type)) for field in schema] + [(name, own[name].type) for name in own]
    casts = {name: casts[name] for name, _ in types if name in casts}
    types = [
        (name, cast_type(type_, casts[name], f"{path}: column {name!r}") if name in casts else type_)
        for name, type_ in types
    ]
    digest = hashlib.sha256(footer[:-8]).hexdigest()
    file = DataFile(filesystem, path, place, version, digest, pa.schema(types), own, casts)
    rows = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
    return [RowGroup(file, k, count) for k, count in enumerate(rows) if count]


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
            raise DataError(
                f"{where}: column {name!r} is not valid {type_name(column.type)}: {first_line(error)}"
            ) from error


def _storage(type_: pa.DataType) -> pa.DataType:
    """The type itself, or what it is stored as if it is an extension, such as JSON; a UUID stays one."""
    if is_list(type_):
        return pa.large_list(type_.value_field.with_type(_storage(type_.value_type)))
    return type_.storage_type if isinstance(type_, pa.BaseExtensionType) and not is_uuid(type_) else type_
