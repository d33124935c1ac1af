"""Files of a dataset, and the splits that they are named after."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from features import DataError, list_files

WORDS = {
    "train": r"train(?:ing)?",
    "valid": r"valid(?:ation)?|val|dev",
    "test": r"test(?:ing)?|eval(?:uation)?|holdout",
}
"""Split -> regular expression of words that the name of its file or folder equals or begins with."""
MAX_LISTED = 3  # files that a config lists before a pattern replaces them


@dataclass(frozen=True)
class Sources:
    """Paths of a dataset as a config has them."""

    root: str | None
    """Folder that the paths start from; None: the working directory."""
    splits: Mapping[str, list[str]]
    """Split -> its paths, if files are named after splits; otherwise `all` -> the paths of the dataset."""
    ignored: list[str] = field(default_factory=list)
    """Paths that belong to no split."""

    @property
    def are_named(self) -> bool:
        """True if the names of the files determine the splits."""
        return "train" in self.splits


def find_sources(paths: Sequence[str]) -> Sources:
    """Return the paths of each split below files, folders and globs.

    The name of a file, of a folder directly below a path, or the value of its `key=value` folder, determines the split.
    Without files of `train`, names mean nothing, and all paths are one dataset.

    Args:
        paths: files, globs and folders, as the user wrote them.

    Raises:
        DataError: a path does not exist or holds no Parquet files.
    """
    root = paths[0].rstrip("/") or "/" if len(paths) == 1 and _is_folder(paths[0]) else None
    entries = _entries(paths, root)
    splits: dict[str, list[str]] = {name: [] for name in WORDS}
    others: list[str] = []
    for entry in entries:
        split = split_of(entry)
        (others if split is None else splits[split]).append(entry)
    if not splits["train"]:
        return Sources(None, {"all": list(paths)})
    named = {name: shorten_paths(found, entries) for name, found in splits.items() if found}
    return Sources(root, named, [os.path.join(root, entry) if root else entry for entry in others])


def split_of(entry: str) -> str | None:
    """Return the split that a file or folder is named after; None if its name is that of no split.

    >>> split_of("train-00001.parquet"), split_of("data/val"), split_of("split=test"), split_of("training_day.parquet")
    ('train', 'valid', 'test', 'train')
    >>> split_of("trains.parquet"), split_of("items.parquet")
    (None, None)
    """
    name = entry.rstrip("/").rpartition("/")[2].rpartition("=")[2].lower()
    for split, words in WORDS.items():
        if re.match(rf"(?:{words})(?![a-z])", name):
            return split
    return None


def _is_folder(path: str) -> bool:
    try:
        filesystem, base = pa.fs.FileSystem.from_uri(path) if "://" in path else (pa.fs.LocalFileSystem(), path)
        return bool(filesystem.get_file_info(base).type == pa.fs.FileType.Directory)
    except (pa.ArrowException, OSError):
        return False


def _entries(paths: Sequence[str], root: str | None) -> list[str]:
    """Return the files and folders directly below `root`, or the files of paths without a root."""
    entries: dict[str, None] = {}
    for path in paths:
        scheme, separator, _ = path.rpartition("://")
        try:
            files = [name for _, name in list_files(path)]
        except (pa.ArrowException, OSError, re.error) as error:
            raise DataError(f"{path}: cannot list files: {str(error).splitlines()[0]}. Check the path.") from error
        if root is not None:
            start = len(path.rpartition("://")[2].rstrip("/")) + 1
            entries |= dict.fromkeys(sorted(name[start:].split("/")[0] for name in files))
        elif _is_folder(path):
            entries[path] = None
        else:
            entries |= dict.fromkeys(f"{scheme}{separator}{name}" for name in files)
    return list(entries)


def shorten_paths(found: list[str], entries: list[str]) -> list[str]:
    """Return a glob in place of many files, if it matches them and no other entry."""
    if len(found) <= MAX_LISTED:
        return found
    first, last = min(found), max(found)
    common = next((k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    literal = first[:common]
    matches = [entry for entry in entries if entry.startswith(literal) and entry.endswith(".parquet")]
    is_plain = literal and not re.search(r"[*?\[]", literal) and not any("/" in entry[common:] for entry in matches)
    return [f"{literal}*.parquet"] if is_plain and matches == found else found
