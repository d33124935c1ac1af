"""Atomic writes of files, reads of JSON, and errors of a failing disk that name the folder."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ctr.errors import ConfigError


def check_writable(folder: Path) -> None:
    """Raise ConfigError unless `folder` is a writable folder or can be created."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if (refusal := _refusal(existing)) is not None:
        raise ConfigError(
            f"{folder}: cannot write, because {existing} is not a writable folder. Choose another folder."
        ) from refusal


def is_read_only(folder: Path) -> bool:
    """Return True if nothing can be written into an existing folder or next to it."""
    return all(_refusal(path) is not None for path in (folder, folder.absolute().parent))


def _refusal(folder: Path) -> OSError | None:
    """Return the error of writing into an existing folder; None if it can be written.

    A file without a name is created and deleted there, because access rights do not say all: nobody can create a file
    in /proc, and a network disk can refuse even root.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error


def name_folder(error: BaseException, folder: Path) -> None:
    """Add the folder to an OSError without a file name: for a full disk, neither Python nor Arrow sets it."""
    if isinstance(error, OSError) and error.errno is not None and error.filename is None:
        error.strerror, error.filename = os.strerror(error.errno), str(folder)


def remove(path: Path) -> None:
    """Delete a file, a folder with its contents, or a link but not its target; do nothing if the path is missing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    elif path.is_symlink() or path.exists():  # a read-only disk refuses even to delete a missing file
        path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a file atomically, and escape what UTF-8 cannot encode, such as a stray byte of a path."""
    partial = path.with_name(f".{path.name}.partial")
    remove(partial)
    try:
        with partial.open("x", encoding="utf-8", errors="backslashreplace") as out:  # does not follow a link
            out.write(text)
        sync(partial)
        os.replace(partial, path)
    except OSError as error:
        name_folder(error, path)
        remove(partial)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until the bytes of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the mapping in a JSON file.

    Raises:
        ConfigError: the file is damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: damaged: invalid JSON ({error}). Restore the file.") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: damaged: expected a JSON object. Restore the file.")
    return value
