"""Folders of which every bit counts: sealed by the SHA-256 of their files, checked before they are used."""

import hashlib
from pathlib import Path

from ctr.errors import ConfigError
from ctr.files import read_json, sync, write_json

FILE = "checksums.json"


def seal(folder: Path) -> None:
    """Write `checksums.json`: file -> SHA-256 of its bytes; when this returns, all of the folder is on the disk."""
    sums = {path.name: sha256(path) for path in sorted(folder.iterdir())}
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
    there = {path.name for path in folder.iterdir() if not path.name.startswith(".")} - {FILE}  # nothing of ours
    for name in sorted(sums.keys() | there):
        if name not in there:
            raise ConfigError(f"{folder}: damaged: {name} is missing")
        if name not in sums:
            raise ConfigError(f"{folder}: damaged: {name} is none of its files")
        if sha256(folder / name) != sums[name]:
            raise ConfigError(f"{folder}: damaged: {name} is not what was written; its SHA-256 differs from {FILE}")


def sha256(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
