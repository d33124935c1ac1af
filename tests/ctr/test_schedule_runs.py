"""Learning rate schedules in the config: logged, resolved, reduced on a plateau, and rejected if invalid."""

import json

import pytest

import ctr
from ctr.config.experiment import ConfigError, load_experiment
from tests.ctr.conftest import write_plain_config

pytestmark = pytest.mark.usefixtures("undrawn_plots")

ONE_SET = (
    "training={batch_size: 60, threads: 2, device: cpu, epochs: 3, early_stopping: {patience: 9}}"  # 12 steps each
)


@pytest.fixture
def config(tmp_path, data_folder):
    """Write the plain experiment's YAML file and return its path."""
    return write_plain_config(tmp_path / "tiny.yaml", data_folder)


def with_rates(table, tower):
    return (
        f"optimizers={{sparse: {{'*': {{type: rmsprop_v2, learning_rate: {table}}}}}, "
        f"dense: {{type: adam, learning_rate: {tower}}}}}"
    )


def logged(folder, kind="train"):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["learning_rate"] for line in lines if line["kind"] == kind]


def test_the_rate_in_use_is_logged_by_epoch_and_by_step(make_experiment, tmp_path):
    rates = with_rates(
        "{schedule: exponential, initial: 0.1, k: 0.5}",
        "{schedule: hyperbolic, initial: 0.01, k: 0.1, per: step, warm_up: {epochs: 1}}",
    )
    ctr.train(make_experiment(ONE_SET, rates), tmp_path / "run")
    found = logged(tmp_path / "run")
    assert [one["table *"] for one in found] == pytest.approx([0.1, 0.05, 0.025])
    expected = [0.01 / (1 + 0.1 * step) * min(1, step / 12) for step in (11, 23, 35)]
    assert [one["tower *"] for one in found] == pytest.approx(expected, rel=1e-5)


def test_without_a_length_a_cosine_ends_with_the_training(make_experiment, tmp_path):
    ctr.train(make_experiment(ONE_SET, with_rates("{schedule: cosine, initial: 0.1}", "0.01")), tmp_path / "run")
    assert 0 < logged(tmp_path / "run")[-1]["table *"] < 0.001


def test_a_plateau_cuts_a_schedule_too(make_experiment, tmp_path):
    rates = with_rates("{schedule: constant, initial: 1.0e-9}", "1.0e-9")  # far too small, so nothing improves
    cut = ["model.batch_norm=false", "training.reduce_lr_on_plateau={factor: 0.5}", "training.epochs=6"]
    ctr.train(make_experiment(ONE_SET, rates, *cut), tmp_path / "run")
    aucs = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    misses = sum(
        line["auc"] <= max(before["auc"] for before in aucs[:k] if "auc" in before)
        for k, line in enumerate(aucs[:-1])
        if "auc" in line and k > 1
    )
    assert misses > 0
    assert logged(tmp_path / "run")[-1]["table *"] == pytest.approx(1e-9 * 0.5**misses)


@pytest.mark.slow
def test_the_resolved_config_gives_the_same_run(make_experiment, tmp_path):
    piecewise = "{schedule: piecewise, initial: 0.1, rates: {1: 0.01, 2: 0.001}}"
    rates = with_rates(piecewise, "{schedule: cosine, initial: 0.01}")
    one = ctr.train(make_experiment(ONE_SET, rates), tmp_path / "one")
    two = ctr.train(load_experiment(tmp_path / "one" / "config.yaml"), tmp_path / "two")
    assert one["fingerprints"] == two["fingerprints"]
    assert [rate["table *"] for rate in logged(tmp_path / "two")] == pytest.approx([0.1, 0.01, 0.001])


@pytest.mark.slow
def test_a_run_with_schedules_is_evaluated(make_experiment, data_folder, tmp_path):
    rates = with_rates("{schedule: cosine, initial: 0.1, warm_up: {steps: 3}}", "0.01")
    ctr.train(make_experiment(ONE_SET, rates), tmp_path / "run")
    report = ctr.evaluate(tmp_path / "run", str(data_folder / "part-2.parquet"))
    assert report["metrics"]["part-2"]["auc"] > 0.5


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        ("{initial: 0.1}", "missing `schedule`; known: constant, hyperbolic"),
        ("{schedule: cosin, initial: 0.1}", "unknown schedule 'cosin'; did you mean 'cosine'?"),
        ("{schedule: cosine}", "initial: missing setting. Add it."),
        ("{schedule: cosine, initial: 0.1, k: 2}", "unknown key 'k'"),
        (
            "{schedule: cosine, initial: 0.1, warm_up: {steps: 1, epochs: 1}}",
            "needs a length. Set either `epochs` or `steps`.",
        ),
        ("fast", "must be a number, or a schedule such as"),
    ],
)
def test_a_wrong_schedule_is_named(make_experiment, rate, message):
    with pytest.raises(ConfigError) as error:
        make_experiment(with_rates(rate, "0.01"))
    assert "optimizers.sparse.*.learning_rate" in str(error.value)
    assert message in str(error.value)


def test_a_schedule_that_its_arguments_spoil_is_named(make_experiment, tmp_path):
    rates = with_rates("{schedule: cosine, initial: -1}", "0.01")
    with pytest.raises(ConfigError, match=r"optimizers.sparse.\*: initial must be finite and at least 0"):
        ctr.train(make_experiment(rates), tmp_path / "run")
