"""The run folder: what is in it, and writing to it so that nothing half-written is left behind."""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctr.errors import ConfigError

if TYPE_CHECKING:
    from ctr.experiment import Experiment  # it knows every model and optimizer, so it imports TensorFlow

PACKAGES = ("tensorflow", "tf-keras", "tensorflow-recommenders", "numpy", "pandas", "pyarrow", "scipy", "pydantic")


class Run:
    """One run's folder.

    config.yaml       the resolved config           checkpoints/      the best weights and optimizer state
    encoder/          the fitted features           reference/        what later data is compared with
    metrics.jsonl     one object a line, no clocks  timing.jsonl      clock readings
    scores/           one Parquet file per set      report.json       metrics and PSI of each set
    environment.json  versions and git commit       curves.json       what report.html draws
    evaluations/      of other data, one each       report.html       all of it; report.md its gist
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(os.path.normpath(folder))

    @property
    def exists(self) -> bool:
        """Whether the folder holds a run."""
        return (self.folder / "config.yaml").is_file()

    @property
    def is_finished(self) -> bool:
        """Whether the run has its report."""
        return (self.folder / "report.json").is_file()

    def report(self) -> dict[str, Any]:
        """What report.json says; ConfigError if there is none."""
        if not self.is_finished:
            state = (
                "an unfinished run; train it again with --overwrite"
                if self.exists
                else "no run here; train one with `ctr train`"
            )
            raise ConfigError(f"{self.folder}: {state}")
        return read_json(self.folder / "report.json")

    def check_free(self, overwrite: bool) -> None:
        """Raise ConfigError unless a new run may go here."""
        if self.exists and not overwrite:
            raise ConfigError(f"{self.folder} already holds a run: choose another folder with --run, or --overwrite it")
        if not self.exists and self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise ConfigError(f"{self.folder} exists and is not a run: choose another folder with --run")
        check_writable(self.folder)

    def create(self, experiment: "Experiment") -> None:
        """Make the folder anew, with config.yaml and environment.json; it is there whole or not at all.

        A run that stood there is kept aside until `settle` deletes it or `abandon` puts it back; one that a killed run
        has kept aside stays there.
        """
        partial = self._beside("partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write_json(partial / "environment.json", environment())
        (partial / "config.yaml").write_text(experiment.to_yaml(), encoding="utf-8")
        if self._beside("replaced").exists() and not self.is_finished:
            shutil.rmtree(self.folder, ignore_errors=True)
        elif self.exists:
            self.settle()
            os.replace(self.folder, self._beside("replaced"))
        os.replace(partial, self.folder)

    def settle(self) -> None:
        """Delete the run that this one replaces."""
        shutil.rmtree(self._beside("replaced"), ignore_errors=True)

    def abandon(self) -> None:
        """Put back the run that this one was to replace; if there is none, keep a checkpoint, else delete this run."""
        is_replacing = self._beside("replaced").exists()
        if is_replacing or not (self.folder / "checkpoints" / "best.json").exists():
            shutil.rmtree(self.folder, ignore_errors=True)
        if is_replacing:
            os.replace(self._beside("replaced"), self.folder)

    def _beside(self, purpose: str) -> Path:
        return self.folder.with_name(f".{self.folder.name}.{purpose}")

    def append(self, file: str, line: dict[str, Any]) -> None:
        """Add a line to `metrics.jsonl` or `timing.jsonl`."""
        with (self.folder / file).open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")


def check_writable(folder: Path) -> None:
    """Raise ConfigError unless `folder` is one, or can be made."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ConfigError(f"{folder}: cannot be written, because {there} is not a folder that can be written to")


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
    there = target / "report.json"
    if not there.is_file() or not is_of_kind(read_json(there)):
        raise ConfigError(f"{target} exists and is not {kind}: choose another folder with --out")
    if not overwrite:
        raise ConfigError(f"{target} exists: choose another folder with --out, or --overwrite it")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `target` once it is whole."""
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(target, ignore_errors=True)
    os.replace(partial, target)


def write_text(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all; what UTF-8 cannot hold, a path's stray byte, is escaped."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    os.replace(partial, path)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file that is there whole or not at all."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` wrote.

    Raises:
        ConfigError: the file is damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: damaged: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: damaged: holds no mapping")
    return found


def environment() -> dict[str, Any]:
    """Versions of Python and of the packages that decide results, and the git commit."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "packages": versions, "git_commit": _git_commit()}


def _git_commit() -> str | None:
    """The commit of the checkout that runs, if it is one."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() if found.returncode == 0 else None
