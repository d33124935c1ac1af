"""Progress of a comparison in the terminal: bars in a terminal, and a line for each run that ended."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from ctr.comparison import progress as watch_module
from ctr.comparison.pool import Failure
from ctr.comparison.progress import ComparisonProgress
from ctr.runs.run import Run

SAVED_REPORT = Path(__file__).parents[1] / "report" / "version_0_4" / "run.json"


@pytest.fixture
def run(tmp_path):
    """A run of three epochs whose first validation is written, the second half so."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text("name: x")
    lines = [{"kind": "train", "epoch": 1}, {"kind": "valid", "epoch": 1, "auc": 0.81234}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"kind": "va')
    training = SimpleNamespace(epochs=3)
    experiment = SimpleNamespace(training=training)
    variant = SimpleNamespace(classical_model=None)
    return SimpleNamespace(
        label="[ftrl], seed 1", variant=variant, folder=folder, saved=Run(folder), experiment=experiment
    )


def watched(run, failure, is_terminal, monkeypatch, lost=None):
    monkeypatch.setattr(watch_module, "REFRESH_SECONDS", 0)
    console = Console(file=io.StringIO(), width=100, force_terminal=is_terminal, color_system=None)
    with ComparisonProgress(console, total=5, done=3) as watch:
        watch.started(run)
        watch.waiting()
        if is_terminal:
            watch._bars.refresh()
        watch.ended(run, failure, lost)
    return console.file.getvalue()


def test_a_terminal_shows_where_each_run_is(run, monkeypatch):
    shown = watched(run, Failure(3, "step 7"), True, monkeypatch)
    assert "all runs" in shown
    assert "[ftrl], seed 1" in shown
    assert "valid AUC 0.81234" in shown
    assert "1/3" in shown


def test_a_file_gets_a_line_for_each_end(run, monkeypatch):
    assert watched(run, Failure(3, "step 7"), False, monkeypatch).startswith(
        "   4/5  [ftrl], seed 1: failed: step 7  (0."
    )
    report = json.loads(SAVED_REPORT.read_text())
    report["metrics"]["valid"] |= {"auc": 0.8, "log_loss": 0.4}
    report["metrics"]["test"]["auc"] = 0.7
    (run.folder / "report.json").write_text(json.dumps(report))
    run.saved.seal()
    (line,) = watched(run, None, False, monkeypatch).splitlines()
    assert line.startswith("   4/5  [ftrl], seed 1: valid AUC 0.80000, log loss 0.40000  (")
    assert "0.70000" not in line  # test data is looked at once, at the end


def test_a_losing_trial_gets_the_numbers_that_ended_it(run, monkeypatch):
    ending = {"validation": 3, "validations": 10, "metric": "log_loss", "value": 0.5, "bound": 0.41, "best": 0.4}
    lost = SimpleNamespace(ending={**ending, "best_trial": 2})
    shown = watched(run, None, False, monkeypatch, lost)
    expected = "log loss 0.50000, at least 0.41000 by extrapolation, trial 2 has 0.40000"
    assert f"[ftrl], seed 1: ended after validation 3 of 10: {expected}" in " ".join(shown.split())


def test_a_run_that_has_not_begun_is_no_matter(run, monkeypatch):
    (run.folder / "metrics.jsonl").unlink()
    assert "valid AUC" not in watched(run, Failure(1, "x"), True, monkeypatch)
