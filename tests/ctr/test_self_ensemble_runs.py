"""Runs with the self-ensemble loss: settings, metrics.jsonl, replicas, resuming, precision, divergence and replay."""

import json
import math
import sys

import numpy as np
import pytest

import ctr
from ctr.comparison.fairness import START_NEUTRAL
from ctr.config.experiment import ConfigError
from ctr.errors import Diverged
from ctr.jobs.replay import replay
from ctr.training.checkpoint import part_fingerprints
from ctr.training.data import prepare
from ctr.training.plan import plan_model
from models import MODELS, QNN
from tests.ctr.conftest import BY_STEPS, After, Killed, ending, kill, lines_of, resume, write_plain_config
from tests.ctr.test_divergence import OneStep
from tests.ctr.test_replicas import check_two_replicas_log_as_one

pytestmark = pytest.mark.usefixtures("undrawn_plots", "every_checkpoint_is_saved")
MODEL = "model={type: qnn, layers: 1, rows: 2, dropout: 0.2, initializer: {tables: 0.3}}"
ON = "training.self_ensemble=true"
TERMS = ["loss", "loss/self_ensemble"]


@pytest.fixture
def config(tmp_path, data_folder):
    """Write the plain experiment's YAML file and return its path."""
    return write_plain_config(tmp_path / "tiny.yaml", data_folder)


@pytest.mark.parametrize(
    "model",
    [
        "{type: dnn, dropout: 0.1}",
        "{type: can, base: {type: dnn, dropout: 0.1}, pairs: [[user, item]]}",
        "{type: can, base: {type: wide_deep, dropout: 1.0e-9}, pairs: [[user, item]]}",
        "{type: final_net, dropout_2: 0.1}",
        "{type: two_stream, streams: {easy: dnn, hard: {type: qnn, dropout: 0.1}}}",
    ],
)
def test_a_model_with_dropout_can_have_it(make_experiment, model):
    assert make_experiment(f"model={model}", ON).training.self_ensemble


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "{type: dnn, dropout: 0}",
            r"model dnn has no dropout, .* Set its `dropout` above 0, or remove self_ensemble\.$",
        ),
        ("final_net", r"model final_net has no dropout, .* Set its `dropout` above 0"),
        ("qnn", r"model qnn has no dropout, so both passes would be equal\. Set its `dropout`"),
        (
            "{type: two_stream, streams: {easy: dnn, hard: qnn}}",
            r"model two_stream has no dropout, .* Set its `dropout`",
        ),
        ("{type: can, base: dnn, pairs: [[user, item]]}", r"model can has no dropout, .* Set its `dropout` above 0"),
    ],
)
def test_a_model_without_dropout_is_refused(make_experiment, model, message):
    with pytest.raises(ConfigError, match=f"tiny.yaml: training.self_ensemble: {message}"):
        make_experiment(f"model={model}", ON)


class Undropped(QNN):
    """A registered tower without a setting for dropout."""

    def __init__(self, rows: int = 2, initializer: str = "glorot_uniform", seed: int = 0) -> None:
        super().__init__(rows=rows, initializer=initializer, seed=seed)


def test_a_model_that_cannot_drop_out_is_refused(make_experiment, monkeypatch):
    monkeypatch.setitem(MODELS, "undropped", Undropped)
    with pytest.raises(ConfigError, match=r"model undropped has no dropout, .* Choose a model with dropout, or remove"):
        make_experiment("model=undropped", ON)


TOWER = """
from models import DNN


class Dropping(DNN):
    def __init__(self, initializer: str = "glorot_uniform", seed: int = 0) -> None:
        super().__init__((4,), dropout=0.5, initializer=initializer, seed=seed)
"""


