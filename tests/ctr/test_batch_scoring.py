"""`ctr evaluate` on data without labels: scores with pass-through columns, PSI, and no metrics."""

import io
import json
import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.config.experiment import load_experiment
from ctr.errors import ConfigError
from ctr.jobs.evaluate import name_of
from features import DataError
from tests.conftest import click_log, swap_two_labels
from tests.ctr.conftest import PLAIN_MODEL
from tests.ctr.undrawn import undrawn


@pytest.fixture(scope="module")
def weighing(small_config, tmp_path_factory):
    run = tmp_path_factory.mktemp("weighing") / "run"
    settings = ["training.epochs=1", "data.keep=[ts, user]", "data.weight=w"]
    with undrawn():
        ctr.train(load_experiment(small_config, settings), run)
    return run


@pytest.fixture
def run(weighing, tmp_path):
    """Return a copy of a trained run that passes `ts` and `user` through and weights rows."""
    return Path(shutil.copytree(weighing, tmp_path / "run"))


@pytest.fixture
def table():
    return click_log(300, seed=9)


def evaluate(run, table, tmp_path, name="fresh", is_drawn=False, **options):
    """Evaluate a table as a file and return (report, scores)."""
    path = tmp_path / f"{name}.parquet"
    pq.write_table(table, path, row_group_size=128)
    with nullcontext() if is_drawn else undrawn():
        report = ctr.evaluate(run, str(path), **options)
    return report, pq.read_table(run / "evaluations" / name / "scores" / f"{name}.parquet")


def test_the_scores_are_those_of_the_same_rows_with_labels(run, table, tmp_path):
    _, labelled = evaluate(run, table, tmp_path, "labelled")
    _, scored = evaluate(run, table.drop_columns(["clicked", "w"]), tmp_path)
    assert scored.column_names == ["logit", "score", "ts", "user"]
    assert scored.equals(labelled.drop_columns(["label", "weight"]))
    assert scored["user"].equals(table["user"])


@pytest.mark.parametrize("type_", [pa.null(), pa.int8(), pa.string()], ids=str)
def test_a_label_column_of_nulls_is_no_label(run, table, tmp_path, type_):
    _, scored = evaluate(run, table.drop_columns(["clicked"]), tmp_path)
    position = table.schema.get_field_index("clicked")
    unlabelled = table.set_column(position, "clicked", pa.nulls(len(table), type_))
    report, of_nulls = evaluate(run, unlabelled, tmp_path, "nulls")
    assert of_nulls.equals(scored)
    assert report["metrics"]["nulls"]["auc"] is None
    _, shown = evaluate_file(run, tmp_path / "nulls.parquet", overwrite=True)
    assert "only nulls in label column 'clicked': reporting PSI without metrics\n" in shown


def test_a_single_label_makes_nulls_an_error(run, table, tmp_path):
    labels = pa.array([None] * (len(table) - 1) + [1], pa.int8())
    one = table.set_column(table.schema.get_field_index("clicked"), "clicked", labels)
    with pytest.raises(DataError, match=r"'clicked' is null \(128 such rows\).*\. Correct the rows\.$"):
        evaluate(run, one, tmp_path)


def test_a_missing_pass_through_column_is_left_out_and_said(run, table, tmp_path):
    without = table.drop_columns(["ts"]).append_column("hour_of_day", pa.array([1] * len(table)))
    settings = ["features.columns.hour=drop"]
    config = load_experiment(run / "config.yaml", ["training.epochs=1", *settings])
    with undrawn():
        ctr.train(config, tmp_path / "other")
    _, scored = evaluate(tmp_path / "other", without, tmp_path)
    assert scored.column_names == ["label", "weight", "logit", "score", "user"]
    _, shown = evaluate_file(tmp_path / "other", tmp_path / "fresh.parquet", overwrite=True)
    assert "no pass-through column 'ts': the score file does not have it\n" in shown


