"""`ctr compare` with `tuning.stop_losers`: the same trials, best trials and results in any number of processes."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from kill_and_compare import results

from tests.conftest import THREADS
from tests.ctr.comparison.comparisons import InThisProcess, compare, compared_anew, variant_named, write_study
from tests.ctr.comparison.test_processes import wait_for, workers_of

pytestmark = pytest.mark.slow
RATES = {
    "optimizers.dense.learning_rate": {"tune": [1e-6, 0.03]},
    'optimizers.sparse."*".learning_rate': {"tune": [1e-4, 1]},
}
STUDY = {
    "name": "study",
    "experiment": "tiny.yaml",
    "settings": {"training.threads": THREADS, "training.epochs": 8},
    "axes": {"batch": {"64": {**RATES}, "48": {**RATES, "training.batch_size": 48}}},
    "tuning": {"trials": 4, "seed": 0, "stop_losers": True},
    "seeds": [3],
}
DELAYS = """
import time

import tf_keras


class Delay(tf_keras.callbacks.Callback):
    def __init__(self, run):
        super().__init__()
        self.seconds = 0.6 if "trial-1" in run else 0.2 if "trial-2" in run else 0.0

    def on_epoch_end(self, epoch, logs):
        time.sleep(self.seconds)
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Folder with the small experiment, a study of it, and a comparison in which every trial trained to its end."""
    folder = tmp_path_factory.mktemp("losers")
    compared_anew(folder, **STUDY)
    (folder / "delays.py").write_text(DELAYS)
    return folder


def ended(found):
    return {
        (variant["name"], trial["trial"]): trial["ended"]["validation"]
        for variant in found["variants"]
        for trial in variant["trials"]
        if trial["ended"] is not None
    }


def started(here, out, processes, *options):
    command = [sys.executable, "-P", "-m", "ctr.cli", "compare", "study.yaml", "--out", str(out)]
    return subprocess.Popen(
        [*command, "--processes", str(processes), *options],
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_the_best_trials_and_the_results_are_those_of_trials_that_all_trained_to_their_end(here, tmp_path, monkeypatch):
    found = json.loads((here / "out/comparison.json").read_text())
    assert ended(found)
    monkeypatch.setattr("ctr.jobs.compare.Pool", InThisProcess)
    monkeypatch.setattr(InThisProcess, "trained", trained := [])
    shutil.copytree(here / "out", tmp_path / "out")
    study = {**STUDY, "tuning": {"trials": 4, "seed": 0}}
    whole, _ = compare(write_study(here / "tiny.yaml", **study), tmp_path / "out")
    write_study(here / "tiny.yaml", **STUDY)
    assert trained == []
    assert (ended(whole), whole["study"]["tuning"]["stop_losers"]) == ({}, False)
    for variant in whole["variants"]:
        with_losers = variant_named(found, variant["name"])
        assert {key: value for key, value in variant.items() if key not in ("trials", "clock")} == {
            key: value for key, value in with_losers.items() if key not in ("trials", "clock")
        }
        for trial, other in zip(variant["trials"], with_losers["trials"], strict=True):
            assert (trial == other) == (other["ended"] is None)


def test_neither_processes_nor_delays_nor_a_kill_change_the_outcome(here):
    at_once, killed = here / "at_once", here / "killed"
    process = started(here, at_once, 3, "--callback", "delays:Delay")
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    expected = results(here / "out")
    assert results(at_once) == expected
    losers = [at_once / "runs" / name / f"trial-{trial}" for name, trial in ended(expected["comparison.json"])]
    stopped = [run for run in losers if not (run / "report.json").exists()]
    assert stopped
    assert all(list(run.glob("checkpoints/step-*")) for run in stopped)
    assert printed.count(": ended after validation ") >= len(stopped)
    assert not list(at_once.glob("runs/*/*.failed.json"))

    process = started(here, killed, 3)
    wait_for(
        lambda: list(killed.glob("runs/*/trial-2/metrics.jsonl")) and list(killed.glob("runs/*/trial-1/report.json"))
    )
    process.kill()
    process.communicate()
    wait_for(lambda: not workers_of(killed))
    process = started(here, killed, 1)
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    assert results(killed) == expected

    command = [
        sys.executable,
        "-P",
        "-m",
        "ctr.cli",
        "train",
        str(stopped[0] / "config.yaml"),
        "--run",
        str(stopped[0]),
    ]
    subprocess.run([*command, "--resume"], check=True, capture_output=True)  # by hand
    process = started(here, at_once, 2)
    printed, _ = process.communicate()
    assert " to train, " not in printed
    assert results(at_once) == expected


def test_without_the_setting_stopped_trials_train_to_their_end(here, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(here / "at_once", out)
    process = started(here, out, 2, "--set", "tuning.stop_losers=false")
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    reports = sorted(path.relative_to(out) for path in out.glob("runs/*/trial-*/report.json"))
    assert len([path for path in reports if "seed" not in str(path)]) == 8
    whole = [(here / "out" / path).parent / "metrics.jsonl" for path in reports]
    assert [path.read_bytes() for path in whole] == [
        (out / path).parent.joinpath("metrics.jsonl").read_bytes() for path in reports
    ]
