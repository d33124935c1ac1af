"""Parquet files, folders and globs -> row groups; splits of row groups into train, valid and test.

A data set is a plain list of `RowGroup`s, in sorted order of their files. A row group may hold only some of the file's
rows, where a split or a policy on bad rows leaves out others: it then carries one bit for each.
"""

import datetime
import hashlib
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from features.errors import DataError
from features.schema import Split

SETS = ("train", "valid", "test")
TIME_BINS = 1 << 20


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
            raise DataError(f"{self}: cannot be read: {_first_line(error)}") from error
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


def open_data(path: str | list[str], root: str | None = None, text: Iterable[str] = ()) -> list[RowGroup]:
    """List the row groups behind a path, a glob, a folder (all `*.parquet` below it) or a list of these.

    The files of a folder or glob come in sorted order, names that start with `_` or `.` are ignored, files without rows
    are skipped, and `key=value` folders become columns, unless the file has such a column. Paths are local, or URIs
    that pyarrow.fs knows (`s3://`, `gs://`, `hdfs://`).

    Args:
        path: what to read, relative to `root`, or to the working directory.
        root: a folder, or None.
        text: keys of `key=value` folders whose values are text, even where all look like integers or dates.

    Raises:
        DataError: a path that does not exist, a glob or folder without files, a file that is not Parquet, no rows.
    """
    files: list[tuple[pa.fs.FileSystem, str]] = []
    for one in [path] if isinstance(path, str) else path:
        place = one if root is None or "://" in one or one.startswith("/") else f"{root.rstrip('/')}/{one}"
        try:
            files += _list_files(place)
        except (pa.ArrowException, OSError, re.error) as error:
            raise DataError(f"{place}: {_first_line(error)}") from error
    names = [os.path.normpath(name) for _, name in files]
    places = [
        os.path.realpath(name) if isinstance(filesystem, pa.fs.LocalFileSystem) else os.path.normpath(name)
        for filesystem, name in files
    ]
    if repeated := [place for place, times in Counter(places).items() if times > 1]:
        same = [name for name, place in zip(names, places, strict=True) if place == repeated[0]]
        first, second = sorted(same, key=len)[:2]
        alias = "is named twice" if first == second else f"and {second} are one file, by a link"
        raise DataError(f"{path}: {first} {alias}")
    row_groups: list[RowGroup] = []
    for (filesystem, name), place, values in zip(files, places, _folder_values(names, set(text)), strict=True):
        row_groups += _row_groups(filesystem, name, place, values)
    if not row_groups:
        raise DataError(f"{path}: {len(files)} file(s), but no rows")
    return row_groups


def split_data(row_groups: list[RowGroup], split: Split, seed: int) -> dict[str, list[RowGroup]]:
    """Divide a data set into `train`, `valid` and `test`.

    By rows: cut at fractions of the rows, in file order. By time: rows of one instant stay together; the cut is the
    boundary nearest to the fraction among 2^20 equal steps between the first and the last instant. At random: each row
    by a draw that depends on the seed and its place alone. A set whose fraction is 0 is empty.

    Raises:
        DataError: a time column that has nulls or no order, or a set with a fraction above 0 that got no rows.
    """
    bounds = np.cumsum(split.fractions)[:2]
    if split.by == "rows":
        assign = _by_rows(row_groups, bounds)
    elif split.by == "random":
        assign = _at_random(row_groups, bounds, seed)
    else:
        assert split.column is not None
        assign = _by_time(row_groups, bounds, split.column)
    sets: dict[str, list[RowGroup]] = {name: [] for name in SETS}
    for group, which in zip(row_groups, assign, strict=True):
        for k, name in enumerate(SETS):
            mask = which == k
            if mask.all():
                sets[name].append(group)
            elif mask.any():
                sets[name].append(group.part(mask))
    for name, fraction in zip(SETS, split.fractions, strict=True):
        if fraction > 0 and not sets[name]:
            raise DataError(
                f"the split by {split.by} leaves no rows for {name} ({fraction:.3g} of {count_rows(row_groups)})"
            )
    return sets


