"""Checksums of folders: the SHA-256 of each file is written once, and checked before the file is used."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ctr.errors import Damaged
from ctr.runs.files import read_json, sync, write_json

FILE = "checksums.json"


def write_checksums(folder: Path) -> None:
    """Write `checksums.json`, file -> SHA-256 of its bytes; on return the whole folder is on the disk."""
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    write_sums(folder, sums_of(folder, [name for name in names if name != FILE]))


def sums_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of files by path in a folder, after their bytes are on the disk.

    Args:
        folder: the folder.
        names: files and folders in it; missing ones are left out. A folder means every file in it, or, if it has a
            `checksums.json`, that file.
    """
    sums = {}
    for path in (path for name in names for path in _files(folder / name)):
        sync(path)
        sums[path.relative_to(folder).as_posix()] = sha256(path)
    return sums


def _files(path: Path) -> Iterator[Path]:
    if (path / FILE).is_file():
        yield path / FILE
    elif path.is_dir():
        for inner in sorted(path.iterdir()):
            if not (inner.is_dir() and inner.name.startswith(".")):  # left by a killed process
                yield from _files(inner)
    elif path.is_file():
        yield path


def write_sums(folder: Path, sums: dict[str, str]) -> None:
    """Write `checksums.json`, with a SHA-256 of all its entries under its own name."""
    write_json(folder / FILE, {**sums, FILE: _sum_of(sums)})


def read_sums(folder: Path, remedy: str = "") -> dict[str, str] | None:
    """Return the entries of `checksums.json`; None if the folder has no such file.

    Args:
        folder: the sealed folder.
        remedy: advice on what to do, for the message.

    Raises:
        Damaged: the file is not what was written.
    """
    try:
        sums = read_json(folder / FILE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise Damaged(f"{folder}: damaged: {FILE} is not JSON.", remedy) from error
    own_sum = sums.pop(FILE, None)
    if own_sum not in (None, _sum_of(sums)):  # an earlier version did not write it
        raise Damaged(f"{folder}: damaged: {FILE} differs from the SHA-256 of its own entries.", remedy)
    return sums


def _sum_of(sums: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()


@contextmanager
def rewriting(folder: Path, names: Collection[str], remedy: str = "") -> Iterator[None]:
    """Allow files of a sealed folder to be rewritten; they are unlisted meanwhile, so a kill leaves no wrong SHA-256.

    Args:
        folder: the sealed folder.
        names: paths of files in it.
        remedy: advice if `checksums.json` is damaged, for the message.

    Raises:
        Damaged: `checksums.json` is damaged.
    """
    sums = read_sums(folder, remedy) or {}
    others = {name: sum_ for name, sum_ in sums.items() if name not in names}
    if others != sums:
        write_sums(folder, others)
    yield
    write_sums(folder, others | sums_of(folder, names))


def check_file(folder: Path, name: str, sums: dict[str, str], remedy: str = "") -> None:
    """Check a file against the `checksums.json` of its folder.

    Args:
        folder: the sealed folder.
        name: path of the file in it.
        sums: entries that `read_sums` returned.
        remedy: advice on what to do, for the message.

    Raises:
        Damaged: the file is missing, has changed, or is not listed.
    """
    if not (folder / name).is_file():
        raise Damaged(f"{folder}: damaged: {name} is missing.", remedy)
    if name not in sums:
        raise Damaged(f"{folder}: damaged: {name} is not listed in {FILE}.", remedy)
    if sha256(folder / name) != sums[name]:
        raise Damaged(f"{folder}: damaged: {name} differs from its SHA-256 in {FILE}.", remedy)


def verify_checksums(folder: Path, remedy: str = "") -> None:
    """Check that a folder is unchanged since `write_checksums`.

    Args:
        folder: a folder that contains files only.
        remedy: advice on what to do, for the message.

    Raises:
        Damaged: a file is missing, has changed or is not listed.
    """
    sums = read_sums(folder, remedy)
    if sums is None:
        raise Damaged(f"{folder}: no {FILE}, so the folder is damaged or of an earlier version.", remedy)
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")} - {FILE}
    for name in sorted(sums.keys() | names):
        check_file(folder, name, sums, remedy)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
