"""Runs of a tower with its own losses: metrics.jsonl, replicas, resuming and divergence."""

import numpy as np
import pyarrow.parquet as pq
import pytest

import ctr
from ctr.errors import Diverged
from ctr.jobs.replay import replay
from ctr.runs.run import Run
from ctr.training.checkpoint import load_best
from ctr.training.data import prepare
from ctr.training.plan import plan_model
from features import read_tables
from models import MODELS
from tests.ctr.conftest import BY_STEPS, After, Killed, ending, kill, lines_of, resume, write_plain_config
from tests.ctr.test_divergence import OneStep
from tests.ctr.test_replicas import check_two_replicas_log_as_one
from tests.reference import penalized as reference
from tests.toy_towers import TOYS

pytestmark = pytest.mark.usefixtures("undrawn_plots", "every_checkpoint_is_saved", "toys")
MODEL = "model={type: penalized, hidden: [8], coefficient: 0.7, initializer: {tables: 0.3}}"
AT_REST = [  # weights stay as initialized, so that the mean over an epoch is a mean over examples
    "optimizers.sparse={'*': {type: sgd, learning_rate: 1.0e-30}}",
    "optimizers.dense={type: sgd, learning_rate: 1.0e-30}",
]
TERMS = ["loss", "loss/activity", "loss/logit"]


@pytest.fixture
def config(tmp_path, data_folder):
    """Write the plain experiment's YAML file and return its path."""
    return write_plain_config(tmp_path / "tiny.yaml", data_folder)


@pytest.fixture(scope="module")
def toys():
    """Register the toy towers under their names."""
    with pytest.MonkeyPatch.context() as patched:
        for name, tower in TOYS.items():
            patched.setitem(MODELS, name, tower)
        yield


def expected(model, experiment, prepared, split):
    """Return the mean of each term over a split, by the reference in float64."""
    [(dense, *_)] = model.tower.deep.blocks
    weights = [dense.kernel, dense.bias, model.tower.head.kernel, model.tower.head.bias]
    found, weight = {name: [] for name in TERMS}, []
    for group, table in read_tables(prepared.splits[split], prepared.encoder.input_columns):
        batch = prepared.encoder(table, str(group))
        terms = reference.terms(model.tables(batch)["deep"], *weights, batch["label"], model.tower.coefficient)
        for name in TERMS:
            found[name].append(terms[name])
        rate = experiment.data.negative_sampling_rate or 1.0
        # training examples have their plain weights; a validation corrects for negative sampling
        sampled = np.where(batch["label"] == 1, 1.0, 1 / rate) if split != "train" else 1.0
        weight.append(batch["weight"] * sampled)
    return {name: np.average(np.concatenate(found[name]), weights=np.concatenate(weight)) for name in TERMS}


@pytest.mark.parametrize(
    "weighted", [[], ["data.weight=w", "data.negative_sampling_rate=0.5"]], ids=["plain", "weighted"]
)
def test_metrics_hold_each_term_over_the_examples_that_the_loss_is_of(make_experiment, tmp_path, weighted):
    experiment = make_experiment(MODEL, *AT_REST, *weighted, "training.epochs=1")
    ctr.train(experiment, tmp_path / "run")
    prepared = prepare(experiment)
    model = plan_model(experiment, prepared.encoder).build()
    for kind in ("train", "valid"):
        [line] = lines_of(tmp_path / "run", kind)
        terms = expected(model, experiment, prepared, kind)
        for name in TERMS[kind == "valid" and bool(weighted) :]:  # of scores corrected for negative sampling
            assert line[name] == pytest.approx(terms[name], rel=2e-6), name


def test_a_validation_is_of_the_weights_that_it_finds(make_experiment, tmp_path):
    experiment = make_experiment(MODEL, "training.epochs=1", "data.weight=w")
    ctr.train(experiment, tmp_path / "run")
    prepared = prepare(experiment)
    model = plan_model(experiment, prepared.encoder).build()
    start = expected(model, experiment, prepared, "valid")
    load_best(Run(tmp_path / "run"), model)
    trained = expected(model, experiment, prepared, "valid")
    [line] = lines_of(tmp_path / "run", "valid")
    for name in TERMS:
        assert line[name] == pytest.approx(trained[name], rel=1e-5)
        assert trained[name] != pytest.approx(start[name], rel=1e-2)