@pytest.mark.slow
def test_files_of_the_run_are_known_by_what_they_hold(small_config, run, tmp_path):
    clicks = small_config.parent / "clicks"
    report, shown = evaluate_file(run, clicks / "part-2.parquet")
    assert report["files_of_run"] == {str(clicks / "part-2.parquet"): {"sets": ["valid", "test"], "unchanged": True}}
    assert "data of the run" not in shown
    report, shown = evaluate_file(run, clicks / "part-0.parquet")
    assert report["files_of_run"] == {str(clicks / "part-0.parquet"): {"sets": ["train"], "unchanged": True}}
    assert f"warning: {clicks / 'part-0.parquet'}: training data of the run, so the metrics do not measure" in shown
    copy = Path(shutil.copy(clicks / "part-0.parquet", tmp_path / "part-9.parquet"))
    report, shown = evaluate_file(run, copy)
    assert report["files_of_run"] == {str(copy): {"sets": ["train"], "unchanged": True}}
    assert f"warning: {copy}: training data of the run" in shown
    pq.write_table(click_log(50, seed=7), tmp_path / "other.parquet")
    assert evaluate_file(run, tmp_path / "other.parquet")[0]["files_of_run"] == {}
    kept, stat = (clicks / "part-2.parquet").read_bytes(), (clicks / "part-2.parquet").stat()
    try:
        swap_two_labels(clicks / "part-2.parquet")
        report, shown = evaluate_file(run, clicks / "part-2.parquet", overwrite=True)
    finally:
        (clicks / "part-2.parquet").write_bytes(kept)
        os.utime(clicks / "part-2.parquet", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert report["files_of_run"] == {str(clicks / "part-2.parquet"): {"sets": ["valid", "test"], "unchanged": False}}
    assert f"warning: {clicks / 'part-2.parquet'}: part of the run's data, but changed since the run read it" in shown


def evaluate_file(run, path, **options):
    """Evaluate a file and return (report, terminal output)."""
    console = Console(file=io.StringIO(), width=300)
    with undrawn():
        return ctr.evaluate(run, str(path), console=console, **options), console.file.getvalue()


def test_the_report_has_psi_and_says_why_there_are_no_metrics(run, table, tmp_path):
    with_labels, _ = evaluate(run, table, tmp_path, "labelled")
    report, scored = evaluate(run, table.drop_columns(["clicked", "w"]), tmp_path, is_drawn=True)
    unknown = {"auc": None, "log_loss": None, "positive_rate": None}
    metrics = report["metrics"]["fresh"]
    assert metrics == {
        "rows": 300,
        **unknown,
        "mean_score": pytest.approx(np.mean(scored["score"]), rel=1e-12),
        "reasons": dict.fromkeys(unknown, "the data has no label"),
    }
    assert report["psi"]["score"]["fresh"] == with_labels["psi"]["score"]["labelled"]
    assert report["psi"]["features"]["fresh"] == with_labels["psi"]["features"]["labelled"]
    page = (run / "evaluations" / "fresh" / "report.html").read_text()
    assert "No AUC: the data has no label." in page
    assert "ROC" not in page


def test_a_file_whose_name_holds_brackets_is_evaluated_under_its_name(run, table, tmp_path):
    pq.write_table(table.slice(0, 100), tmp_path / "clicks1.parquet")
    pq.write_table(table, tmp_path / "clicks[1].parquet")
    result = CliRunner().invoke(app, ["evaluate", str(run), str(tmp_path / "clicks[1].parquet")])
    assert result.exit_code == 0, result.output
    assert "clicks[1]" in result.stdout
    scores = run / "evaluations" / "clicks[1]" / "scores" / "clicks[1].parquet"
    assert pq.read_metadata(scores).num_rows == len(table)
    assert "clicks[1]" in (scores.parents[1] / "report.html").read_text()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("data [2026]", "data [2026]"),
        ("data [2026]/", "data [2026]"),
        ("data [2026]/*.parquet", "data [2026]"),
        ("data [2026]/day-*.parquet", "day-"),
        ("data [27]/*.parquet", "data 27"),
    ],
)
def test_an_evaluation_has_thename_of_what_exists(tmp_path, monkeypatch, data, name):
    (tmp_path / "data [2026]").mkdir()
    monkeypatch.chdir(tmp_path)
    assert name_of(data) == name


def test_one_row_is_enough(run, table, tmp_path):
    report, scored = evaluate(run, table.slice(0, 1).drop_columns(["clicked"]), tmp_path)
    assert report["metrics"]["fresh"]["rows"] == len(scored) == 1


def test_a_label_that_only_some_files_have_is_an_error(run, table, tmp_path):
    folder = tmp_path / "days"
    folder.mkdir()
    pq.write_table(table, folder / "1.parquet")
    pq.write_table(table.drop_columns(["clicked"]), folder / "2.parquet")
    with pytest.raises(DataError, match=r"2\.parquet: no column 'clicked'"):
        ctr.evaluate(run, str(folder))
    assert not (run / "evaluations").exists()


def test_a_missing_feature_is_an_error(run, table, tmp_path):
    with pytest.raises(DataError, match="no column 'item'"):
        evaluate(run, table.drop_columns(["clicked", "item"]), tmp_path)


def test_sampled_data_needs_its_labels(make_experiment, table, tmp_path):
    settings = "data.negative_sampling_rate=0.5", "training.epochs=1", f"model={PLAIN_MODEL}"
    with undrawn():
        ctr.train(make_experiment(*settings), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"--negatives-sampled: no label column 'clicked' in .*fresh\.parquet"):
        evaluate(tmp_path / "run", table.drop_columns(["clicked"]), tmp_path, negatives_sampled=True)
    report, _ = evaluate(tmp_path / "run", table.drop_columns(["clicked"]), tmp_path)
    assert report["metrics"]["fresh"]["rows"] == 300


def test_kept_columns_of_several_widths_become_the_widest(run, table, tmp_path):
    folder = tmp_path / "days"
    folder.mkdir()
    narrow = table.drop_columns(["clicked"])
    place = narrow.column_names.index("user")
    pq.write_table(narrow.set_column(place, "user", narrow["user"].cast(pa.int8())), folder / "1.parquet")
    pq.write_table(narrow, folder / "2.parquet")
    with undrawn():
        ctr.evaluate(run, str(folder))
    scored = pq.read_table(run / "evaluations" / "days" / "scores" / "days.parquet")
    assert scored.schema.field("user").type == pa.int64()
    assert scored["user"].to_pylist() == 2 * table["user"].to_pylist()


def test_what_is_evaluated_is_said(run, table, tmp_path):
    report, _ = evaluate(run, table.drop_columns(["clicked"]), tmp_path)
    written = json.loads((run / "evaluations" / "fresh" / "report.json").read_text())
    assert written == report
    assert [file["rows"] for file in written["files"]["fresh"]] == [300]
