"""The plan of a model matches the built model, takes no memory, and is made at most twice per run."""

import pytest

import ctr
from ctr.config.experiment import load_experiment
from ctr.errors import ConfigError
from ctr.training import build as build_module
from ctr.training.data import empty_encoder, prepare
from ctr.training.plan import ModelPlan, plan_model
from models import MODELS, CTRModel
from tests.ctr.pairings import settings_of

pytestmark = pytest.mark.usefixtures("undrawn_plots")
GIB = 2**30


@pytest.mark.parametrize("name", MODELS)
def test_a_plan_is_what_is_built_of_it(make_experiment, name):
    experiment = make_experiment(*settings_of(name), "optimizers.sparse.*user={type: sgd, learning_rate: 0.1}")
    plan = plan_model(experiment, prepare(experiment).encoder)
    model = plan.build()
    owned = model.optimizer.owned(model.trainable_variables)
    of_tables = [one for one in owned if one.kind == "table"]
    assert sorted(plan.groups) == sorted(one.names for one in of_tables)
    assert {one.name: (one.rows, one.dim) for one in plan.tables} == {
        one.name: (one.rows, one.dim) for one in model.tables.inputs.tables
    }
    assert {one.name: one.pattern for one in plan.tables} == {
        table: one.pattern for one in of_tables for table in one.names
    }
    assert plan.table_bytes == sum(4 * one.shape[0] * one.shape[1] + one.state_bytes for one in of_tables)
    assert list(plan.blocks) == list(model.tower.blocks)
    kept = {id(one): model.optimizer.state_of(one) for one in model.trainable_variables}
    for block, layers in model.tower.blocks.items():
        trained = [one for layer in layers for one in layer.trainable_variables]
        state = [one for variable in trained for one in kept[id(variable)].values()]
        assert plan.blocks[block] == 4 * sum(one.shape.num_elements() for one in [*trained, *state])
    for (kind, names), variable in zip(model.logical_variables, model.trainable_variables, strict=True):
        for name in names:
            updater = plan.updaters[f"{kind} {name}"]
            assert updater.optimizer.get_config() == model.optimizer.optimizer_of(variable).get_config()
            assert set(kept[id(variable)]) <= set(updater.state)


@pytest.mark.parametrize("name", ["wide_deep", "can"])
def test_a_completed_plan_is_that_of_the_fitted_encoder(make_experiment, name):
    experiment = make_experiment(*settings_of(name))
    encoder = prepare(experiment).encoder
    before, fitted = plan_model(experiment, empty_encoder(experiment)), plan_model(experiment, encoder)
    completed = before.completed(encoder)
    for key in ("experiment", "inputs", "base_logit", "tables", "groups", "blocks"):
        assert getattr(completed, key) == getattr(fitted, key), key
    assert completed.updaters is before.updaters
    assert before.table_bytes < completed.table_bytes


def test_a_plan_takes_no_memory(make_experiment):
    experiment = make_experiment(
        "features.columns.user={hash: 1000000000, dim: 64}",
        "model.hidden=[40000, 40000]",
        "optimizers.dense={type: adamw}",
    )
    plan = plan_model(experiment, empty_encoder(experiment))
    assert plan.table_bytes > 2 * 4 * 64 * 10**9
    assert plan.tower_bytes > 3 * 4 * 40000**2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model={type: dcn_v2, rank: 900}", "model: rank must be below the width of the input"),
        ("model={type: compressed_dot, groups: [[user]]}", "model: groups must name each field once"),
        (
            "optimizers.dense={crosses: {type: adam}}",
            "optimizers: pattern 'crosses' matches no name. Use one of: cross, deep, head",
        ),
        (
            "optimizers.sparse={user: {type: adagrad}}",
            "optimizers: no pattern matches 'item'. Add 'item' or '*'. Received: user",
        ),
    ],
)
def test_what_layers_and_patterns_refuse_is_found_without_data(make_experiment, override, message):
    experiment = make_experiment(override)
    with pytest.raises(ConfigError) as raised:
        plan_model(experiment, empty_encoder(experiment))
    assert str(raised.value).startswith(message)
    assert len(str(raised.value).splitlines()) == 1


def test_a_training_plans_twice_and_builds_once(place, tmp_path, monkeypatch):
    counts = dict.fromkeys(["planned", "of the parent", "completed", "built", "models"], 0)

    def counted(key, function):
        def call(*arguments, **named):
            counts[key] += 1
            return function(*arguments, **named)

        return call

    monkeypatch.setattr("ctr.jobs.train.plan_model", counted("planned", plan_model))
    monkeypatch.setattr("ctr.training.warm_start.plan_model", counted("of the parent", plan_model))
    monkeypatch.setattr(ModelPlan, "completed", counted("completed", ModelPlan.completed))
    monkeypatch.setattr(ModelPlan, "build", counted("built", ModelPlan.build))
    monkeypatch.setattr(build_module, "CTRModel", counted("models", CTRModel))
    ctr.train(load_experiment(place / "tiny.yaml", ["training.epochs=1"]), tmp_path / "run")
    # the outline for the plan, and the model
    assert counts == {"planned": 1, "of the parent": 0, "completed": 1, "built": 1, "models": 2}
    warm = f"training.warm_start={{run: {tmp_path / 'run'}}}"
    ctr.train(load_experiment(place / "tiny.yaml", ["training.epochs=1", warm]), tmp_path / "next")
    # once more, and the same for the run of the warm start
    assert counts == {"planned": 2, "of the parent": 1, "completed": 2, "built": 3, "models": 6}
