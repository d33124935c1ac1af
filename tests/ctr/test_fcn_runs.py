"""Runs of FCN, whose losses depend on weighted means over the batch: resuming and replicas."""

import json

import pytest

import ctr
from tests.ctr.conftest import write_plain_config
from tests.ctr.test_replicas import on_two_cpus

pytestmark = pytest.mark.usefixtures("undrawn_plots", "every_checkpoint_is_saved")
# no batch norm, which replicas divide
MODEL = "model={type: fcn, linear_layers: 1, batch_norm: false, initializer: {tables: 0.3}}"
TERMS = ["loss", "loss/exponential", "loss/linear"]


@pytest.fixture
def config(tmp_path, data_folder):
    """Write the plain experiment's YAML file and return its path."""
    return write_plain_config(tmp_path / "tiny.yaml", data_folder)


def lines_of(run, kind):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def test_both_losses_are_logged_in_training_and_validation(make_experiment, tmp_path):
    ctr.train(make_experiment(MODEL, "training.epochs=2", "data.weight=w"), tmp_path / "run")
    for kind in ("train", "valid"):
        for line in lines_of(tmp_path / "run", kind):
            assert [line[name] >= 0 for name in TERMS] == [True] * 3
            assert max(line[name] for name in TERMS[1:]) > 0


@pytest.mark.slow
def test_replicas_train_to_the_terms_of_one_and_go_on_where_they_were(make_experiment, config, tmp_path):
    changes = [MODEL, "training.epochs=2", "data.weight=w"]
    ctr.train(make_experiment(*changes), tmp_path / "alone")
    trainings = [(tmp_path / "both", 0, *changes), (tmp_path / "run", 8, *changes)]
    assert "Interrupted" in on_two_cpus(config, *trainings)
    on_two_cpus(config, (tmp_path / "run", 0, *changes))
    alone, both = (lines_of(tmp_path / name, "train") for name in ("alone", "both"))
    for one, other in zip(alone, both, strict=True):
        assert [other[name] for name in TERMS] == pytest.approx([one[name] for name in TERMS], rel=1e-4)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (tmp_path / "both" / "metrics.jsonl").read_bytes()
