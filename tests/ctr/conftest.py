"""A shared run of the small experiment, and a run of a plainer model that is killed and resumed."""

import errno
import io
import json
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
import tf_keras
from rich.console import Console

import ctr
from ctr.config.experiment import load_experiment
from ctr.runs.run import Run
from ctr.training.checkpoint import CheckpointWriter
from tests.conftest import write_clicks, write_config
from tests.ctr.undrawn import undrawn

EVERY = "training.checkpoint={every: {steps: 3}}"  # an epoch has 12 steps
BY_STEPS = [
    "training.validate_every={steps: 5}",
    "training.reduce_lr_on_plateau={factor: 0.5}",
    "training.early_stopping.patience=9",
]
PLAIN_MODEL = "{type: dnn, hidden: [4], dropout: 0.1, initializer: {tables: 0.3}}"


def write_plain_config(path, data):
    """Write the small experiment with three of its features and a plain MLP, which takes two thirds of the time."""
    text = re.sub("    (history|hour): .*\n", "", write_config(path, data).read_text())
    path.write_text(re.sub("model: .*", f"model: {PLAIN_MODEL}", text))
    return path


def lines_of(run, kind):
    """Return the lines of metrics.jsonl of a kind, `train` or `valid`."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


class Killed(BaseException):
    """Exception that ends a run immediately, like SIGKILL."""


class After(tf_keras.callbacks.Callback):
    """Callback that calls a function after a step."""

    def __init__(self, step, action):
        super().__init__()
        self.after, self.action = step, action

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == self.after:
            self.action()


def kill():
    raise Killed


def refuse_writes(monkeypatch, *folders):
    """Refuse new files in these folders, as a read-only disk does even to root."""
    opened, made = Path.open, tempfile.TemporaryFile

    def temporary_file(*arguments, dir=None, **named):
        if dir is not None and Path(dir).absolute() in folders:
            raise OSError(errno.EROFS, "Read-only file system", str(dir))
        return made(*arguments, dir=dir, **named)

    def open_(path, mode="r", *arguments, **named):
        if set(mode) & set("wax+") and path.parent in folders:
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return opened(path, mode, *arguments, **named)

    monkeypatch.setattr(tempfile, "TemporaryFile", temporary_file)
    monkeypatch.setattr(Path, "open", open_)


class DiskChanges:
    """Counter of calls that change the disk, which kills the run at one of them.

    Args:
        monkeypatch: pytest's fixture.
        calls: owner and name of each function to count.
    """

    def __init__(self, monkeypatch, *calls):
        self.count, self.last = 0, None
        for owner, name in calls:
            monkeypatch.setattr(owner, name, self._watched(getattr(owner, name)))

    def kill_at(self, last=None):
        """Count from 0, and kill the run at the call with this number; None never kills it."""
        self.count, self.last = 0, last

    def _watched(self, function):
        def watched(*arguments, **named):
            self.count += 1
            if self.last is not None and self.count >= self.last:  # a killed process writes nothing
                raise Killed
            return function(*arguments, **named)

        return watched


@pytest.fixture(scope="session", autouse=True)
def _no_wait_for_the_disk():
    """Let `os.fsync` return at once: a run calls it fifty times, and no test cuts the power."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def small_config(tmp_path_factory):
    """Return the path of the small experiment's YAML file, which tests share with its data and do not change."""
    folder = tmp_path_factory.mktemp("small")
    return write_config(folder / "tiny.yaml", write_clicks(folder / "clicks"))


@pytest.fixture(scope="session")
def small_run(small_config):
    """Return the folder of a run of the small experiment; a test that changes it uses `trained`."""
    run = small_config.parent / "run"
    with undrawn():
        ctr.train(load_experiment(small_config), run)
    return run


@pytest.fixture
def trained(small_run, tmp_path):
    """Return the folder of a copy of the small run."""
    return Path(shutil.copytree(small_run, tmp_path / "run"))


@pytest.fixture(scope="module")
def undrawn_plots():
    """Leave out the plots of this module's reports."""
    with undrawn():
        yield


@contextmanager
def saving_all():
    """Save every checkpoint that is due, also while another is being written, when it would be skipped otherwise."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(CheckpointWriter, "is_saving", False)
        yield


@pytest.fixture(scope="module")
def every_checkpoint_is_saved():
    """Apply `saving_all` to every run of this module."""
    with saving_all():
        yield


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Return a folder with data and config of the plain experiment, which tests do not change."""
    folder = tmp_path_factory.mktemp("runs")
    write_plain_config(folder / "tiny.yaml", write_clicks(folder / "clicks"))
    return folder


@pytest.fixture(scope="module")
def experiment_of(place, every_checkpoint_is_saved):
    return lambda *settings: load_experiment(place / "tiny.yaml", [EVERY, *settings])


def ending(run):
    """Return all results that interruptions must not change."""
    report = json.loads((run / "report.json").read_text())
    files = [run / "metrics.jsonl", run / "checkpoints" / "best.json", *(run / "scores").iterdir()]
    measured = {key: value for key, value in report.items() if key != "seconds"}
    return measured | {path.name: path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def undisturbed(place):
    """Return a function from settings to the ending of an uninterrupted run; each run is trained once."""
    endings = {}

    def of(*settings):
        if settings not in endings:
            run = place / f"undisturbed-{len(endings)}"
            with saving_all(), undrawn():
                ctr.train(load_experiment(place / "tiny.yaml", [EVERY, *settings]), run)
            endings[settings] = ending(run)
        return endings[settings]

    return of


@pytest.fixture(scope="session")
def killed(place):
    """Return a run killed after 8 steps, with checkpoints of steps 3 and 6, which tests do not change."""
    with saving_all(), pytest.raises(Killed):
        ctr.train(
            load_experiment(place / "tiny.yaml", [EVERY, *BY_STEPS]), place / "killed", callbacks=[After(8, kill)]
        )
    return place / "killed"


@pytest.fixture
def unfinished(killed, tmp_path):
    """Return a copy of the killed run."""
    return Path(shutil.copytree(killed, tmp_path / "run"))


def flip(path):
    """Flip one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def resealed(folder):
    """Write new checksums for the current content of a folder, as a deliberate editor would, and return it."""
    (folder / "checksums.json").unlink(missing_ok=True)
    Run(folder).seal()
    return folder


def resume(experiment, run):
    """Resume a run and return the output."""
    console = Console(file=io.StringIO(), width=200)
    ctr.train(experiment, run, resume=True, console=console)
    return console.file.getvalue()


def resume_up_to_training(experiment, run):
    """Resume a run, kill it just before its first step, and return the output."""
    console = Console(file=io.StringIO(), width=200)
    at_once = tf_keras.callbacks.LambdaCallback(on_train_begin=lambda logs: kill())
    with pytest.raises(Killed):
        ctr.train(experiment, run, resume=True, console=console, callbacks=[at_once])
    return console.file.getvalue()