def test_the_terms_are_logged_and_do_not_enter_the_report(make_experiment, tmp_path):
    report = ctr.train(make_experiment(MODEL, "training.epochs=2"), tmp_path / "run")
    lines = lines_of(tmp_path / "run", "train")
    assert all(lines[1][name] != lines[0][name] for name in TERMS)
    assert "val_loss/activity" in lines[1]
    assert report["metrics"]["valid"]["log_loss"] in [line["loss"] for line in lines_of(tmp_path / "run", "valid")]
    assert "activity" not in (tmp_path / "run" / "report.json").read_text()


@pytest.mark.parametrize(
    "settings", [pytest.param([], id="by epochs", marks=pytest.mark.slow), pytest.param(BY_STEPS, id="by steps")]
)
@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_ends_as_one_left_alone(experiment_of, undisturbed, tmp_path, settings):
    experiment = experiment_of(MODEL, *settings)
    with pytest.raises(Killed):
        ctr.train(experiment, tmp_path / "run", callbacks=[After(20, kill)])
    kept = next(tmp_path.glob("run*"))
    assert "loss/activity" in (kept / "metrics.jsonl").read_text()
    resume(experiment, kept)
    assert ending(kept) == undisturbed(MODEL, *settings)


@pytest.mark.slow
def test_replicas_train_to_the_terms_of_one_and_go_on_where_they_were(make_experiment, config, tmp_path):
    changes = [MODEL, "training.epochs=2", "data.weight=w"]
    ctr.train(make_experiment(*changes), tmp_path / "alone")
    check_two_replicas_log_as_one(config, tmp_path, changes, TERMS)


def test_a_step_whose_own_loss_is_not_finite_leaves_no_trace(make_experiment):
    tried, spared = (OneStep(make_experiment(MODEL)) for _ in range(2))
    for one in (tried, spared):
        assert one.step(one.batch(seed=1)).is_finite
    bias = tried.model.tower.head.bias
    before, value = tried.variables(), bias.numpy()
    bias.assign([1e25])  # the cross-entropy of this logit is finite, its square is not
    outcome = tried.step(tried.batch(seed=2))
    assert (outcome.loss, outcome.is_finite) == (np.inf, False)
    bias.assign(value)
    assert all(np.array_equal(*pair) for pair in zip(tried.variables(), before, strict=True))


def test_a_run_whose_own_loss_diverges_is_explained_and_replayed(make_experiment, tmp_path):
    model = MODEL.replace("coefficient: 0.7", "coefficient: 1.0e+38")
    with pytest.raises(Diverged, match=r"step 1: the loss is inf; the update was skipped"):
        ctr.train(make_experiment(model, "data.weight=w", "model.initializer.tables=30"), tmp_path / "run")
    [step] = tmp_path.glob("run*/diverged/*.parquet")
    [found] = replay(step)
    assert found.loss == np.inf
    assert found.first == "dnn"


def test_a_loss_of_labels_is_validated_and_needs_none_to_score(make_experiment, data_folder, tmp_path):
    model = "model={type: self_taught, hidden: [8], batch_norm: false}"
    report = ctr.train(make_experiment(model, "training.epochs=1"), tmp_path / "run")
    [line] = lines_of(tmp_path / "run", "valid")
    assert line["loss/error"] == pytest.approx(report["metrics"]["valid"]["brier"], rel=1e-5)
    rows = pq.read_table(data_folder / "part-0.parquet").drop_columns(["clicked"])
    pq.write_table(rows, tmp_path / "unlabelled.parquet")
    found = ctr.evaluate(tmp_path / "run", str(tmp_path / "unlabelled.parquet"))
    assert found["metrics"]["unlabelled"]["rows"] == rows.num_rows
