"""Whole runs on a sample of the negatives: what an epoch trains on, and scores that are right for all negatives."""

import io
import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console

import ctr
from ctr.config.experiment import load_experiment
from ctr.errors import ConfigError
from ctr.jobs.inspect import inspect
from ctr.runs.run import Run
from ctr.training.data import empty_encoder, prepare
from ctr.training.plan import plan_model
from ctr.training.warm_start import copy_weights, open_parent
from features import Reader
from tests.conftest import click_log
from tests.ctr.conftest import EVERY, After, Killed, ending, kill, resume
from tests.ctr.report.pages import page_of

pytestmark = pytest.mark.usefixtures("undrawn_plots")
SAMPLED = "data.sample_negatives=0.2"
TRAIN = click_log()["clicked"].to_numpy()[:720]
NEGATIVES = int((TRAIN == 0).sum())
KEPT = round(0.2 * NEGATIVES)
EPOCH = 720 - NEGATIVES + KEPT
LONGER = ["training.epochs=12", "training.early_stopping.patience=12"]


@pytest.fixture(scope="module")
def both(place):
    """Train a run on sampled negatives and one on all, and return their folders, reports and output."""
    runs = {}
    for name, settings in {"sampled": [SAMPLED], "whole": []}.items():
        console = Console(file=io.StringIO(), width=200)
        experiment = load_experiment(place / "tiny.yaml", [*settings, *LONGER, f"name=negatives-{name}"])
        report = ctr.train(experiment, place / f"negatives-{name}", console=console)
        runs[name] = place / f"negatives-{name}", report, console.file.getvalue()
    return runs


def scores(run, split="test"):
    return pq.read_table(run / "scores" / f"{split}.parquet")


def test_epochs_have_the_sampled_negatives_and_all_else_has_every_row(both):
    run, report, output = both["sampled"]
    _, whole, _ = both["whole"]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {line["rows"] for line in lines if line["kind"] == "train"} == {EPOCH}
    assert {line["rows"] for line in lines if line["kind"] == "valid"} == {240}
    assert report["training"]["negatives"] == {"kept": KEPT, "all": NEGATIVES}
    assert "negatives" not in whole["training"]
    assert report["training"]["steps"] == report["training"]["epochs"] * math.ceil(EPOCH / 64)
    assert report["training"]["rows"] == report["training"]["epochs"] * EPOCH
    assert report["negative_sampling_rate"] == dict.fromkeys(["train", "valid", "test"])
    for name in ("train", "valid", "test"):
        assert report["metrics"][name]["rows"] == whole["metrics"][name]["rows"]
        assert report["metrics"][name]["positive_rate"] == whole["metrics"][name]["positive_rate"]
    assert f"sampling negatives: {KEPT} of {NEGATIVES} in each epoch, which has {EPOCH} examples\n" in output
    assert f"Each epoch trained on {KEPT} of {NEGATIVES} negatives." in " ".join(page_of(run).texts)


def test_features_are_fitted_and_drift_is_measured_on_all_rows(both):
    sampled, whole = (both[name][0] for name in ("sampled", "whole"))
    for path in (whole / "encoder").iterdir():
        assert (sampled / "encoder" / path.name).read_bytes() == path.read_bytes()
    drift = [both[name][1]["psi"]["features"]["test"]["item"]["psi"] for name in ("sampled", "whole")]
    assert drift[0] == drift[1]


def test_scores_are_calibrated_as_those_of_a_run_on_all_negatives(both):
    labels = scores(both["whole"][0])["label"].to_numpy()
    for run, report, _ in both.values():
        score = scores(run)["score"].to_numpy()
        error = math.sqrt((score * (1 - score)).sum()) / len(score)
        assert abs(score.mean() - labels.mean()) < 4 * error
        assert abs(report["metrics"]["test"]["calibration_z"]) < 4
    logits = scores(both["sampled"][0])["logit"].to_numpy()
    uncorrected = 1 / (1 + np.exp(-(logits - math.log(0.2))))
    assert uncorrected.mean() - labels.mean() > 8 * error
    assert both["sampled"][1]["metrics"]["test"]["auc"] > 0.6


