"""Folders of which every bit counts: sealed by the SHA-256 of their files, checked before they are used."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ctr.errors import Damaged
from ctr.runs.files import read_json, sync, write_json

FILE = "checksums.json"


def write_checksums(folder: Path) -> None:
    """Write `checksums.json`: file -> SHA-256 of its bytes; when this returns, all of the folder is on the disk."""
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    write_sums(folder, sums_of(folder, [name for name in names if name != FILE]))


def sums_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of files by their paths in a folder, once their bytes are on the disk.

    Args:
        folder: where the files are.
        names: files and folders in it; those that do not exist are left out. A folder means every file in it, and a
            folder with a `checksums.json` of its own means that file.
    """
    found = {}
    for path in (path for name in names for path in _files(folder / name)):
        sync(path)
        found[path.relative_to(folder).as_posix()] = sha256(path)
    return found


def _files(path: Path) -> Iterator[Path]:
    if (path / FILE).is_file():
        yield path / FILE
    elif path.is_dir():
        for inner in sorted(path.iterdir()):
            if not (inner.is_dir() and inner.name.startswith(".")):  # left by a process that was killed
                yield from _files(inner)
    elif path.is_file():
        yield path


def write_sums(folder: Path, sums: dict[str, str]) -> None:
    """Write `checksums.json`, with a SHA-256 of all its entries under its own name."""
    write_json(folder / FILE, {**sums, FILE: _sum_of(sums)})


def read_sums(folder: Path, mend: str = "") -> dict[str, str] | None:
    """Return what `write_sums` wrote; None if the folder has no `checksums.json`.

    Args:
        folder: what is sealed.
        mend: what to do, for the message.

    Raises:
        Damaged: it is not what was written.
    """
    try:
        sums = read_json(folder / FILE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise Damaged(f"{folder}: damaged: {FILE} is not what was written.", mend) from error
    own = sums.pop(FILE, None)
    if own not in (None, _sum_of(sums)):  # an earlier version wrote none
        raise Damaged(f"{folder}: damaged: {FILE} differs from the SHA-256 of its own entries.", mend)
    return sums


def _sum_of(sums: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()


@contextmanager
def rewriting(folder: Path, names: Collection[str], mend: str = "") -> Iterator[None]:
    """Allow files of a sealed folder to be written: meanwhile they are not listed, so a kill leaves no wrong SHA-256.

    Args:
        folder: what is sealed.
        names: paths of files in it.
        mend: what to do where `checksums.json` is damaged, for the message.

    Raises:
        Damaged: it is.
    """
    sums = read_sums(folder, mend) or {}
    others = {name: one for name, one in sums.items() if name not in names}
    if others != sums:
        write_sums(folder, others)
    yield
    write_sums(folder, others | sums_of(folder, names))


def check_file(folder: Path, name: str, sums: dict[str, str], mend: str = "") -> None:
    """Check that a file is the one that the `checksums.json` of a folder lists.

    Args:
        folder: what is sealed.
        name: path of the file in it.
        sums: what `read_sums` returned.
        mend: what to do, for the message.

    Raises:
        Damaged: the file is missing, has changed, or is not listed.
    """
    if not (folder / name).is_file():
        raise Damaged(f"{folder}: damaged: {name} is missing.", mend)
    if name not in sums:
        raise Damaged(f"{folder}: damaged: {name} is not listed in {FILE}.", mend)
    if sha256(folder / name) != sums[name]:
        raise Damaged(f"{folder}: damaged: {name} differs from its SHA-256 in {FILE}.", mend)


def verify_checksums(folder: Path, mend: str = "") -> None:
    """Check that a folder is as `write_checksums` left it.

    Args:
        folder: of files only.
        mend: what to do, for the message.

    Raises:
        Damaged: a file is missing, has changed or is not listed.
    """
    sums = read_sums(folder, mend)
    if sums is None:
        raise Damaged(f"{folder}: has no {FILE}, so it is damaged or of an earlier version.", mend)
    there = {path.name for path in folder.iterdir() if not path.name.startswith(".")} - {FILE}  # nothing of ours
    for name in sorted(sums.keys() | there):
        check_file(folder, name, sums, mend)


def sha256(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