def _unpacked(selected: bytes, rows: int | None) -> np.ndarray:
    return np.unpackbits(np.frombuffer(selected, np.uint8), count=rows).astype(bool)


def _check_values(table: pa.Table, where: str) -> None:
    """Raise DataError if a column is not what its type says, such as text that is not UTF-8."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowException as error:
            raise DataError(f"{where}: column {name!r} is not valid {column.type}: {_first_line(error)}") from error


def _by_rows(row_groups: list[RowGroup], bounds: np.ndarray) -> Iterator[np.ndarray]:
    cuts = np.round(bounds * count_rows(row_groups))
    start = 0
    for group in row_groups:
        yield np.searchsorted(cuts, np.arange(start, start + group.rows), side="right")
        start += group.rows


def _at_random(row_groups: list[RowGroup], bounds: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    for place, group in enumerate(row_groups):
        yield np.searchsorted(bounds, np.random.default_rng([seed, 1, place]).random(group.rows), side="right")


def _by_time(row_groups: list[RowGroup], bounds: np.ndarray, column: str) -> Iterator[np.ndarray]:
    counts_time = {pa.types.is_integer(group.file.schema.field(column).type): group for group in row_groups}
    if len(counts_time) > 1:
        raise DataError(f"{column!r} holds integers in {counts_time[True]} but times in {counts_time[False]}")
    spans = np.array([(times.min(), times.max()) for times in (_times(group, column) for group in row_groups)])
    first, last = int(spans[:, 0].min()), int(spans[:, 1].max())
    if last - first >= 2**63:
        earliest, latest = row_groups[spans[:, 0].argmin()], row_groups[spans[:, 1].argmax()]
        raise DataError(
            f"{column!r} goes from {first} in {earliest} to {last} in {latest}, as int64, which is no span of time; "
            f"a placeholder for a missing time, perhaps"
        )
    step = max(1, -(-(last - first + 1) // TIME_BINS))
    counts = np.zeros(TIME_BINS, np.int64)
    for group in row_groups:
        counts += np.bincount((_times(group, column) - first) // step, minlength=TIME_BINS)
    before = np.concatenate([[0], np.cumsum(counts)])
    cuts = [first + int(np.argmin(np.abs(before - bound * before[-1]))) * step for bound in bounds]
    for group, (low, high) in zip(row_groups, spans, strict=True):
        ends = np.searchsorted(cuts, [low, high], side="right")
        one_set = ends[0] == ends[1]
        yield np.full(group.rows, ends[0]) if one_set else np.searchsorted(cuts, _times(group, column), side="right")


def _times(group: RowGroup, column: str) -> np.ndarray:
    """A time column as int64: microseconds of timestamps and dates, integers as they are."""
    values = group.read([column]).column(column).combine_chunks()
    if not (pa.types.is_timestamp(values.type) or pa.types.is_date(values.type) or pa.types.is_integer(values.type)):
        raise DataError(
            f"{group}: cannot split by time on {column!r} of type {values.type}; it needs a timestamp, date or integer"
        )
    if values.null_count:
        raise DataError(f"{group}: {column!r} has {values.null_count} nulls; a split by time needs a time in every row")
    if not pa.types.is_integer(values.type):
        values = values.cast(pa.timestamp("us", getattr(values.type, "tz", None)), safe=False)
    return values.cast(pa.int64()).to_numpy()


def _row_groups(
    filesystem: pa.fs.FileSystem, path: str, place: str, folder_values: dict[str, pa.Scalar]
) -> list[RowGroup]:
    try:
        version = _version(filesystem, path)
        with filesystem.open_input_file(path) as opened, pq.ParquetFile(opened) as parquet:
            metadata, schema = parquet.metadata, parquet.schema_arrow
            footer = _footer(opened)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last: names of columns
        raise DataError(f"{path}: not a readable Parquet file: {_first_line(error)}") from error
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


def _list_files(path: str) -> list[tuple[pa.fs.FileSystem, str]]:
    """(file system, path) of each file, sorted."""
    filesystem, base = pa.fs.FileSystem.from_uri(path) if "://" in path else (pa.fs.LocalFileSystem(), path)
    if re.search(r"[*?\[]", base):
        found = _match(filesystem, base if "://" in path else os.path.normpath(base))
        if not found:
            raise DataError(f"{path}: no file matches")
        return [(filesystem, name) for name in found]
    kind = filesystem.get_file_info(base).type
    if kind == pa.fs.FileType.NotFound:
        raise DataError(f"{path}: no such file or folder")
    if kind == pa.fs.FileType.File:
        return [(filesystem, base)]
    below = _files_below(filesystem, pa.fs.FileSelector(base, recursive=True))
    visible = sorted(name for name in below if name.endswith(".parquet") and not _is_hidden(name[len(base) :]))
    if not visible:
        raise DataError(f"{path}: a folder without *.parquet files")
    return [(filesystem, name) for name in visible]


def _match(filesystem: pa.fs.FileSystem, pattern: str) -> list[str]:
    """Files that match a glob, and `*.parquet` below folders that do.

    `*` and `?` stay within a name, `**/` is any number of folders.
    """
    fixed = pattern[: re.search(r"[*?\[]", pattern).start()].rpartition("/")[0]  # type: ignore[union-attr]
    base = fixed or ("/" if pattern.startswith("/") else ".")
    translated = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}
    pattern = pattern.replace("[!", "[^")
    parts = re.split(r"(\*\*/|\*|\?|\[[^\]]+\])", pattern)
    regex = re.compile("".join(translated.get(p, p if p[:1] == "[" and p[-1:] == "]" else re.escape(p)) for p in parts))
    found = _files_below(filesystem, pa.fs.FileSelector(base, recursive=True, allow_not_found=True))
    paths = sorted(path.removeprefix("./") for path in found)
    visible = [path for path in paths if not _is_hidden(path[len(fixed) :])]
    return [path for path in visible if regex.fullmatch(path) or _is_below(path, regex)]


def _files_below(filesystem: pa.fs.FileSystem, below: pa.fs.FileSelector) -> list[str]:
    """All files, and local links that lead nowhere: pyarrow passes over these, but a file that is gone is missed."""
    found = [info.path for info in filesystem.get_file_info(below) if info.is_file]
    if not isinstance(filesystem, pa.fs.LocalFileSystem):
        return found
    names = (os.path.join(parent, name) for parent, _, files in os.walk(below.base_dir) for name in files)
    return [*found, *(name for name in names if not os.path.exists(name))]


def _is_below(path: str, folder: re.Pattern[str]) -> bool:
    return path.endswith(".parquet") and any(folder.fullmatch(str(parent)) for parent in PurePosixPath(path).parents)


def _is_hidden(path: str) -> bool:
    return any(part[:1] in ("_", ".") for part in path.split("/") if part)


def _folder_values(below: list[str], text: set[str]) -> list[dict[str, pa.Scalar]]:
    """The `key=value` folders of each path, as scalars: integers or dates where all values of a key are such."""
    pairs = [dict(part.split("=", 1) for part in path.split("/")[:-1] if "=" in part) for path in below]
    keys = dict.fromkeys(key for row in pairs for key in row)
    types = {key: _type_of([row[key] for row in pairs if key in row]) for key in keys}
    types |= {key: pa.string() for key in keys if key in text}
    return [{key: _scalar(text, types[key]) for key, text in row.items()} for row in pairs]


def _type_of(texts: list[str]) -> pa.DataType:
    texts = [text for text in texts if text != "__HIVE_DEFAULT_PARTITION__"]
    if not texts:
        return pa.null()
    if all(re.fullmatch(r"-?(0|[1-9]\d{0,17})", text) for text in texts):
        return pa.int64()
    return pa.date32() if all(map(_is_date, texts)) else pa.string()


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return re.fullmatch(r"\d{4}-\d\d-\d\d", text) is not None


def _scalar(text: str, type_: pa.DataType) -> pa.Scalar:
    if text == "__HIVE_DEFAULT_PARTITION__":
        return pa.scalar(None, type_)
    if pa.types.is_date(type_):
        return pa.scalar(datetime.date.fromisoformat(text), type_)
    return pa.scalar(int(text) if pa.types.is_integer(type_) else text, type_)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
