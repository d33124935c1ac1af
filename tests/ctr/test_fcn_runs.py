"""Runs of FCN, whose losses depend on weighted means over the batch: resuming and replicas."""

import pytest

import ctr
from tests.ctr.conftest import lines_of, write_plain_config
from tests.ctr.test_replicas import check_two_replicas_log_as_one

pytestmark = pytest.mark.usefixtures("undrawn_plots", "every_checkpoint_is_saved")
# no batch norm, which replicas divide
MODEL = "model={type: fcn, linear_layers: 1, batch_norm: false, initializer: {tables: 0.3}}"
TERMS = ["loss", "loss/exponential", "loss/linear"]


@pytest.fixture
def config(tmp_path, data_folder):
    """Write the plain experiment's YAML file and return its path."""
    return write_plain_config(tmp_path / "tiny.yaml", data_folder)


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
    check_two_replicas_log_as_one(config, tmp_path, changes, TERMS)
