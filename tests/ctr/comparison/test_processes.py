"""`ctr compare` as a user runs it: runs in separate processes, killed and resumed."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from kill_and_compare import results, start

from tests.conftest import THREADS
from tests.ctr.comparison.comparisons import ADAGRAD, compared_anew

pytestmark = pytest.mark.slow
STUDY = {
    "name": "study",
    "experiment": "tiny.yaml",
    "settings": {"training.threads": THREADS, "training.checkpoint": {"every": {"steps": 5}}},
    "axes": {"sparse": {"base": {}, "adagrad": ADAGRAD}},
    "classical_models": ["trees"],
    "seeds": [3],
}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Folder with the small experiment, a study of it, and an undisturbed comparison."""
    folder = tmp_path_factory.mktemp("processes")
    compared_anew(folder, **STUDY)
    return folder


def workers_of(out):
    """Return the process ids of runs in a comparison's folder."""
    found = subprocess.run(["pgrep", "-f", f"ctr.jobs.worker {out}/"], capture_output=True, text=True)
    return [int(number) for number in found.stdout.split()]


def wait_for(condition, seconds=300):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_killed_and_begun_again_it_ends_as_if_left_alone(here):
    out = here / "killed"
    process = start(here / "study.yaml", [], out)
    wait_for(lambda: list(out.glob("runs/*/*/checkpoints/step-*")))
    process.kill()
    process.communicate()
    wait_for(lambda: not workers_of(out))
    assert not (out / "comparison.json").exists()
    assert start(here / "study.yaml", [], out).wait() == 0
    assert results(out) == results(here / "out")


BOOM = """
import tf_keras


class Boom(tf_keras.callbacks.Callback):
    def __init__(self, run):
        super().__init__()
        self.run = run

    def on_epoch_end(self, epoch, logs):
        if "adagrad" in self.run:
            raise ZeroDivisionError("boom")
"""


def test_one_that_raises_is_a_row_and_a_file_called_as_a_package_is_no_matter(here):
    (here / "my_callbacks.py").write_text(BOOM)
    (here / "models.py").write_text("raise RuntimeError('not this one')")
    out = here / "raising"
    shutil.copytree(here / "out", out)
    shutil.rmtree(out / "runs" / "adagrad")
    command = [sys.executable, "-P", "-m", "ctr.cli", "compare", "study.yaml", "--out", str(out)]
    done = subprocess.run(
        [*command, "--callback", "my_callbacks:Boom"],
        cwd=here,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    base, adagrad, trees = json.loads((out / "comparison.json").read_text())["variants"]
    (failure,) = adagrad["failures"]
    assert (failure["run"], failure["code"], failure["reason"]) == ("adagrad, seed 3", 1, "ZeroDivisionError: boom")
    assert base["failures"] == trees["failures"] == []
    undisturbed = json.loads((here / "out" / "comparison.json").read_text())["variants"][0]
    assert base["seeds"] == undisturbed["seeds"]
    assert "adagrad, seed 3: failed: ZeroDivisionError: boom" in done.stdout
