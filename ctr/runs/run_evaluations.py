"""Evaluations in a run folder: listed, and removed once the run has other weights."""

import os
import shutil
from pathlib import Path

from ctr.errors import ConfigError
from ctr.runs.files import read_json
from ctr.runs.folders import REPORT
from ctr.schema.codec import kind_of

FOLDER = "evaluations"
_REMOVED = ".removed"


def evaluations_in(run_folder: Path) -> list[Path]:
    """Return the folders in `evaluations/` that hold an evaluation, sorted; other files there are a user's own."""
    folder = run_folder / FOLDER
    return [path for path in sorted(folder.iterdir()) if _is_evaluation(path)] if folder.is_dir() else []


def remove_evaluations(run_folder: Path) -> None:
    """Delete every evaluation in `evaluations/`, and the folder if it is then empty and not a link.

    An evaluation disappears at once: it is renamed before its files are deleted. What a killed process has left of
    one is deleted, too.

    Raises:
        OSError: a file cannot be deleted.
    """
    folder = run_folder / FOLDER
    for path in evaluations_in(run_folder):
        os.replace(path, path.with_name(f".{path.name}{_REMOVED}"))
    for path in folder.glob(f".*{_REMOVED}"):
        shutil.rmtree(path)
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()


def _is_evaluation(path: Path) -> bool:
    if path.is_symlink() or path.name.startswith(".") or not (path / REPORT).is_file():
        return False
    try:
        return kind_of(read_json(path / REPORT)) == "evaluation"  # read unchecked: it only tells whose folder it is
    except ConfigError:
        return False
