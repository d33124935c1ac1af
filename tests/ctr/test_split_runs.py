"""Whole runs on splits by hash and with a gap: the rows of each split, and the places that count the gap."""

import io
import json
import os

import pandas as pd
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import ctr
from ctr.jobs.inspect import inspect
from tests.conftest import write_clicks
from tests.ctr.conftest import EVERY, After, Killed, kill, resume
from tests.ctr.report.pages import page_of

pytestmark = pytest.mark.usefixtures("undrawn_plots", "every_checkpoint_is_saved")
WITH_GAP = "data.split={by: time, column: ts, fractions: [0.6, 0.2, 0.2], gap: {minutes: 90}}"
"""Rows are a minute apart in three files of 400 rows: the gaps are rows 630 to 719 and 870 to 959."""
ROWS = {"train": 630, "valid": 150, "test": 240, "gap": 180}


def test_the_rows_of_a_gap_are_counted_and_shown(experiment_of, tmp_path):
    console = Console(file=io.StringIO(), width=200)
    report = ctr.train(experiment_of(WITH_GAP, "training.epochs=1"), tmp_path / "run", console=console)
    assert (
        "train: 630 examples, valid: 150 examples, test: 240 examples, gap: 180 examples\n" in console.file.getvalue()
    )
    for files in (report["files"], json.loads((tmp_path / "run" / "data.json").read_text())):
        assert {name: sum(file["rows"] for file in of_split) for name, of_split in files.items()} == ROWS
    assert set(report["metrics"]) == {"train", "valid", "test"}
    assert report["training"]["rows"] == 630
    assert any("Files of gap: 180 examples from 2 files" in text for text in page_of(tmp_path / "run").texts)
    minutes = {name: times_of(tmp_path / "run" / "scores" / f"{name}.parquet") for name in ("valid", "test")}
    assert minutes == {"valid": list(range(720, 870)), "test": list(range(960, 1200))}


def times_of(path):
    """Return the minute of each example of a score file."""
    return [int(time.timestamp()) // 60 for time in pq.read_table(path)["ts"].to_pylist()]


def test_inspect_counts_the_rows_of_a_gap(experiment_of, tmp_path):
    console = Console(file=io.StringIO(), width=120)
    inspect(experiment_of(WITH_GAP), tmp_path / "run", console)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert ["gap", "2", "180"] in lines
    assert ["train", "2", "630"] in [line[:3] for line in lines]


@pytest.fixture
def stopped(experiment_of, tmp_path):
    """Return experiment, data and folder of a killed run with a gap; part-0 is training data alone."""
    clicks = write_clicks(tmp_path / "clicks")
    experiment = experiment_of(f"data.path={clicks}", WITH_GAP, EVERY, "training.epochs=2")
    with pytest.raises(Killed):
        ctr.train(experiment, tmp_path / "run", callbacks=[After(8, kill)])
    return experiment, clicks, tmp_path / "run"


def test_a_run_with_a_gap_resumes_to_the_same_end_although_files_were_touched(stopped, tmp_path):
    experiment, clicks, run = stopped
    for path in clicks.iterdir():
        os.utime(path)
    assert "comparing" in resume(experiment, run)
    ctr.train(experiment, tmp_path / "undisturbed")
    for name in ("metrics.jsonl", "scores/test.parquet"):
        assert (run / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()


def test_a_split_by_hash_has_no_user_in_two_splits_and_no_time_for_psi(experiment_of, tmp_path):
    split = "data.split={by: hash, column: item, fractions: [0.6, 0.2, 0.2]}"
    seeds = {}
    for seed in (3, 4):
        run = tmp_path / str(seed)
        report = ctr.train(experiment_of(split, "data.keep=[item]", "training.epochs=1", f"seed={seed}"), run)
        scored = {name: pd.read_parquet(run / "scores" / f"{name}.parquet") for name in ("valid", "test")}
        seeds[seed] = {name: frozenset(frame["item"]) for name, frame in scored.items()}
        assert report["psi"].get("over_time") is None
    assert not seeds[3]["valid"] & seeds[3]["test"]
    assert seeds[3] == seeds[4]
    assert sum(len(frame) for frame in scored.values()) + report["training"]["rows"] == 1200
