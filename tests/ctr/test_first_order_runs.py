"""Whole runs of linear, FM and DeepFM on the small click log, with every kind of feature."""

import numpy as np
import pytest

import ctr
from ctr.config.experiment import ConfigError, load_experiment
from ctr.training.data import empty_encoder, prepare
from ctr.training.plan import plan_model
from optimizers import DENSE
from tests.conftest import click_log
from tests.ctr.test_replicas import on_two_cpus, weights

pytestmark = pytest.mark.usefixtures("undrawn_plots")

FEATURES = [
    "features.columns.scaled={type: numeric, column: price, as: embedding, dim: 4}",
    "features.columns.price_range={type: numeric, column: price, as: buckets, buckets: 5, dim: 4}",
    "features.columns.user_x_item={type: cross, of: [user, item], hash: 300, dim: 1}",
    "features.columns.user_x_history={type: sequence_cross, of: [user, history], hash: 200, dim: 1}",
]
WIDE = {"user", "item", "hour", "history", "scaled", "price_range", "user_x_item", "user_x_history"}
NO_NUMBERS = "features.columns.price=drop"
MODELS = {"linear": "{type: linear}", "fm": "{type: fm}", "deepfm": "{type: deepfm, hidden: [8]}"}
every_model = pytest.mark.parametrize("name", MODELS)


def sparse_of(experiment):
    return {pattern: settings.type for pattern, settings in experiment.optimizers.sparse.items()}


@pytest.fixture
def make(make_experiment):
    return lambda name, *overrides: make_experiment(f"model={MODELS[name]}", *FEATURES, *overrides)


@pytest.fixture(scope="module")
def linear(small_config, tmp_path_factory):
    """Return folder and report of a run of `linear` without plain numbers."""
    run = tmp_path_factory.mktemp("linear") / "run"
    sets = [f"model={MODELS['linear']}", *FEATURES, NO_NUMBERS, "training.epochs=2"]
    return run, ctr.train(load_experiment(small_config, sets), run)


# Optimizers


@every_model
def test_all_first_order_weights_train_with_ftrl_unless_the_config_names_them(make, name):
    assert sparse_of(make(name)) == {"wide/*": "ftrl", "*": "rmsprop_v2"}
    default = make(name).optimizers.sparse["wide/*"]
    assert (default.learning_rate, default.beta, default.l1) == (0.1, 0.001, 0.0001)
    named = sparse_of(make(name, "optimizers.sparse.wide/history={type: adagrad}"))
    others = {f"wide/{feature}": "ftrl" for feature in WIDE - {"history"}}
    assert named == {"*": "rmsprop_v2", "wide/history": "adagrad", **others}


@every_model
def test_plans_of_all_of_these_fit(make, name):
    for overrides in ([], ["optimizers.sparse.wide/history={type: adagrad}"], [NO_NUMBERS]):
        experiment = make(name, *overrides)
        tables = {table.name: table.optimizer for table in plan_model(experiment, empty_encoder(experiment)).tables}
        wide = {table for table in tables if table.startswith("wide/")}
        assert wide == {f"wide/{feature}" for feature in WIDE}
        assert {tables[table] for table in wide} <= {"ftrl", "adagrad"}


def test_a_linear_model_of_plain_numbers_has_no_table_and_no_optimizer_of_tables(make_experiment):
    experiment = make_experiment("features.columns={price: {type: numeric}}", "model=linear")

    assert plan_model(experiment, empty_encoder(experiment)).tables == ()
    assert sparse_of(experiment) == {"*": "rmsprop_v2"}


def test_the_default_names_no_table_of_a_sequence_that_can_reads(make_experiment):
    experiment = make_experiment(
        "features.columns.seen={type: sequence, column: history, pooling: none}",
        "model={type: can, pairs: [[item, seen]], base: linear}",
        "optimizers.sparse.wide/user={type: adagrad}",
    )

    tables = {table.name: table.optimizer for table in plan_model(experiment, empty_encoder(experiment)).tables}

    assert tables["wide/user"] == "adagrad"
    assert tables["wide/item"] == "ftrl"
    assert "wide/seen" not in tables
    assert "item" not in tables  # the base has no embeddings


def test_a_dropped_feature_takes_the_optimizer_of_its_wide_weights_with_it(make):
    own = "optimizers.sparse.wide/history={type: adagrad}"

    sparse = sparse_of(make("linear", own, "features.columns.user_x_history=drop", "features.columns.history=drop"))

    assert not [pattern for pattern in sparse if "history" in pattern]


