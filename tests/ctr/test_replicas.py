"""Replicas share every batch and compute the same as one device on the whole batch."""

import json
import subprocess
import sys

import numpy as np
import pytest

import ctr
from ctr.config.experiment import ConfigError
from ctr.runs.run import Run
from ctr.training.checkpoint import load_best
from ctr.training.data import prepare
from ctr.training.plan import plan_model
from tests.ctr.conftest import lines_of, write_plain_config

pytestmark = pytest.mark.usefixtures("undrawn_plots")

FIXED = ["model.dropout=0", "model.batch_norm=false", "training.epochs=2"]
CAN = [
    "features.columns.history={type: sequence, table: item, max_length: 4}",
    "model={type: can, pairs: [[item, history]], stddev: 0.3, base: {type: din, targets: {history: item}, "
    "hidden: [8], activation: relu, batch_norm: false}}",
    "training.epochs=2",
]
CLIPPED = ["optimizers.clip_norm=0.1"]


@pytest.fixture
def config(tmp_path, data_folder):
    """Write the plain experiment's YAML file and return its path."""
    return write_plain_config(tmp_path / "tiny.yaml", data_folder)


def weights(experiment, folder):
    model = plan_model(experiment, prepare(experiment).encoder).build()
    load_best(Run(folder), model)
    return [variable.numpy() for variable in model.trainable_variables]


def on_two_cpus(config, *runs):
    """Train runs in one process, each (folder, last step or 0 for all, changes...), and return stderr."""
    words = [["--", folder, str(last), *changes, "training.replicas=2"] for folder, last, *changes in runs]
    command = [sys.executable, "-m", "tests.ctr.replicas", config, *(word for each in words for word in each)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stderr


def check_two_replicas_log_as_one(config, tmp_path, changes, terms):
    """Check that two replicas log the terms of the run `alone`, and the same bytes if they are stopped and resumed."""
    runs = [(tmp_path / "both", 0, *changes), (tmp_path / "run", 8, *changes)]
    assert "Interrupted" in on_two_cpus(config, *runs)
    on_two_cpus(config, (tmp_path / "run", 0, *changes))
    alone, both = (lines_of(tmp_path / name, "train") for name in ("alone", "both"))
    for one, other in zip(alone, both, strict=True):
        assert [other[name] for name in terms] == pytest.approx([one[name] for name in terms], rel=1e-4)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (tmp_path / "both" / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(FIXED, id="plain", marks=pytest.mark.slow),
        pytest.param(FIXED + CLIPPED, id="clipped"),
        pytest.param(CAN, id="can on din", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_two_replicas_train_to_the_weights_of_one(make_experiment, config, tmp_path, changes):
    alone = ctr.train(make_experiment(*changes), tmp_path / "alone")
    on_two_cpus(config, (tmp_path / "both", 0, *changes))

    both = json.loads((tmp_path / "both" / "report.json").read_text())

    assert both["fingerprints"]["initial_weights"] == alone["fingerprints"]["initial_weights"]
    assert both["fingerprints"]["data_order"] == alone["fingerprints"]["data_order"]
    assert both["training"] == alone["training"]
    assert both["metrics"]["valid"]["auc"] == pytest.approx(alone["metrics"]["valid"]["auc"], abs=1e-3)
    experiment = make_experiment(*changes)
    for one, other in zip(*(weights(experiment, tmp_path / name) for name in ("alone", "both")), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-4 * np.abs(one).max())


@pytest.mark.slow
def test_replicas_that_are_interrupted_go_on_as_if_they_had_not_been(config, tmp_path):
    """Each replica has its own mean loss and moving averages, which their aggregate cannot restore."""
    assert "Interrupted" in on_two_cpus(config, (tmp_path / "whole", 0), (tmp_path / "run", 8))
    assert not (tmp_path / "run" / "report.json").exists()
    on_two_cpus(config, (tmp_path / "run", 0))
    whole, run = (json.loads((tmp_path / name / "report.json").read_text()) for name in ("whole", "run"))
    assert run["fingerprints"] == whole["fingerprints"]
    assert run["metrics"] == whole["metrics"]
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


def test_more_replicas_than_devices_are_refused(make_experiment, tmp_path):
    with pytest.raises(
        ConfigError, match=r"training\.replicas: 2 replicas need 2 GPUs, but TensorFlow sees 0\. Use fewer"
    ):
        ctr.train(make_experiment("training.replicas=2"), tmp_path / "run")
