"""Files behind paths, globs, folders and URIs."""

import os
import re
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.fs

from features.errors import DataError

GLOB = re.compile(r"[*?\[]")


def list_files(path: str) -> list[tuple[pa.fs.FileSystem, str]]:
    """Return (file system, path) of each file, sorted.

    A path that exists is that file or folder, even if it contains glob characters. Only a path that does not exist is a
    glob.

    Raises:
        DataError: the path does not exist, or there is no file behind it.
    """
    filesystem, base = pa.fs.FileSystem.from_uri(path) if "://" in path else (pa.fs.LocalFileSystem(), path)
    kind = filesystem.get_file_info(base).type
    if kind == pa.fs.FileType.NotFound:
        if not GLOB.search(base):
            raise DataError(f"{path}: no such file or folder{_place(path)}. Check the path.")
        matches = _match(filesystem, base if "://" in path else os.path.normpath(base))
        if not matches:
            raise DataError(f"{path}: no file matches{_place(path)}. Check the pattern.")
        return [(filesystem, name) for name in matches]
    if kind == pa.fs.FileType.File:
        return [(filesystem, base)]
    below = _files_below(filesystem, pa.fs.FileSelector(base, recursive=True))
    visible = sorted(name for name in below if name.endswith(".parquet") and not _is_hidden(name[len(base) :]))
    if not visible:
        raise DataError(f"{path}: no *.parquet files in this folder. Choose another folder.")
    return [(filesystem, name) for name in visible]


def _place(path: str) -> str:
    """Return where a path that does not exist was looked for, unless the path says so itself."""
    return "" if "://" in path or os.path.isabs(path) else f" in {os.getcwd()}, the working directory"


def _match(filesystem: pa.fs.FileSystem, pattern: str) -> list[str]:
    """Return the files that match a glob, and `*.parquet` files below folders that match.

    `*` and `?` match within a name; `**/` matches any number of folders.
    """
    prefix = _literal_prefix(filesystem, pattern)
    base = prefix or ("/" if pattern.startswith("/") else ".")
    translated = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}
    tokens = re.split(r"(\*\*/|\*|\?|\[[^\]]+\])", pattern[len(prefix) :].replace("[!", "[^"))
    translation = (
        translated.get(token, token if token[:1] == "[" and token[-1:] == "]" else re.escape(token)) for token in tokens
    )
    regex = re.compile(re.escape(prefix) + "".join(translation))
    files = _files_below(filesystem, pa.fs.FileSelector(base, recursive=True, allow_not_found=True))
    paths = sorted(path.removeprefix("./") for path in files)
    visible = [path for path in paths if not _is_hidden(path[len(prefix) :])]
    return [path for path in visible if regex.fullmatch(path) or _is_below(path, regex)]


def _literal_prefix(filesystem: pa.fs.FileSystem, pattern: str) -> str:
    """Return the leading folders of a glob that have no glob characters or exist under that exact name."""
    prefix: list[str] = []
    for folder in pattern.split("/")[:-1]:
        path = "/".join([*prefix, folder])
        if GLOB.search(folder) and filesystem.get_file_info(path).type != pa.fs.FileType.Directory:
            break
        prefix.append(folder)
    return "/".join(prefix)


def _files_below(filesystem: pa.fs.FileSystem, selector: pa.fs.FileSelector) -> list[str]:
    """Return all files, and broken local links, which pyarrow skips although their missing file must be reported."""
    paths = [info.path for info in filesystem.get_file_info(selector) if info.is_file]
    if not isinstance(filesystem, pa.fs.LocalFileSystem):
        return paths
    names = (os.path.join(parent, name) for parent, _, files in os.walk(selector.base_dir) for name in files)
    return [*paths, *(name for name in names if not os.path.exists(name))]


def _is_below(path: str, folder: re.Pattern[str]) -> bool:
    return path.endswith(".parquet") and any(folder.fullmatch(str(parent)) for parent in PurePosixPath(path).parents)


def _is_hidden(path: str) -> bool:
    return any(part[:1] in ("_", ".") for part in path.split("/") if part)