@pytest.mark.parametrize("numbers", [[], [NO_NUMBERS]], ids=["with numbers", "without numbers"])
@every_model
def test_each_is_a_stream_of_two_streams(make_experiment, name, numbers):
    model = f"model={{type: two_stream, streams: {{easy: {MODELS[name]}, hard: {{type: deepfm, hidden: [8]}}}}}}"
    experiment = make_experiment(model, *FEATURES, *numbers)
    prepared = prepare(experiment)
    plan = plan_model(experiment, prepared.encoder)
    built = plan.build()

    logits = built(prepared.encoder(click_log(20, seed=4), "here")).numpy()

    optimizers = {table.name: table.optimizer for table in plan.tables}
    for stream in ("easy", "hard"):
        assert {optimizers[f"streams/{stream}/wide/{feature}"] for feature in WIDE} == {"ftrl"}
    kernels = [tuple(v.shape) for v in built.tower.easy.trainable_variables if v.name.endswith("kernel:0")]
    assert ((2, 1) in kernels) == (not numbers)  # the weights of the price and of its missing values
    assert np.isfinite(logits).all()


# Runs


def test_a_run_reports_every_table_and_no_embedding(linear):
    _, report = linear

    assert {table["name"]: table["dim"] for table in report["tables"]} == {f"wide/{name}": 1 for name in WIDE}
    assert [component["name"] for component in report["model"]["components"]] == ["tables", "head"]
    assert report["metrics"]["test"]["auc"] > 0.6
    used = {table["name"]: 1 - table["row_sparsity"] for table in report["tables"]}
    assert used["wide/scaled"] == 1
    assert 0 < used["wide/user_x_item"] < 1


def test_its_wide_weights_are_found_by_the_name_of_the_feature(linear):
    run = ctr.load_run(linear[0])

    for feature in sorted(WIDE):
        frame = run.embeddings(feature)
        assert frame.equals(run.embeddings(f"wide/{feature}"))
        assert list(frame.columns) == ["kind", "value", "count", "dim_0"]


@every_model
def test_mixed_precision_trains(make, name, tmp_path):
    report = ctr.train(make(name, "training.precision=mixed_bfloat16", "training.epochs=1"), tmp_path / "run")

    assert np.isfinite(report["metrics"]["test"]["log_loss"])


@pytest.mark.slow
def test_every_optimizer_of_a_tower_trains_a_bias_alone(make, tmp_path):
    for name in DENSE:
        experiment = make("linear", NO_NUMBERS, f"optimizers.dense={{type: {name}}}", "training.epochs=1")
        report = ctr.train(experiment, tmp_path / name)
        assert np.isfinite(report["metrics"]["test"]["log_loss"]), name


@pytest.mark.slow
def test_two_replicas_train_a_linear_model_without_numbers_to_the_weights_of_one(
    make_experiment, small_config, tmp_path
):
    sets = [f"model={MODELS['linear']}", *FEATURES, NO_NUMBERS, "training.epochs=2", "optimizers.clip_norm=0.1"]
    alone = ctr.train(make_experiment(*sets), tmp_path / "alone")
    on_two_cpus(small_config, (tmp_path / "both", 0, *sets))

    one, two = (weights(make_experiment(*sets), tmp_path / name) for name in ("alone", "both"))
    for left, right in zip(one, two, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)
    assert alone["model"]["components"]


# What is refused


@every_model
def test_a_sequence_that_is_not_pooled_is_refused(make_experiment, name):
    experiment = make_experiment(f"model={MODELS[name]}", "features.columns.history.pooling=none")

    with pytest.raises(ConfigError) as caught:
        plan_model(experiment, empty_encoder(experiment))

    assert str(caught.value) == (
        "features.columns.history: `pooling: none` needs a model that reads single behaviors, but "
        f"{name} does not. Use `mean` or `sum`, or name the feature in `targets` of din or `pairs` of can."
    )


@every_model
def test_a_cross_of_a_sequence_with_embeddings_that_is_not_pooled_is_refused_too(make, name):
    pairs = (
        "features.columns.user_x_history={type: sequence_cross, of: [user, history], hash: 9, dim: 4, pooling: none}"
    )
    experiment = make(name, pairs)

    with pytest.raises(ConfigError, match=r"columns\.user_x_history: `pooling: none` needs a model"):
        plan_model(experiment, empty_encoder(experiment))


@pytest.mark.parametrize("name", ["fm", "deepfm"])
def test_embeddings_of_two_widths_are_refused(make, name):
    experiment = make(name, "features.columns.user.dim=5")

    with pytest.raises(ConfigError, match=f"model: {name} needs at least two embeddings, all of one width"):
        plan_model(experiment, empty_encoder(experiment))


def test_a_linear_model_takes_features_of_any_dim(make):
    experiment = make("linear", "features.columns.user.dim=5", "features.columns.user_x_item.dim=7")

    assert {table.dim for table in plan_model(experiment, empty_encoder(experiment)).tables} == {1}
