"""Folders that take the place of others once they are whole."""

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


def check_replaceable(target: Path, overwrite: bool, kind: str, is_of_kind: Callable[[dict[str, Any]], bool]) -> None:
    """Raise ConfigError unless a report may go to `target`; only an earlier one of its kind is ever replaced.

    Args:
        target: a folder.
        overwrite: replace what is there.
        kind: of the report, in words.
        is_of_kind: tells by report.json.
    """
    check_writable(target)
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    there = target / REPORT  # read unchecked: it only says whether this may be replaced
    if not there.is_file() or not is_of_kind(read_json(there)):
        raise ConfigError(f"{target} exists and is not {kind}: choose another folder with --out")
    if not overwrite:
        raise ConfigError(f"{target} exists: choose another folder with --out, or --overwrite it")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `target`, sealed, once it is whole.

    Raises:
        ConfigError: another process fills it.
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