def test_each_logit_is_the_models_plus_the_logarithm_of_the_fraction(both):
    run, _, _ = both["sampled"]
    loaded = ctr.load_run(run)
    table = click_log().slice(960)
    row_groups = table.slice(0, 40), table.slice(40)  # those of the file: other batches can differ in the last digits
    assert [score for part in row_groups for score in loaded.score(part)] == scores(run)["score"].to_pylist()
    evaluated = loaded.evaluate(table)
    assert evaluated["metrics"][next(iter(evaluated["metrics"]))]["auc"] == both["sampled"][1]["metrics"]["test"]["auc"]


def test_the_logit_starts_at_the_odds_of_the_sample(place):
    start, whole = (
        plan_model(experiment, prepare(experiment).encoder).base_logit
        for experiment in (load_experiment(place / "tiny.yaml", settings) for settings in ([SAMPLED], []))
    )
    odds = (720 - NEGATIVES) / NEGATIVES
    assert whole == pytest.approx(math.log(odds))
    assert start == pytest.approx(math.log(odds / 0.2))


def test_sampled_data_may_be_sampled_again(place, tmp_path):
    """Data of rate 0.5 counts each negative twice; the sample changes only the correction of the scores."""
    settings = ["data.negative_sampling_rate=0.5", "training.epochs=1"]
    reports = [
        ctr.train(load_experiment(place / "tiny.yaml", [*settings, *more]), tmp_path / str(len(more)))
        for more in ([], [SAMPLED])
    ]
    once, twice = (report["metrics"]["test"] for report in reports)
    assert once["positive_rate"] == twice["positive_rate"] < 0.5
    assert reports[1]["negative_sampling_rate"]["test"] == 0.5
    experiment = load_experiment(place / "tiny.yaml", [*settings, SAMPLED])
    assert experiment.data.trained_negatives == pytest.approx(0.1)
    base = plan_model(experiment, prepare(experiment).encoder).base_logit
    assert base + math.log(0.1) == pytest.approx(math.log((720 - NEGATIVES) / NEGATIVES) + math.log(0.5))