@pytest.mark.parametrize(
    "model", ["{type: dropping:Dropping}", "{type: can, base: 'dropping:Dropping', pairs: [[user, item]]}"]
)
def test_a_tower_of_the_user_can_have_dropout_of_its_own(make_experiment, model, tmp_path, monkeypatch):
    (tmp_path / "dropping.py").write_text(TOWER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("ctr.config.user_code._trusted", {"dropping"})
    monkeypatch.delitem(sys.modules, "dropping", raising=False)
    assert make_experiment(f"model={model}", ON).training.self_ensemble


def test_both_losses_of_training_are_logged_and_only_the_plain_one_of_a_validation(make_experiment, tmp_path):
    report = ctr.train(make_experiment(MODEL, ON, "training.epochs=3"), tmp_path / "run")
    trained, validated = (lines_of(tmp_path / "run", kind) for kind in ("train", "valid"))
    assert len(trained) == 3
    for line in trained:
        assert all(line[name] > 0 for name in TERMS)
        # each pass has at least the entropy of the mean, and little more after a few steps at a dropout of 0.2
        assert line["loss/self_ensemble"] < 2.2 * line["loss"]
    assert all("loss/self_ensemble" not in line for line in validated)
    assert report["metrics"]["valid"]["log_loss"] in [line["loss"] for line in validated]
    assert "self_ensemble" not in json.dumps(report["metrics"])


def test_the_setting_changes_training_and_not_the_start(make_experiment):
    assert "training.self_ensemble" in START_NEUTRAL
    one, both = (OneStep(make_experiment(MODEL, f"training.self_ensemble={on}")) for on in ("false", "true"))
    assert part_fingerprints(one.model) == part_fingerprints(both.model)
    for each in (one, both):
        assert each.step(each.batch(seed=1)).is_finite
    assert part_fingerprints(one.model) != part_fingerprints(both.model)


@pytest.mark.parametrize(
    "settings", [pytest.param([], id="by epochs", marks=pytest.mark.slow), pytest.param(BY_STEPS, id="by steps")]
)
@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_ends_as_one_left_alone(experiment_of, undisturbed, tmp_path, settings):
    experiment = experiment_of(MODEL, ON, *settings)
    with pytest.raises(Killed):
        ctr.train(experiment, tmp_path / "run", callbacks=[After(20, kill)])
    kept = next(tmp_path.glob("run*"))
    assert "loss/self_ensemble" in (kept / "metrics.jsonl").read_text()
    resume(experiment, kept)
    assert ending(kept) == undisturbed(MODEL, ON, *settings)


@pytest.mark.slow
def test_replicas_sum_to_the_losses_of_one_and_go_on_where_they_were(make_experiment, config, tmp_path):
    # a dropout that drops nothing, because replicas have masks of their own, and no batch norm, which they divide
    changes = [MODEL, ON, "model.dropout=1.0e-9", "model.batch_norm=false", "training.epochs=2", "data.weight=w"]
    ctr.train(make_experiment(*changes), tmp_path / "alone")
    check_two_replicas_log_as_one(config, tmp_path, changes, TERMS)


def test_mixed_precision_trains_with_losses_in_float32(make_experiment):
    settings = [MODEL, ON, "model.dropout=0.1"]
    plain, mixed = (
        OneStep(make_experiment(*settings, f"training.precision={precision}"))
        for precision in ("float32", "mixed_bfloat16")
    )
    losses = [each.step(each.batch(rows=256, seed=1)).loss for each in (plain, mixed)]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_a_step_that_is_not_finite_leaves_no_trace(make_experiment):
    tried, spared = (OneStep(make_experiment(MODEL, ON)) for _ in range(2))
    for one in (tried, spared):
        assert one.step(one.batch(seed=1)).is_finite
    bias = tried.model.tower.head.bias
    before, value = tried.variables(), bias.numpy()
    bias.assign([math.inf])
    assert not tried.step(tried.batch(seed=2)).is_finite
    bias.assign(value)
    assert all(np.array_equal(*pair) for pair in zip(tried.variables(), before, strict=True))
    assert tried.step(tried.batch(seed=2)).loss == spared.step(spared.batch(seed=2)).loss


def test_a_diverged_step_is_replayed_with_both_of_its_passes(make_experiment, tmp_path):
    huge = "optimizers.dense={type: sgd, learning_rate: 1.0e30}"
    with pytest.raises(Diverged, match="the update was skipped") as error:
        ctr.train(make_experiment(MODEL, ON, huge), tmp_path / "run")
    [step] = tmp_path.glob("run*/diverged/*.parquet")
    [found, *_] = replay(step)
    assert f"the loss is {found.loss:g}" in str(error.value).replace("-nan", "nan")
    names = [stage.name for stage in found.stages if stage.name.startswith(("qnn", "pass"))]
    first = [name for name in names if not name.startswith("pass")]
    assert names == [*first, *(f"pass 2/{name}" for name in first)]
    assert first[-1] == "qnn"
    for stage in found.stages:
        if stage.name.endswith(("dense", "head")):  # trained weights and their gradient once
            assert (stage.weights is None) is stage.name.startswith("pass")
            assert (stage.gradient is None) is stage.name.startswith("pass")
        if stage.name.endswith("batch_norm"):  # moving averages change in each pass
            assert stage.weights is not None
    assert found.first is not None
    assert not found.first.startswith("pass")


def test_a_replayed_step_has_the_loss_of_its_training(make_experiment, tmp_path):
    experiment = make_experiment(MODEL, ON)
    one = OneStep(experiment)
    for seed in (1, 2):
        one.step(one.batch(seed=seed))
    batch = one.batch(seed=3)
    with_all_passes, _ = one.model.loss_and_gradients(batch)
    assert float(with_all_passes) == pytest.approx(one.step(batch).loss, rel=1e-5)


def test_the_plan_of_the_model_is_that_without_it(make_experiment):
    experiments = [make_experiment(MODEL, f"training.self_ensemble={on}") for on in ("false", "true")]
    one, both = (plan_model(experiment, prepare(experiment).encoder) for experiment in experiments)
    assert (one.tables, one.groups, one.blocks, one.bytes) == (both.tables, both.groups, both.blocks, both.bytes)
