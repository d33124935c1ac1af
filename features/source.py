"""Row groups behind Parquet files, folders and globs, in sorted order of the files."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs

from features.casts import Cast
from features.errors import DataError, first_line
from features.folders import folder_values
from features.frames import is_table
from features.paths import list_files
from features.row_groups import RowGroup, column_names, open_file


def open_data(
    path: str | Path | Sequence[str | Path],
    root: str | None = None,
    text: Iterable[str] = (),
    casts: Mapping[str, Cast] | None = None,
) -> list[RowGroup]:
    """List the row groups behind a path, a glob, a folder (all `*.parquet` below it) or a list of these.

    The files of a folder or glob come in sorted order. Names that start with `_` or `.` are ignored, files without rows
    are skipped, and `key=value` folders become columns unless the file has such a column. Paths are local, or URIs that
    pyarrow.fs supports (`s3://`, `gs://`, `hdfs://`).

    Args:
        path: path, glob, folder, or a list of them, relative to `root` or to the working directory.
        root: folder that relative paths start from; None: the working directory.
        text: keys of `key=value` folders whose values are text, even if all of them look like integers or dates.
        casts: column -> its cast, in files and folders; None: no casts. A folder's value is cast from its text.

    Raises:
        DataError: a path does not exist, a glob or folder has no files, a file is not Parquet or is given twice, the
            data is empty, or a column cannot be cast.
    """
    files: list[tuple[pa.fs.FileSystem, str]] = []
    paths = _paths(path)
    for entry in paths:
        files += _files(entry, root)
    names = [os.path.normpath(name) for _, name in files]
    real_paths = [
        os.path.realpath(name) if isinstance(filesystem, pa.fs.LocalFileSystem) else os.path.normpath(name)
        for filesystem, name in files
    ]
    if repeated := [real_path for real_path, times in Counter(real_paths).items() if times > 1]:
        same = [name for name, real_path in zip(names, real_paths, strict=True) if real_path == repeated[0]]
        first, second = sorted(same, key=len)[:2]
        if first == second:
            raise DataError(f"{first}: the dataset lists this file twice. Remove one of the paths.")
        raise DataError(f"{first}: the same file as {second}, by a link. Remove the link.")
    casts = casts or {}
    row_groups: list[RowGroup] = []
    for (filesystem, name), real_path, values in zip(
        files, real_paths, folder_values(names, {*text, *casts}), strict=True
    ):
        row_groups += open_file(filesystem, name, real_path, values, casts)
    if not row_groups:
        count = "1 file" if len(files) == 1 else f"{len(files):,} files"
        raise DataError(f"{paths[0]}: no rows in {count}. Choose files that have rows.")
    return row_groups


def _paths(path: Any) -> list[str]:
    """Return the paths of a dataset as a list of texts.

    Raises:
        DataError: it is something else, such as a table, or an empty list.
    """
    paths = [path] if isinstance(path, str | Path) else list(path) if isinstance(path, list | tuple) else None
    if paths is None or not all(isinstance(entry, str | Path) for entry in paths):
        table = "Use `open_table` for a table in memory." if is_table(path) else "Pass a path, a glob or a folder."
        raise DataError(f"data: expected a path or a list of paths, got {type(path).__name__}. {table}")
    if not paths:
        raise DataError("data: an empty list of paths. Name at least one file.")
    return [str(entry) for entry in paths]


def columns_of_first_file(path: str | list[str], root: str | None = None) -> tuple[str, list[str]]:
    """Return the path and the columns of the first file of a dataset, in file order; only its footer is read.

    The columns of its `key=value` folders follow those of the file.

    Args:
        path: path, glob, folder, or a list of them, as in `open_data`.
        root: folder that relative paths start from; None: the working directory.

    Raises:
        DataError: a path does not exist, or the file is not Parquet.
    """
    filesystem, name = _files(path if isinstance(path, str) else path[0], root)[0]
    name = os.path.normpath(name)
    return name, column_names(filesystem, name, folder_values([name])[0])


def _files(path: str, root: str | None) -> list[tuple[pa.fs.FileSystem, str]]:
    """Return (file system, path) of each file behind a path, sorted.

    Raises:
        DataError: the path does not exist, or there is no file behind it.
    """
    location = path if root is None or "://" in path or path.startswith("/") else f"{root.rstrip('/')}/{path}"
    try:
        return list_files(location)
    except (pa.ArrowException, OSError, re.error) as error:
        raise DataError(f"{location}: cannot list files: {first_line(error)}. Check the path.") from error
