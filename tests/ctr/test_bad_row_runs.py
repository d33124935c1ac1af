"""Whole runs on data with invalid rows: an error, or the same run as without them."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.errors import ConfigError
from ctr.training.data import prepare
from features import DataError
from tests.conftest import click_log
from tests.ctr.conftest import PLAIN_MODEL
from tests.ctr.report.pages import page_of

pytestmark = pytest.mark.usefixtures("undrawn_plots")
INF = float("inf")
BAD = {"clicked": [None, 2], "w": [None, -1.0, INF], "price": [INF, -1e300], "user": [8, -1]}
REASONS = {
    "clicked": ["label is null", "label is neither 0 nor 1"],
    "w": ["weight is null", "weight is negative", "weight is not finite"],
    "price": ["'price' is infinite or too large"] * 2,
    "user": ["'user' holds an id outside 0 to 7"] * 2,
}
CASES = [(name, value, why) for name in BAD for value, why in zip(BAD[name], REASONS[name], strict=True)]


def spoilt(table, places):
    """Return the table with an invalid value in each of the rows `places`, every kind in turn, and counts by reason."""
    columns, reasons = {name: table[name].to_pylist() for name in table.column_names}, {}
    for turn, place in enumerate(places):
        name, value, why = CASES[turn % len(CASES)]
        columns[name][place] = value
        reasons[why] = reasons.get(why, 0) + 1
    schema = table.schema.set(table.schema.get_field_index("w"), pa.field("w", pa.float64()))
    return pa.table(columns, schema=schema), reasons


def write_sets(folder, table, good):
    """Write train, valid and test of 700, 250 and 250 rows in row groups of 100, but only the rows in `good`."""
    folder.mkdir()
    for name, start, end in (("train", 0, 700), ("valid", 700, 950), ("test", 950, 1200)):
        groups = [[k for k in range(at, min(at + 100, end)) if k in good] for at in range(start, end, 100)]
        with pq.ParquetWriter(folder / f"{name}.parquet", table.schema) as writer:
            for rows in filter(None, groups):
                writer.write_table(table.take(rows))


@pytest.fixture
def sets_of(edit_config, make_experiment):
    """Return a function that makes the experiment on a folder of `train`, `valid` and `test`, with weights."""

    def experiment(folder, *overrides):
        def change(values):
            values["data"] = {
                "root": str(folder),
                **{name: f"{name}.parquet" for name in ("train", "valid", "test")},
                "label": "clicked",
                "weight": "w",
                "keep": ["ts"],
            }
            values["features"]["columns"]["user"] = {"identity": 8}
            values["features"]["columns"]["income"] = {"type": "numeric", "column": "price", "as": "buckets"}

        edit_config(change)
        return make_experiment("training.epochs=2", f"model={PLAIN_MODEL}", *overrides)

    return experiment


def test_a_run_is_that_on_the_good_rows_alone(sets_of, tmp_path):
    places = [*range(0, 1200, 60), *range(200, 300)]  # the third row group of train has no valid row
    table, _ = spoilt(click_log(), places)
    write_sets(tmp_path / "all", table, range(1200))
    write_sets(tmp_path / "good", table, set(range(1200)) - set(places))
    skipping = ctr.train(sets_of(tmp_path / "all", "data.bad_rows={skip: 0.2}"), tmp_path / "skipping")
    clean = ctr.train(sets_of(tmp_path / "good"), tmp_path / "clean")
    assert skipping["fingerprints"] == clean["fingerprints"]
    assert skipping["metrics"] == clean["metrics"]
    for name in ("metrics.jsonl", "scores/valid.parquet", "scores/test.parquet", "encoder/encoder.json"):
        assert (tmp_path / "skipping" / name).read_bytes() == (tmp_path / "clean" / name).read_bytes()
    hashes = pq.read_table(tmp_path / "skipping" / "contents.parquet").to_pandas()
    pieces = hashes.groupby("column").size()
    assert set(pieces[["user", "item", "history", "price", "ts", "clicked"]]) == {pieces.max()}  # the bad row group too
    assert clean["bad_rows"] == {}
    assert {name: bad["rows"] for name, bad in skipping["bad_rows"].items()} == {"train": 111, "valid": 4, "test": 4}


@pytest.mark.parametrize("split", ["by: rows", "by: random", "by: time, column: ts"])
def test_good_rows_stay_in_their_sets(split, make_experiment, data_folder):
    def sets_with(bad_rows):
        overrides = [f"data.split={{{split}, fractions: [0.6, 0.2, 0.2]}}", "data.weight=w"]
        prepared = prepare(make_experiment(*overrides, "features.columns.user={identity: 8}", *bad_rows))
        return {
            name: [ts for group in groups for ts in group.read(["ts"])["ts"].to_pylist()]
            for name, groups in prepared.splits.items()
        }

    before = sets_with([])
    table, _ = spoilt(click_log(), range(0, 1200, 7))
    for k in range(3):
        pq.write_table(table.slice(400 * k, 400), data_folder / f"part-{k}.parquet", row_group_size=200)
    bad = set(table["ts"].take(list(range(0, 1200, 7))).to_pylist())
    left = {name: [ts for ts in times if ts not in bad] for name, times in before.items()}
    assert sets_with(["data.bad_rows={skip: 0.25}"]) == left


def test_what_is_left_out_is_told_everywhere(sets_of, tmp_path):
    table, reasons = spoilt(click_log(), range(9))
    write_sets(tmp_path / "data", table, range(1200))
    console = Console(file=io.StringIO(), width=100)
    experiment = sets_of(tmp_path / "data", "data.bad_rows={skip: 0.02}")
    report = ctr.train(experiment, tmp_path / "run", console=console)
    assert report["bad_rows"] == {"train": {"rows": 9, "share": 9 / 700, "reasons": reasons}}
    assert report == json.loads((tmp_path / "run" / "report.json").read_text())
    assert [file["rows"] for file in report["files"]["train"]] == [691]
    [line] = [line for line in console.file.getvalue().splitlines() if "invalid rows" in line]
    assert line.startswith("skipping invalid rows: train 9 (label is null: 1, label is neither 0 nor 1: 1, ")
    page = page_of(tmp_path / "run")
    assert page.sections[:3] == ["verdicts", "checks", "invalid-rows"]
    assert {*reasons, "1.3%"} <= set(page.texts)
    summary = (tmp_path / "run" / "report.md").read_text()
    assert "Invalid rows left out: train 9 (label is null: 1, label is neither 0 nor 1: 1, " in summary


@pytest.mark.slow
def test_a_page_without_bad_rows_does_not_speak_of_them(make_experiment, tmp_path):
    settings = ["data.bad_rows={skip: 0.02}", "training.epochs=1", f"model={PLAIN_MODEL}"]
    ctr.train(make_experiment(*settings), tmp_path / "run")
    assert "invalid-rows" not in page_of(tmp_path / "run").sections
    assert "Invalid rows" not in (tmp_path / "run" / "report.md").read_text()


def test_an_evaluation_leaves_out_what_the_run_would(sets_of, tmp_path):
    write_sets(tmp_path / "data", click_log(), range(1200))
    ctr.train(sets_of(tmp_path / "data", "data.bad_rows={skip: 0.05}", "training.epochs=1"), tmp_path / "run")
    table, reasons = spoilt(click_log(400, seed=1), range(0, 400, 50))
    pq.write_table(table, tmp_path / "new.parquet")
    report = ctr.evaluate(tmp_path / "run", str(tmp_path / "new.parquet"))
    assert report["bad_rows"] == {"new": {"rows": 8, "share": 0.02, "reasons": reasons}}
    assert report["metrics"]["new"]["rows"] == 392
    scores = pq.read_table(tmp_path / "run" / "evaluations" / "new" / "scores" / "new.parquet")
    assert scores["ts"].to_pylist() == [ts for k, ts in enumerate(table["ts"].to_pylist()) if k % 50]
    table, _ = spoilt(click_log(400, seed=1), range(0, 400, 10))
    pq.write_table(table, tmp_path / "worse.parquet")
    with pytest.raises(DataError, match="worse: 40 of 400 rows are invalid"):
        ctr.evaluate(tmp_path / "run", str(tmp_path / "worse.parquet"))
    assert not (tmp_path / "run" / "evaluations" / "worse").exists()


def test_more_than_allowed_leaves_no_run(sets_of, config, tmp_path):
    table, _ = spoilt(click_log(), [980])
    write_sets(tmp_path / "data", table, range(1200))
    sets_of(tmp_path / "data")
    arguments = ["train", str(config), "--run", str(tmp_path / "run"), "--set", "data.bad_rows={skip: 0.001}"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "test: 1 of 250 rows are invalid" in result.stderr
    assert "  label is null: 1, first in" in result.stderr
    assert len(result.stderr.splitlines()) == 3
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("skip", "data.bad_rows: must be `error`, or the largest fraction of rows to skip, such as {skip: 0.001}. "),
        ("null", "data.bad_rows: must be `error`, or"),
        ("0.1", "data.bad_rows: must be `error`, or"),
        ("{skip: 0}", "data.bad_rows.skip: must be above 0. Received: 0"),
        ("{skip: 1}", "data.bad_rows.skip: must be below 1. Received: 1"),
        ("{skip: .nan}", "data.bad_rows.skip: must be"),
        ("{}", "data.bad_rows.skip: "),
        ("{skp: 0.1}", "data.bad_rows: unknown key 'skp'; did you mean 'skip'?"),
    ],
)
def test_a_policy_that_is_none_is_an_error(make_experiment, value, message):
    with pytest.raises(ConfigError) as error:
        make_experiment(f"data.bad_rows={value}")
    assert message in str(error.value)


def test_the_policy_is_written_with_the_config_and_read_back(make_experiment):
    assert "bad_rows: error" in make_experiment().to_yaml()
    experiment = make_experiment("data.bad_rows={skip: 0.01}")
    assert experiment.data.bad_rows.skip == 0.01
    assert type(experiment).model_validate(yaml.safe_load(experiment.to_yaml())) == experiment