def test_a_fraction_of_1_is_a_run_on_all_negatives(place, tmp_path):
    for name, settings in {"one": ["data.sample_negatives=1"], "all": []}.items():
        ctr.train(load_experiment(place / "tiny.yaml", ["training.epochs=1", *settings]), tmp_path / name)
    for name in ("metrics.jsonl", "scores/test.parquet", "initial_weights.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "all" / name).read_bytes()


def test_a_killed_run_resumes_to_the_same_end(experiment_of, undisturbed, tmp_path):
    run = tmp_path / "run"
    for step in (2, 5, 9):  # before the first checkpoint, within epochs
        with pytest.raises(Killed):
            ctr.train(experiment_of(SAMPLED), run, resume=True, callbacks=[After(step, kill)])
    resume(experiment_of(SAMPLED), run)
    assert ending(run) == undisturbed(SAMPLED)


def test_a_run_does_not_resume_with_another_fraction(experiment_of, tmp_path):
    with pytest.raises(Killed):
        ctr.train(experiment_of(SAMPLED, EVERY), tmp_path / "run", callbacks=[After(4, kill)])
    with pytest.raises(ConfigError, match=r"data\.sample_negatives: 0\.2 in the run, 0\.3 now"):
        ctr.train(experiment_of("data.sample_negatives=0.3", EVERY), tmp_path / "run", resume=True)


# Warm starts


ADAM = "optimizers.dense={type: adam}"
LOOKAHEAD = "optimizers.dense={type: adam, lookahead: {every: 3}}"
TWO_HEADS = "model={type: final_net, hidden: [8], hidden_2: [6]}"


def experiment_from(place, fraction, *settings):
    sample = "null" if fraction is None else fraction
    return load_experiment(place / "tiny.yaml", ["training.epochs=1", f"data.sample_negatives={sample}", *settings])


@pytest.mark.parametrize(
    ("parent", "child", "settings"),
    [
        (None, 0.2, [LOOKAHEAD]),
        pytest.param(0.2, None, [ADAM], marks=pytest.mark.slow),
        pytest.param(0.2, 0.5, [LOOKAHEAD], marks=pytest.mark.slow),
        pytest.param(0.2, 0.2, [ADAM], marks=pytest.mark.slow),
        pytest.param(0.2, 0.5, [LOOKAHEAD, TWO_HEADS], marks=pytest.mark.slow),
    ],
)
def test_a_warm_start_keeps_the_scores_when_the_fraction_changes(place, tmp_path, parent, child, settings):
    ctr.train(experiment_from(place, parent, *settings), tmp_path / "parent")
    new = experiment_from(place, child, *settings, f"training.warm_start.run={tmp_path / 'parent'}")
    opened = open_parent(plan_model(new, empty_encoder(new)), Run(tmp_path / "child"))
    model, old = plan_model(new, opened.encoder).build(), ctr.load_run(tmp_path / "parent").model
    copy_weights(opened, model, new)
    change = math.log((parent or 1) / (child or 1))
    prepared = prepare(new)
    batch = next(Reader(prepared.splits["train"], prepared.encoder, 64, seed=1).epoch(0))
    np.testing.assert_allclose(model(batch).numpy(), old(batch).numpy() + change, atol=1e-5)
    if LOOKAHEAD in settings:
        slow = [[one.optimizer.state_of(v)["slow"].numpy() for v in one.tower.logit_biases] for one in (model, old)]
        np.testing.assert_allclose(slow[0], np.add(slow[1], change), atol=1e-6)


@pytest.mark.slow
def test_a_bias_that_its_optimizer_keeps_in_its_state_cannot_move(place, tmp_path):
    ftrl = "optimizers.dense={type: ftrl, learning_rate: 0.1}"
    ctr.train(experiment_from(place, None, ftrl), tmp_path / "parent")
    settings = [ftrl, f"training.warm_start.run={tmp_path / 'parent'}"]
    with pytest.raises(ConfigError, match=r"data\.sample_negatives: 0\.2, but None .*optimizer_state: reset"):
        ctr.train(experiment_from(place, 0.2, *settings), tmp_path / "child")
    ctr.train(experiment_from(place, 0.2, *settings, "training.warm_start.optimizer_state=reset"), tmp_path / "child")


# Comparisons


@pytest.mark.slow
def test_fractions_are_compared_on_the_same_examples(place, tmp_path):
    values = {
        "name": "negatives",
        "experiment": str(place / "tiny.yaml"),
        "axes": {"negatives": {"data.sample_negatives": [0.2, 1]}},
        "seeds": [1, 2],
        "settings": {"training.epochs": 1},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(values))
    base, other = ctr.compare(ctr.load_study(tmp_path / "study.yaml"), tmp_path / "out")["variants"]
    assert [base["name"], other["name"]] == ["0.2", "1"]
    assert [[seed["rows"] for seed in variant["seeds"]] for variant in (base, other)] == [[EPOCH] * 2, [720] * 2]
    difference = other["difference"]
    assert difference["same_rows"]
    assert difference["start"]["violations"] == []
    assert difference["metrics"]["auc"]["verdict"] not in (None, "incomplete", "not_comparable", "identical")


# Checks before training


def test_inspect_shows_how_many_negatives_an_epoch_draws(place, tmp_path):
    found = inspect(load_experiment(place / "tiny.yaml", ["data.sample_negatives=0.5"]), tmp_path / "run")
    kept = round(0.5 * NEGATIVES)
    assert f"negatives: each epoch draws {kept} of {NEGATIVES} and has {720 - NEGATIVES + kept} examples" in [
        finding.sentence for finding in found.findings
    ]


def test_few_negatives_are_a_warning(place, tmp_path):
    found = inspect(load_experiment(place / "tiny.yaml", ["data.sample_negatives=0.01"]), tmp_path / "run")
    [warning] = [finding.sentence for finding in found.findings if finding.check == "negatives"]
    assert warning.startswith(f"negatives: each epoch draws {round(0.01 * NEGATIVES)} of {NEGATIVES}")
    assert warning.endswith("Raise `data.sample_negatives`.")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["data.sample_negatives=0.0001"], r"data\.sample_negatives: 0\.0001 of the \d+ negatives .* less than one"),
        (["training.batch_size=700", "training.last_batch=drop"], f"an epoch with sampled negatives has only {EPOCH}"),
    ],
    ids=["no negative", "no batch"],
)
def test_a_sample_without_negatives_or_batches_is_an_error(place, settings, message):
    with pytest.raises(ConfigError, match=message):
        prepare(load_experiment(place / "tiny.yaml", [SAMPLED, *settings]))
