"""Wrappers that a config can put around any tower optimizer: penalties, layer-wise normalization, Lookahead."""

import pytest

import ctr
from ctr.config.experiment import ConfigError
from ctr.runs.run import Run
from ctr.training.checkpoint import load_best
from ctr.training.data import prepare
from ctr.training.plan import plan_model
from tests.ctr.conftest import write_plain_config

pytestmark = pytest.mark.usefixtures("undrawn_plots")

FIXED = "training={batch_size: 60, threads: 2, device: cpu, epochs: 2, early_stopping: {patience: 9}}"


@pytest.fixture
def config(tmp_path, data_folder):
    """Write the plain experiment's YAML file and return its path."""
    return write_plain_config(tmp_path / "tiny.yaml", data_folder)


def towers(model):
    return {owned.optimizer for owned in model.optimizer.owned(model.trainable_variables) if owned.kind == "tower"}


@pytest.mark.parametrize(
    ("around", "name"),
    [
        ("", "Adam"),
        ("l1_gradient: 0.1", "regularized-Adam"),
        ("l2_gradient: 0.1", "regularized-Adam"),
        ("layerwise_normalization: true", "layerwise_normalization-Adam"),
        ("lookahead: {}", "lookahead-Adam"),
        (
            "l2_gradient: 0.1, layerwise_normalization: true, lookahead: {every: 2}",
            "lookahead-layerwise_normalization-regularized-Adam",
        ),
    ],
)
def test_settings_put_wrappers_around_the_optimizer(make_experiment, around, name):
    experiment = make_experiment(FIXED, f"optimizers.dense={{type: adam, {around}}}")

    assert towers(plan_model(experiment, prepare(experiment).encoder).build()) == {name}


@pytest.mark.slow
def test_a_wrapped_optimizer_trains_as_resolved(make_experiment, tmp_path):
    dense = "optimizers.dense={type: momentum, l2_gradient: 0.01, layerwise_normalization: true, lookahead: {every: 3}}"
    first = ctr.train(make_experiment(FIXED, dense), tmp_path / "run")

    again = ctr.train(ctr.load_experiment(tmp_path / "run" / "config.yaml"), tmp_path / "again")

    assert again["fingerprints"] == first["fingerprints"]
    assert first["metrics"]["valid"]["auc"] > 0.6


@pytest.mark.slow
def test_an_l2_on_towers_makes_their_matrices_smaller(make_experiment, tmp_path):
    def size_of_towers(l2):
        dense = f"optimizers.dense={{type: sgd, learning_rate: 0.1, l2_gradient: {l2}}}"
        experiment = make_experiment(FIXED, dense)
        ctr.train(experiment, tmp_path / str(l2))
        model = plan_model(experiment, prepare(experiment).encoder).build()
        load_best(Run(tmp_path / str(l2)), model)
        kernels = [v for v in model.trainable_variables if v.name.endswith("kernel:0")]
        return sum(float((v.numpy() ** 2).sum()) for v in kernels)

    assert size_of_towers(1.0) < 0.2 * size_of_towers(0.0)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("l2: 0.1", "optimizers.dense.*: unknown key 'l2'; known: l1_gradient, l2_gradient"),
        ("l2_gradient: -1", "optimizers.dense.*.l2_gradient: must be at least 0"),
        ("lookahead: {every: 0}", "optimizers.dense.*.lookahead.every: must be above 0"),
        ("lookahead: {alpha: 2}", "optimizers.dense.*.lookahead.alpha: must be at most 1"),
    ],
)
def test_a_wrong_setting_is_named(make_experiment, setting, message):
    with pytest.raises(ConfigError) as raised:
        make_experiment(f"optimizers.dense={{type: adam, {setting}}}")
    assert message in str(raised.value)


def test_tables_have_no_wrappers(make_experiment):
    with pytest.raises(ConfigError, match="unknown key 'lookahead'"):
        make_experiment("optimizers.sparse={'*': {type: rmsprop_v2, lookahead: {}}}")
