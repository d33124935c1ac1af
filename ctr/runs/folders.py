"""Folders that replace others once they are complete."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ctr.errors import ConfigError
from ctr.runs.checksums import write_checksums
from ctr.runs.files import check_writable, name_folder, read_json, remove
from ctr.runs.lock import lock_folder

REPORT = "report.json"


def target_folder(out: str | Path) -> Path:
    """Return the folder that a user named, as named; if it is a link, `.` or `..`, the folder that this is.

    `new_folder` replaces the folder, so it needs a name, and a link would be replaced instead of its target.
    """
    path = Path(os.path.normpath(out))
    return path.resolve() if path.is_symlink() or not path.name.strip(".") else path


def check_replaceable(target: Path, overwrite: bool, kind: str, is_of_kind: Callable[[dict[str, Any]], bool]) -> None:
    """Raise ConfigError unless a report can be written to `target`; only a report of the same kind is replaced.

    Args:
        target: a folder.
        overwrite: replace an existing report.
        kind: the kind of the report, such as "an evaluation".
        is_of_kind: function that returns True for a report.json of this kind.
    """
    check_writable(target)
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    existing = target / REPORT  # read unchecked: it only tells whether the folder can be replaced
    if not existing.is_file() or not is_of_kind(read_json(existing)):
        raise ConfigError(f"{target}: the folder exists and is not {kind}. Choose another folder.")
    if not overwrite:
        raise ConfigError(
            f"{target}: already exists. Choose another folder, or add --overwrite (in Python overwrite=True)."
        )


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield a folder to fill; it gets checksums and replaces `target` when it is complete.

    Raises:
        ConfigError: another process is writing to it.
    """
    partial = target.with_name(f".{target.name}.partial")
    with lock_folder(target):
        remove(partial)
        partial.mkdir()
        try:
            yield partial
            write_checksums(partial)
        except BaseException as error:
            name_folder(error, target)
            remove(partial)
            raise
        remove(target)
        os.replace(partial, target)
