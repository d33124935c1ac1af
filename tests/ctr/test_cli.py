"""Mistakes of a first-time user give one clear message, exit code 2, no traceback, and no half-written files."""

import json
import platform
import shutil
from importlib.metadata import version

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ctr.cli import app
from ctr.errors import Diverged
from ctr.options import ELSEWHERE
from ctr.version import VERSION
from tests.conftest import click_log
from tests.ctr.conftest import PLAIN_MODEL, resealed

pytestmark = pytest.mark.usefixtures("undrawn_plots")
QUICK = ["--set", f"model={PLAIN_MODEL}", "--set", "training.epochs=1"]


def ctr(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def replace_column(folder, name, values, part=1):
    path = folder / f"part-{part}.parquet"
    table = pq.read_table(path)
    values = values(table.column(name)) if callable(values) else values
    pq.write_table(table.set_column(table.schema.get_field_index(name), name, values), path, row_group_size=200)


def damage_pages(path):
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_versions_are_one_line(option):
    result = ctr(option)
    assert result.exit_code == 0
    versions = f"Python {platform.python_version()}, TensorFlow {version('tensorflow')}"
    assert result.stdout == f"ctr {VERSION}, {versions}\n"


BAD_DATA = {
    "missing folder": (shutil.rmtree, ["clicks", "no such file or folder"]),
    "empty folder": (
        lambda folder: [path.unlink() for path in folder.iterdir()],
        ["clicks", "no *.parquet files"],
    ),
    "not Parquet": (
        lambda folder: (folder / "part-1.parquet").write_text("user,item"),
        ["part-1.parquet", "not a readable Parquet file"],
    ),
    "missing column": (
        lambda folder: pq.write_table(click_log().rename_columns({"user": "users"}), folder / "part-1.parquet"),
        ["part-1.parquet", "no column 'user'", "did you mean 'users'"],
    ),
    "wrong type": (
        lambda folder: replace_column(folder, "user", pa.array([0.5] * 400)),
        ["part-1.parquet", "column 'user' has type double", "integers, strings"],
    ),
    "text as a number": (
        lambda folder: replace_column(folder, "price", pa.array(["cheap"] * 400)),
        ["part-1.parquet", "column 'price' has type string", "needs numbers"],
    ),
    "label not 0 or 1": (
        lambda folder: replace_column(folder, "clicked", pa.array([0] * 250 + [2] + [1] * 149)),
        ["part-1.parquet, row group 1", "'clicked' is 2", "a label must be 0 or 1"],
    ),
    "null label": (
        lambda folder: replace_column(folder, "clicked", pa.array([None] + [1] * 399, pa.int8())),
        ["part-1.parquet, row group 0", "'clicked' is null"],
    ),
    "label of NaN": (
        lambda folder: replace_column(folder, "clicked", pa.array([1.0] * 399 + [float("nan")])),
        ["part-1.parquet, row group 1", "'clicked' is nan", "a label must be 0 or 1"],
    ),
    "truncated Parquet": (
        lambda folder: (folder / "part-1.parquet").write_bytes((folder / "part-1.parquet").read_bytes()[:-100]),
        ["part-1.parquet", "not a readable Parquet file"],
    ),
    "damaged in the middle": (
        lambda folder: damage_pages(folder / "part-1.parquet"),
        ["part-1.parquet, row group 0", "cannot read the row group"],
    ),
    "files without rows": (
        lambda folder: [pq.write_table(pq.read_table(path).slice(0, 0), path) for path in folder.iterdir()],
        ["clicks", "no rows in 3 files. Choose"],
    ),
    "training labels of one class": (
        lambda folder: [replace_column(folder, "clicked", pa.array([0] * 400, pa.int8()), k) for k in range(2)],
        ["training data: all 720 labels of 'clicked' are 0", "Use training data with both classes"],
    ),
    "validation labels of one class": (
        lambda folder: [
            replace_column(folder, "clicked", pa.array([0, 1] * 160 + [1] * 80), part=1),
            replace_column(folder, "clicked", pa.array([1] * 160 + [0, 1] * 120), part=2),
        ],
        [
            "valid: all ",
            "labels in 'clicked' are 1, so the monitored AUC is undefined",
            "`early_stopping: {metric: log_loss}`",
        ],
    ),
    "schema unlike the first file's": (
        lambda folder: replace_column(folder, "user", pa.array(["a user"] * 400)),
        ["part-1.parquet: column 'user' is string, but int64 in ", "part-0.parquet", "one type in all files"],
    ),
    "infinite number": (
        lambda folder: replace_column(folder, "price", pa.array([float("inf")] + [1.0] * 399)),
        ["part-1.parquet, row group 0", "column 'price' holds inf"],
    ),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_is_named(case, config, data_folder, tmp_path):
    damage, words = BAD_DATA[case]
    damage(data_folder)
    result = ctr("train", config, "--run", tmp_path / "run")
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words), result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


BAD_CONFIG = {
    "unknown key": ("training.epoch=3", "training: unknown key 'epoch'; did you mean 'epochs'?"),
    "pattern that matches nothing": (
        "optimizers.sparse.usr={type: rmsprop_v2}",
        "optimizers: pattern 'usr' matches no name. Use one of: user, item, hour",
    ),
    "table without an optimizer": (
        "optimizers.sparse={user: {type: rmsprop_v2}}",
        "optimizers: no pattern matches 'item'",
    ),
    "setting that an optimizer refuses": ("optimizers.sparse.*.beta=2", "optimizers.sparse.*: beta must be in [0, 1]"),
    "setting that the model refuses": ("model.dropout=1.5", "model: dropout must be in [0, 1)"),
    "label as a feature": (
        "features.columns.leak={column: clicked}",
        "features.columns.leak: must not read the label column 'clicked'",
    ),
    "dense optimizer on a table": (
        "optimizers.sparse.*.type=adam",
        "optimizers.sparse.*: 'adam' is for the dense tower: it would change every embedding at each step.\nUse one of",
    ),
    "sparse optimizer without a type": ("optimizers.sparse.user={l1: 1}", "optimizers.sparse.user: missing `type`"),
    "glob that matches nothing": ("data.path=data/no-*.parquet", "data/no-*.parquet: no file matches"),
    "id beyond the identity size": (
        "features.columns.user={identity: 7}",
        "column 'user' holds the id 7 (",
    ),
    "cross of an unknown feature": (
        "features.columns.c={type: cross, of: [user, itm], hash: 10, dim: 4}",
        "no feature 'itm'; did you mean 'item'?",
    ),
    "no GPU": ("training.device=gpu", "training.device: TensorFlow sees no GPU"),
    "kept column that the scores have": ("data.keep=[label]", "data.keep: score files already have a column 'label'"),
    "batch larger than the data": (
        "training={batch_size: 100000, last_batch: drop, threads: 2}",
        "training.batch_size: 100000 with `last_batch: drop`, but the training data has only",
    ),
}


@pytest.mark.parametrize("case", BAD_CONFIG)
def test_a_bad_config_is_named(case, config, tmp_path):
    override, message = BAD_CONFIG[case]
    result = ctr("train", config, "--run", tmp_path / "run", "--set", override)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_overwritten_unless_asked(config, trained):
    arguments = ["train", config, "--run", trained, *QUICK]
    before = (trained / "report.json").read_bytes()
    again = ctr(*arguments)
    assert again.exit_code == 2
    assert "already holds a run" in again.stderr
    assert (trained / "report.json").read_bytes() == before
    assert ctr(*arguments, "--overwrite").exit_code == 0
    assert (trained / "report.json").read_bytes() != before


def test_a_folder_that_is_no_run_is_never_deleted(config, tmp_path):
    precious = tmp_path / "run" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")
    result = ctr("train", config, "--run", tmp_path / "run", "--overwrite")
    assert result.exit_code == 2
    assert "exists and is not a run" in result.stderr
    assert precious.read_text() == "years of work"


def test_bad_labels_of_the_test_set_are_found_before_training(config, data_folder, tmp_path):
    path = data_folder / "part-2.parquet"
    table = pq.read_table(path)
    labels = pa.array([0, 1] * 199 + [0, 7])
    pq.write_table(table.set_column(table.schema.get_field_index("clicked"), "clicked", labels), path)
    result = ctr("train", config, "--run", tmp_path / "run")
    assert result.exit_code == 2
    assert "'clicked' is 7" in result.stderr
    assert "epoch" not in result.stdout


def test_a_loss_that_is_not_finite_ends_with_code_3(config, tmp_path):
    override = "optimizers.dense.learning_rate=1e38"
    result = ctr("train", config, "--run", tmp_path / "run", *QUICK, "--set", override)
    assert result.exit_code == 3
    assert "diverged" in result.stderr
    assert not (tmp_path / "run" / "report.json").exists()


def test_report_shows_the_metrics_of_a_run(trained):
    report = json.loads((trained / "report.json").read_text())
    shown = ctr("report", trained)
    assert shown.exit_code == 0
    assert f"{report['metrics']['test']['auc']:.5f}" in shown.stdout


def test_evaluate_and_report_need_a_run(tmp_path, data_folder):
    for command in (["evaluate", tmp_path / "nothing", data_folder], ["report", tmp_path / "nothing"]):
        result = ctr(*command)
        assert result.exit_code == 2
        assert "train" in result.stderr


def test_evaluate_writes_beside_the_run_or_where_told(trained, data_folder, tmp_path):
    assert ctr("evaluate", trained, data_folder / "part-0.parquet").exit_code == 0
    assert (trained / "evaluations" / "part-0" / "scores" / "part-0.parquet").exists()
    assert ctr("evaluate", trained, data_folder, "--out", tmp_path / "out").exit_code == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["metrics"]["clicks"]["rows"] == 1200
    again = ctr("evaluate", trained, data_folder, "--out", tmp_path / "out")
    assert again.exit_code == 2
    assert "exists" in again.stderr


def test_a_failed_evaluation_leaves_nothing(trained, data_folder, tmp_path):
    replace_column(data_folder, "clicked", pa.array([3] * 400))
    result = ctr("evaluate", trained, data_folder, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "'clicked' is 3" in result.stderr
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


def test_a_failed_overwrite_leaves_the_old_run(trained, config):
    before = (trained / "report.json").read_bytes()
    override = "optimizers.dense.learning_rate=1e38"
    assert ctr("train", config, "--run", trained, "--overwrite", *QUICK, "--set", override).exit_code == 3
    assert (trained / "report.json").read_bytes() == before
    assert [path.name for path in trained.parent.iterdir() if path.name.startswith(".run")] == []


def test_a_set_without_rows_is_named(config, data_folder, tmp_path):
    pq.write_table(pq.read_table(data_folder / "part-0.parquet").slice(0, 0), tmp_path / "valid.parquet")
    sets = f"data={{train: {data_folder}, valid: {tmp_path}/valid.parquet, label: clicked}}"
    result = ctr("train", config, "--run", tmp_path / "run", "--set", sets)
    assert result.exit_code == 2
    assert "valid.parquet: no rows in 1 file. Choose" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_test_set_of_one_class_has_no_auc_and_says_why(config, data_folder, tmp_path):
    clicks = pq.read_table(data_folder / "part-2.parquet").filter(pc.field("clicked") == 1)
    pq.write_table(clicks, tmp_path / "test.parquet")
    sets = f"data={{train: {data_folder}/part-0.parquet, test: {tmp_path}/test.parquet, label: clicked}}"
    result = ctr("train", config, "--run", tmp_path / "run", *QUICK, "--set", sets)
    assert result.exit_code == 0
    metrics = json.loads((tmp_path / "run" / "report.json").read_text())["metrics"]["test"]
    assert metrics["auc"] is None
    assert metrics["log_loss"] > 0
    assert "test: no AUC: the labels are of one class only" in result.stdout


def fail_while_measuring(monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("ctr.jobs.train.measure_splits", fail)


def test_a_failure_after_training_leaves_the_run_that_was_to_be_replaced(trained, config, monkeypatch):
    before = (trained / "report.json").read_bytes()
    fail_while_measuring(monkeypatch, Diverged("a score is not finite"))
    assert ctr("train", config, "--run", trained, "--overwrite", *QUICK).exit_code == 3
    assert (trained / "report.json").read_bytes() == before
    assert [path.name for path in trained.parent.iterdir() if path.name.startswith(".run")] == []


def test_a_failure_after_training_keeps_the_checkpoint_of_a_new_run(config, tmp_path, monkeypatch):
    fail_while_measuring(monkeypatch, Diverged("a score is not finite"))
    assert ctr("train", config, "--run", tmp_path / "run", *QUICK).exit_code == 3
    assert (tmp_path / "run" / "checkpoints" / "best.json").exists()


def test_a_killed_overwrite_and_another_never_cost_the_finished_run(trained, config, monkeypatch):
    before = (trained / "report.json").read_bytes()
    trained.rename(trained.with_name(".run.replaced"))  # as left by a kill
    trained.mkdir()
    (trained / "config.yaml").write_text("")
    fail_while_measuring(monkeypatch, KeyboardInterrupt())
    assert ctr("train", config, "--run", trained, "--overwrite", *QUICK).exit_code == 130
    assert (trained / "report.json").read_bytes() == before


def test_reports_of_several_runs_do_not_stop_at_a_bad_one(trained, tmp_path):
    (trained / "report.html").unlink()
    result = ctr("report", tmp_path / "nothing", trained)
    assert result.exit_code == 2
    assert "nothing: no run in this folder" in result.stderr
    assert (trained / "report.html").exists()


def test_a_report_that_lacks_something_is_named(trained):
    report = json.loads((trained / "report.json").read_text())
    del report["files"]
    (trained / "report.json").write_text(json.dumps(report))
    resealed(trained)
    result = ctr("report", trained)
    assert result.exit_code == 2
    assert "report.json: damaged: run.files: Field required. Train or evaluate again." in result.stderr


def test_globs_are_evaluated_under_names_of_their_own(trained, data_folder):
    assert ctr("evaluate", trained, data_folder / "*.parquet").exit_code == 0
    assert ctr("evaluate", trained, data_folder / "part-[01].parquet").exit_code == 0
    assert {path.name for path in (trained / "evaluations").iterdir()} == {"clicks", "part-01"}


def test_data_that_means_something_else_than_in_training_is_named(trained, data_folder):
    replace_column(data_folder, "user", pa.array([str(k) for k in range(400)]))
    result = ctr("evaluate", trained, data_folder / "part-1.parquet")
    assert result.exit_code == 2
    assert "part-1.parquet: column 'user' is string, but integer in training" in result.stderr


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_place_that_cannot_be_written_is_named(trained, config, data_folder, command):
    file = data_folder / "part-0.parquet"
    arguments = {"train": [config, "--run", file / "x"], "evaluate": [trained, file, "--out", file / "x"]}
    result = ctr(command, *arguments[command])
    assert result.exit_code == 2
    assert "is not a writable folder. Choose another folder." in result.stderr


def test_a_file_in_two_sets_is_named(config, data_folder):
    sets = f"data={{train: {data_folder}, test: {data_folder}/part-2.parquet, label: clicked}}"
    result = ctr("train", config, "--set", sets)
    assert result.exit_code == 2
    assert "part-2.parquet: is in both train and test. Remove it" in result.stderr


def test_a_file_in_two_sets_by_a_link_is_named(config, data_folder, tmp_path):
    (tmp_path / "other.parquet").symlink_to(data_folder / "part-2.parquet")
    sets = f"data={{train: {data_folder}, test: {tmp_path}/other.parquet, label: clicked}}"
    result = ctr("train", config, "--set", sets)
    assert result.exit_code == 2
    assert "other.parquet: is in both train and test. Remove it" in result.stderr


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (lambda clicked: 1.0 - clicked, "labels in 'clicked' are 0, so the monitored AUC is undefined"),
        (lambda clicked: 0.0 * clicked, "all weights in 'w' are 0. Use data"),
    ],
    ids=["one class weighs nothing", "nothing weighs"],
)
def test_validation_data_that_cannot_steer_is_named(config, data_folder, tmp_path, weight, message):
    table = pq.read_table(data_folder / "part-2.parquet")
    weights = pa.array(weight(table["clicked"].to_numpy().astype(float)))
    valid = tmp_path / "valid.parquet"
    pq.write_table(table.set_column(table.schema.get_field_index("w"), "w", weights), valid)
    sets = f"data={{train: {data_folder}, valid: {valid}, label: clicked, weight: w}}"
    result = ctr("train", config, "--run", tmp_path / "run", "--set", sets)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("mistake", ELSEWHERE)
def test_an_option_of_another_command_is_answered_with_what_to_do(mistake):
    name, option = mistake.split()
    result = CliRunner().invoke(app, [name, "anything", option, "x"])
    assert (result.exit_code, result.stderr) == (2, f"error: {option}: {ELSEWHERE[mistake]}\n")
