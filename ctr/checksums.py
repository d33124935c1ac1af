"""Folders of which every bit counts: sealed by the SHA-256 of their files, checked before they are used."""

import hashlib
from pathlib import Path

from ctr.errors import ConfigError
from ctr.run import read_json, sync, write_json

FILE = "checksums.json"


def seal(folder: Path) -> None:
    """Write `checksums.json`: file -> SHA-256 of its bytes; when this returns, all of the folder is on the disk."""
    sums = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
    for name in sums:
        sync(folder / name)
    write_json(folder / FILE, sums)


def check_sealed(folder: Path) -> None:
    """See that a folder is as `seal` left it.

    Raises:
        ConfigError: a file is missing, has changed or is none of the folder's.
    """
    try:
        sums = read_json(folder / FILE)
    except FileNotFoundError as error:
        raise ConfigError(f"{folder}: has no {FILE}, so it is damaged or of an earlier version") from error
    there = {path.name for path in folder.iterdir()} - {FILE}
    for name in sorted(sums.keys() | there):
        if name not in there:
            raise ConfigError(f"{folder}: damaged: {name} is missing")
        if _sha256(folder / name) != sums.get(name):
            raise ConfigError(f"{folder}: damaged: {name} is not what was written; its SHA-256 differs from {FILE}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
