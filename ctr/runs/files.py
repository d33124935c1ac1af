"""Write files whole or not at all, read them, and name the folder in errors of a failing disk."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from ctr.errors import ConfigError


def check_writable(folder: Path) -> None:
    """Raise ConfigError unless `folder` is one, or can be made."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ConfigError(f"{folder}: cannot be written, because {there} is not a folder that can be written to")


def name_folder(error: BaseException, folder: Path) -> None:
    """Say in an OSError where it was: of a full disk neither Python nor Arrow tells the file."""
    if isinstance(error, OSError) and error.errno is not None and error.filename is None:
        error.strerror, error.filename = os.strerror(error.errno), str(folder)


def remove(path: Path) -> None:
    """Delete a file, a folder with its contents, or a link but not its target; do nothing if the path is missing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    elif path.is_symlink() or path.exists():  # on a read-only disk not even what is not there can be deleted
        path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, escaping what UTF-8 cannot hold, such as a stray byte of a path."""
    partial = path.with_name(f".{path.name}.partial")
    remove(partial)
    try:
        with partial.open("x", encoding="utf-8", errors="backslashreplace") as out:  # through no link
            out.write(text)
        sync(partial)
        os.replace(partial, path)
    except OSError as error:
        name_folder(error, path)
        remove(partial)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until the disk has a file's bytes, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the mapping that `write_json` wrote.

    Raises:
        ConfigError: the file is damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: damaged: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: damaged: holds no mapping")
    return found
