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

LINES = ("metrics.jsonl", "timing.jsonl")
PACKAGES = ("tensorflow", "tf-keras", "tensorflow-recommenders", "numpy", "pandas", "pyarrow", "scipy", "pydantic")


class Run:
    """One run's folder.

    config.yaml       the resolved config           checkpoints/      the best and the last, with optimizer state
    encoder/          the fitted features           reference/        what later data is compared with
    metrics.jsonl     one object a line, no clocks  timing.jsonl      clock readings
    scores/           one Parquet file per set      report.json       metrics and PSI of each set
    environment.json  versions and git commit       curves.json       what report.html draws
    data.json         files and rows of each set    report.html       all of it; report.md its gist
    warm_start.json   what another run gave, if any
    evaluations/      of other data, one each       diverged/         the step at which training ended, for `ctr replay`
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
        """What report.json says; ConfigError if there is none, or it is damaged."""
        if not self.is_finished:
            state = (
                "an unfinished run; go on with `ctr train CONFIG --resume`, or train it again with --overwrite"
                if self.exists
                else "no run here; train one with `ctr train`"
            )
            raise ConfigError(f"{self.folder}: {state}")
        report = read_json(self.folder / "report.json")
        if not isinstance(report.get("psi"), dict):
            raise ConfigError(f"{self.folder / 'report.json'}: damaged: holds no report")
        return report

    def warm_start(self) -> dict[str, Any] | None:
        """What another run gave to begin with; None: nothing."""
        path = self.folder / "warm_start.json"
        return read_json(path) if path.is_file() else None

    def check_free(self, overwrite: bool) -> None:
        """Raise ConfigError unless a new run may go here."""
        if self.exists and not overwrite:
            other = "--overwrite it" if self.is_finished else "--resume or --overwrite it"
            raise ConfigError(f"{self.folder} already holds a run: choose another folder with --run, or {other}")
        if not self.exists and self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise ConfigError(f"{self.folder} exists and is not a run: choose another folder with --run")
        check_writable(self.folder)

    def create(self, experiment: "Experiment", described: dict[str, dict[str, Any] | None]) -> None:
        """Make the folder anew, with config.yaml and `<name>.json` for each of `described` that is not None.

        It is there whole or not at all.

        A run that stood there is kept aside until `settle` deletes it or `abandon` puts it back; one that a killed run
        has kept aside stays there.
        """
        partial = self._beside("partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, values in described.items():
            if values is not None:
                write_json(partial / f"{name}.json", values)
        (partial / "config.yaml").write_text(experiment.to_yaml(), encoding="utf-8")
        if self._beside("replaced").exists() and not self.is_finished:
            self.discard()
        elif self.exists and not (self.is_finished or self._has_checkpoint):
            self.discard()  # nothing that could be put back
        elif self.exists:
            self.settle()
            os.replace(self.folder, self._beside("replaced"))
        os.replace(partial, self.folder)

    def go_on(self, experiment: "Experiment", sizes: dict[str, int]) -> None:
        """Make an unfinished run what it was at a checkpoint.

        Args:
            experiment: becomes config.yaml.
            sizes: bytes of `metrics.jsonl` and `timing.jsonl` at the checkpoint, where they were; what follows goes.
        """
        write_text(self.folder / "config.yaml", experiment.to_yaml())
        for file in LINES:
            with (self.folder / file).open("ab") as lines:
                lines.truncate(sizes.get(file, 0))
        for measured in ("reference", "scores"):  # by a run that was killed while it measured
            shutil.rmtree(self.folder / measured, ignore_errors=True)

    def discard(self) -> None:
        """Delete this run."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def settle(self) -> None:
        """Delete the run that this one replaces."""
        shutil.rmtree(self._beside("replaced"), ignore_errors=True)

    def abandon(self) -> None:
        """Put back the run that this one was to replace; of this run keep a checkpoint or a step that diverged, if any.

        What is kept stays in its folder, or goes to `failed_folder` where another run is put back; the rest is deleted.
        """
        is_replacing = self._beside("replaced").exists()
        has_diverged = (self.folder / "diverged").is_dir()
        if is_replacing and has_diverged:
            os.replace(self.folder, self.failed_folder)
        elif is_replacing or not (has_diverged or self._has_checkpoint):
            self.discard()
        if is_replacing:
            os.replace(self._beside("replaced"), self.folder)

    @property
    def failed_folder(self) -> Path:
        """Where a run that has diverged will be: its folder, unless it replaces another run, which is then put back."""
        if not self._beside("replaced").exists():
            return self.folder
        names = (f"{self.folder.name}.diverged{suffix}" for suffix in ("", *(f"-{k}" for k in range(2, 1000))))
        return next(path for path in map(self.folder.with_name, names) if not path.exists())

    @property
    def _has_checkpoint(self) -> bool:
        return any(self.folder.glob("checkpoints/step-*"))

    def _beside(self, purpose: str) -> Path:
        return self.folder.with_name(f".{self.folder.name}.{purpose}")

    def append(self, file: str, line: dict[str, Any]) -> int:
        """Add a line to `metrics.jsonl` or `timing.jsonl`; returns the bytes that the file now has."""
        with (self.folder / file).open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
            return out.tell()


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
    sync(partial)
    os.replace(partial, path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until the disk has a file's bytes, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
    except (ValueError, RecursionError) as error:
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
