"""Whole runs on a small click log: contracts, determinism, exactness and fairness."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.special
import tensorflow as tf
from rich.console import Console
from sklearn.metrics import log_loss, roc_auc_score

import ctr
from ctr.config.experiment import load_experiment
from ctr.evaluation.reference import Reference
from ctr.runs.run import Run
from ctr.training.data import prepare
from ctr.training.plan import plan_model
from ctr.training.progress import Progress
from ctr.training.trainer import Trainer
from features import Reader, as_tf_dataset
from tests.conftest import click_log
from tests.ctr.conftest import PLAIN_MODEL

pytestmark = pytest.mark.usefixtures("undrawn_plots")

PLAIN = f"model={PLAIN_MODEL}"
GOLDEN = Path(__file__).parents[1] / "golden" / "tiny_metrics.jsonl"


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def checkpoint_bytes(run):
    """Return every tensor of the checkpoint; the file also holds names with counters of the process."""
    best = json.loads((run / "checkpoints" / "best.json").read_text())["checkpoint"]
    saved = tf.train.load_checkpoint(str(run / "checkpoints" / best / "state"))
    names = [name for name in sorted(saved.get_variable_to_shape_map()) if name != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    return {name: saved.get_tensor(name).tobytes() for name in names}


def test_the_run_folder_holds_what_the_contract_says(small_run):
    found = {path.name for path in small_run.iterdir()}
    assert found == {
        "checksums.json",
        "config.yaml",
        "environment.json",
        "data.json",
        "contents.parquet",
        "initial_weights.json",
        "encoder",
        "checkpoints",
        "metrics.jsonl",
        "timing.jsonl",
        "scores",
        "reference",
        "curves.json",
        "report.json",
        "report.html",
        "report.md",
    }
    scores = pq.read_table(small_run / "scores" / "test.parquet")
    assert [(field.name, str(field.type)) for field in scores.schema] == [
        ("label", "int8"),
        ("logit", "float"),
        ("score", "double"),
        ("ts", "timestamp[us, tz=UTC]"),
    ]
    assert scores["ts"].to_pylist() == click_log()["ts"].to_pylist()[-240:]  # in file order
    lines = read_lines(small_run / "metrics.jsonl")
    assert [(line["kind"], line["epoch"]) for line in lines[:4]] == [
        ("train", 1),
        ("valid", 1),
        ("train", 2),
        ("valid", 2),
    ]
    assert set(lines[0]) == {"kind", "epoch", "step", "rows", "loss", "learning_rate"}
    assert set(lines[1]) == {"kind", "epoch", "step", "rows", "loss", "auc", "learning_rate"}


def test_report_json_is_as_the_contract_says(small_config, small_run):
    report = json.loads((small_run / "report.json").read_text())
    measured = {"metrics", "negative_sampling_rate", "deciles", "psi", "slices", "frequency", "leakage", "checks"}
    measured |= {"unknown_ids", "version", "main_split"}
    assert set(report) - measured == {
        *("kind", "training", "files", "bad_rows", "model", "warm_start", "tables", "row_sparsity", "state_bytes"),
        *("fingerprints", "seconds"),
    }
    parts = [str(small_config.parent / "clicks" / f"part-{k}.parquet") for k in range(3)]
    assert report["files"] == {
        "train": [{"path": parts[0], "rows": 400}, {"path": parts[1], "rows": 320}],
        "valid": [{"path": parts[1], "rows": 80}, {"path": parts[2], "rows": 160}],
        "test": [{"path": parts[2], "rows": 240}],
    }
    assert set(report["metrics"]) == {"train", "valid", "test"}
    assert {"rows", "auc", "log_loss"} <= set(report["metrics"]["test"])
    assert set(report["psi"]["score"]) == {"valid", "test"}
    assert set(report["psi"]["features"]["test"]) == {"user", "item", "history", "hour", "price"}
    assert {"psi", "drift"} <= set(report["psi"]["features"]["test"]["user"])
    width, pooled_history = 4 * 4 + 2, 4 * (2 * 4 + 1)  # four vectors, a price and its indicator; max_length is 4
    assert report["model"]["components"] == [
        {"name": "tables", "parameters": (11 + 13 + 27) * 4, "flops": pooled_history},
        {"name": "cross", "parameters": width**2 + width, "flops": 2 * width**2 + 3 * width},
        {"name": "deep", "parameters": width * 8 + 2 * 8, "flops": 2 * width * 8 + 3 * 8},
        {"name": "head", "parameters": width + 8 + 1, "flops": 2 * (width + 8) + 1},
    ]
    assert [(t["name"], t["rows"], t["dim"], t["optimizer"]) for t in report["tables"]] == [
        ("user", 11, 4, "rmsprop_v2"),
        ("item", 13, 4, "rmsprop_v2"),
        ("hour", 27, 4, "rmsprop_v2"),
    ]
    assert report["tables"][0]["bytes"] == 11 * 4 * 4 * 2  # weight and one state
    assert report["tables"][0]["all_zero_embeddings"] == 0
    state = {
        "tables": (11 + 13 + 27) * 4 * 4,
        "towers": 2 * 4 * sum(p["parameters"] for p in report["model"]["components"][1:]),
    }
    assert report["state_bytes"] == state  # one number per table weight, Adam's two per tower weight
    assert set(report["fingerprints"]) == {"initial_weights", "final_weights", "data_order"}
    assert set(report["seconds"]) == {"train", "total"}
    assert report["metrics"]["test"]["auc"] > 0.7


@pytest.fixture(scope="module")
def of_one_epoch(small_config, tmp_path_factory):
    """Return folder, report and output of a run of one epoch."""
    run, console = tmp_path_factory.mktemp("one epoch") / "run", Console(file=io.StringIO(), width=100)
    return run, ctr.train(load_experiment(small_config, ["training.epochs=1"]), run, console=console), console.file


def test_a_training_returns_what_report_json_holds(of_one_epoch):
    run, report, _ = of_one_epoch
    assert report == json.loads((run / "report.json").read_text())


def test_a_run_begins_with_what_the_parts_of_its_model_cost(of_one_epoch):
    _, report, shown = of_one_epoch
    lines = [line.split() for line in shown.getvalue().splitlines()]
    start = lines.index(["component", "parameters", "FLOPs", "per", "example"])
    parts = [(part["name"], part["parameters"], part["flops"]) for part in report["model"]["components"]]
    assert lines[start + 1 : start + 5] == [[part, *(f"{count:,}" for count in counts)] for part, *counts in parts]
    assert lines[start + 5] == ["total", f"{sum(part[1] for part in parts):,}", f"{sum(part[2] for part in parts):,}"]
    assert any(line[:1] == ["epoch"] for line in lines[start:])


def test_the_same_command_gives_the_same_bytes(make_experiment, small_run, tmp_path):
    ctr.train(make_experiment(), tmp_path / "run")
    one, two = small_run, tmp_path / "run"
    reports = [json.loads((run / "report.json").read_text()) for run in (one, two)]
    assert (one / "metrics.jsonl").read_bytes() == (two / "metrics.jsonl").read_bytes()
    assert (one / "scores" / "test.parquet").read_bytes() == (two / "scores" / "test.parquet").read_bytes()
    assert checkpoint_bytes(one) == checkpoint_bytes(two)
    assert reports[0]["fingerprints"] == reports[1]["fingerprints"]


def test_the_seeded_run_is_the_golden_one(small_run):
    """An intended change of training replaces the golden file by the metrics.jsonl of this run."""
    found, golden = read_lines(small_run / "metrics.jsonl"), read_lines(GOLDEN)
    assert len(found) == len(golden)
    for line, expected in zip(found, golden, strict=True):
        exact = ("kind", "epoch", "step", "rows", "learning_rate")
        assert {key: line[key] for key in exact} == {key: expected[key] for key in exact}
        assert line["loss"] == pytest.approx(expected["loss"], rel=1e-6)
        if "auc" in expected:
            assert line["auc"] == pytest.approx(expected["auc"], rel=1e-6)


@pytest.mark.parametrize("weight", [None, "w"])
def test_reported_metrics_are_scikit_learns_on_the_saved_scores(make_experiment, small_run, tmp_path, weight):
    run = tmp_path / "run" if weight else small_run
    report = ctr.train(make_experiment("data.weight=w"), run) if weight else Run(run).report()
    for name in ("valid", "test"):
        scores = pq.read_table(run / "scores" / f"{name}.parquet").to_pandas()
        weights = None if weight is None else scores["weight"]
        auc = roc_auc_score(scores["label"], scores["logit"], sample_weight=weights)
        assert report["metrics"][name]["auc"] == pytest.approx(auc, abs=1e-12)
        loss = log_loss(scores["label"], scores["score"], sample_weight=weights)
        assert report["metrics"][name]["log_loss"] == pytest.approx(loss, abs=1e-9)
        np.testing.assert_allclose(scores["score"], scipy.special.expit(scores["logit"].astype(np.float64)), rtol=1e-15)


@pytest.mark.slow
def test_evaluate_gives_the_same_scores_in_a_fresh_process(make_experiment, tmp_path):
    test_file = tmp_path / "test.parquet"
    pq.write_table(click_log(300, seed=9), test_file, row_group_size=128)
    sets = f"data={{train: {tmp_path / 'clicks'}, valid: {test_file}, test: {test_file}, label: clicked, keep: [ts]}}"
    ctr.train(make_experiment(sets), tmp_path / "run")
    command = [sys.executable, "-m", "ctr.cli", "evaluate", str(tmp_path / "run"), str(test_file)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2], capture_output=True)
    fresh = tmp_path / "run" / "evaluations" / "test" / "scores" / "test.parquet"
    assert fresh.read_bytes() == (tmp_path / "run" / "scores" / "test.parquet").read_bytes()


@pytest.mark.slow
def test_plain_fit_trains_to_the_weights_of_the_trainer(make_experiment, tmp_path):
    experiment = make_experiment("model.dropout=0", "training.epochs=1")
    prepared = prepare(experiment)
    reader = Reader(prepared.splits["train"], prepared.encoder, batch_size=64, seed=3)
    by_trainer, by_fit = (
        plan_model(experiment, prepared.encoder).build(),
        plan_model(experiment, prepared.encoder).build(),
    )
    run = Run(tmp_path / "run")
    run.create(experiment, {})
    Trainer(experiment, by_trainer, reader, [], run, Progress(Console(quiet=True), 1)).train()
    by_fit.fit(as_tf_dataset(reader), epochs=1, verbose=0)
    for ours, keras in zip(by_trainer.weights, by_fit.weights, strict=True):
        np.testing.assert_allclose(ours.numpy(), keras.numpy(), rtol=0, atol=1e-6)
    assert not np.array_equal(
        by_fit.weights[0].numpy(), plan_model(experiment, prepared.encoder).build().weights[0].numpy()
    )


def test_runs_with_other_optimizers_start_equal_and_see_the_same_order(make_experiment, of_one_epoch, tmp_path):
    alone = 'optimizers.sparse={"*": {type: rmsprop_v2}, item: {type: rmsprop_v2, learning_rate: 0.5}}'
    one = of_one_epoch[1]["fingerprints"]
    two = ctr.train(make_experiment("training.epochs=1", alone), tmp_path / "two")["fingerprints"]
    assert one["initial_weights"] == two["initial_weights"]
    assert one["data_order"] == two["data_order"]
    assert one["final_weights"] != two["final_weights"]


def test_scores_of_a_sampled_set_are_corrected_and_its_negatives_count_more(make_experiment, of_one_epoch, tmp_path):
    run, plain, _ = of_one_epoch
    sampled = ctr.train(make_experiment("training.epochs=1", "data.negative_sampling_rate=0.5"), tmp_path / "sampled")
    logits = [
        pq.read_table(folder / "scores" / "test.parquet")["logit"].to_numpy() for folder in (run, tmp_path / "sampled")
    ]
    np.testing.assert_allclose(logits[1], logits[0] + np.log(0.5), atol=1e-6)
    rate = plain["metrics"]["test"]["positive_rate"]
    assert sampled["metrics"]["test"]["positive_rate"] == pytest.approx(rate / (rate + 2 * (1 - rate)))
    assert sampled["metrics"]["test"]["auc"] == pytest.approx(plain["metrics"]["test"]["auc"], abs=1e-6)


def test_a_shifted_feature_is_flagged_and_no_other(make_experiment, tmp_path):
    report = ctr.train(make_experiment(PLAIN, "features.columns.ts={column: ts, part: hour}"), tmp_path / "run")
    verdicts = {name: psi["drift"] for name, psi in report["psi"]["features"]["test"].items()}
    assert {name for name, verdict in verdicts.items() if verdict == "major"} == {"hour", "ts"}  # 20 hours of data


def test_the_reference_survives_saving(small_run):
    reference = Reference.load(Run(small_run)).histograms
    assert reference.rows == reference.counts["score"].sum() == pytest.approx(720 / 2, abs=60)
    same = reference.compare(reference, 0.2)
    assert {psi["psi"] for psi in same.values()} == {0}
    assert {psi["drift"] for psi in same.values()} <= {"stable", "too_little_data"}


def test_training_without_validation_keeps_the_last_weights_and_prints_every_epoch(make_experiment, tmp_path):
    console = Console(file=io.StringIO(), width=200)
    experiment = make_experiment(PLAIN, "data.split.fractions=[0.8, 0, 0.2]")
    report = ctr.train(experiment, tmp_path / "run", console=console)
    assert set(report["metrics"]) == {"train", "test"}
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    expected = [f"epoch {line['epoch']:3d}  step {line['step']:6d}  loss {line['loss']:.5f}" for line in lines]
    assert [line for line in console.file.getvalue().splitlines() if line.startswith("epoch ")] == expected
    assert len(expected) == 3
    assert json.loads((tmp_path / "run" / "checkpoints" / "best.json").read_text())["epoch"] == 3


def test_mixed_precision_trains_and_scores_in_float32(make_experiment, tmp_path):
    report = ctr.train(make_experiment("training.precision=mixed_bfloat16"), tmp_path / "run")
    assert report["metrics"]["test"]["auc"] > 0.7
    scores = pq.read_table(tmp_path / "run" / "scores" / "test.parquet")
    assert str(scores["logit"].type) == "float"


@pytest.mark.slow
def test_histories_that_stop_arriving_are_a_shift(make_experiment, data_folder, tmp_path):
    path = data_folder / "part-2.parquet"
    table = pq.read_table(path)
    emptied = pa.nulls(table.num_rows, table["history"].type)
    pq.write_table(table.set_column(table.schema.get_field_index("history"), "history", emptied), path)
    report = ctr.train(make_experiment(PLAIN, "training.epochs=1"), tmp_path / "run")
    assert report["psi"]["features"]["test"]["history"]["drift"] == "major"


def test_a_table_may_be_called_as_a_tower_is(make_experiment, tmp_path):
    called_deep = "features.columns={deep: {column: user}, price: {type: numeric}}"
    report = ctr.train(make_experiment(PLAIN, "training.epochs=1", called_deep), tmp_path / "run")
    assert [(table["name"], table["optimizer"]) for table in report["tables"]] == [("deep", "rmsprop_v2")]
    assert report["tables"][0]["bytes"] == 11 * 4 * 4 * 2
