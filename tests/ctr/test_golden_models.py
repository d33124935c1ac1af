"""Six training steps of every model and of every optimizer equal those of `tests/golden/models`."""

import json

import numpy as np
import pytest

from models import MODELS
from optimizers import DENSE, SPARSE
from tests.ctr.pairings import golden_pairings
from tests.ctr.trajectory import FOLDER, WRITE, differences, path_of, prepare_clicks, projection, train

PAIRINGS = golden_pairings()
ROOT = FOLDER.parents[2]


@pytest.fixture(scope="module")
def clicks(small_config):
    return prepare_clicks(small_config)


@pytest.mark.parametrize("name", PAIRINGS)
def test_training_follows_the_golden_trajectory(name, clicks):
    path = path_of(name)
    if not path.exists():
        pytest.fail(
            f"{path.relative_to(ROOT)}: not found. Write it with `{WRITE} {name}` and commit it.", pytrace=False
        )

    lines = differences(train(PAIRINGS[name], clicks), json.loads(path.read_text()))

    if lines:
        rewrite = f"If training is meant to change, run `{WRITE} {name}` and say why in the commit."
        pytest.fail("\n".join([f"{name}: not as {path.relative_to(ROOT)}.", *lines, rewrite]), pytrace=False)


def test_every_registered_name_has_a_golden_trajectory():
    trajectories = [json.loads(path.read_text()) for path in FOLDER.glob("*.json")]
    weights = [(name, weight["optimizer"]) for one in trajectories for name, weight in one["weights"].items()]
    missing = {
        "models": MODELS.keys() - {one["model"] for one in trajectories},
        "optimizers of tables": SPARSE.keys() - {kind for name, kind in weights if name.startswith("table ")},
        "optimizers of towers": DENSE.keys() - {kind for name, kind in weights if not name.startswith("table ")},
    }

    for registry, names in missing.items():
        assert not names, (
            f"{registry} without a golden trajectory: {', '.join(sorted(names))}. "
            f"Add a pairing to tests/ctr/pairings.py, then run `{WRITE}`."
        )


def test_no_golden_trajectory_is_without_its_pairing():
    stale = {path.stem for path in FOLDER.glob("*.json")} - PAIRINGS.keys()

    assert not stale, f"{', '.join(sorted(stale))}: no such pairing in tests/ctr/pairings.py. Delete the files."


@pytest.mark.parametrize("change", [np.negative, np.fliplr, np.flipud], ids=lambda change: change.__name__)
def test_a_projection_shows_what_a_norm_does_not(change):
    weight = np.arange(1.0, 7.0).reshape(2, 3)

    assert np.linalg.norm(change(weight)) == pytest.approx(np.linalg.norm(weight), rel=1e-15)
    assert abs(projection("cross/kernel", change(weight)) - projection("cross/kernel", weight)) > 0.1


def small_trajectory():
    kernel = {"optimizer": "adam", "norm": [2.0] * 7, "projection": [0.1] * 7}
    return {
        "settings": ["seed=3"],
        "loss": [0.5] * 6,
        "auc": 0.75,
        "log_loss": 0.5,
        "weights": {"cross/kernel": kernel},
    }


def test_the_first_step_that_differs_is_named_with_its_weight():
    found = small_trajectory()
    found["weights"]["cross/kernel"]["projection"][3] += 5e-6
    found["loss"][4] = 0.6

    assert differences(found, small_trajectory()) == [
        "after step 3: projection of cross/kernel (adam) is 0.100005, golden 0.1 (off by 2.5e-06)",
        "further differences: 1, at later steps: 1",
    ]


def test_rounding_is_no_difference():
    found = small_trajectory()
    found["weights"]["cross/kernel"]["projection"][3] += 1e-6
    found["loss"][4] *= 1 + 5e-7

    assert differences(found, small_trajectory()) == []


def test_another_optimizer_is_named_before_any_number():
    found = small_trajectory()
    found["weights"]["cross/kernel"] |= {"optimizer": "sgd", "norm": [9.0] * 7}

    assert differences(found, small_trajectory()) == [
        "golden only: cross/kernel, trained by adam",
        "now only: cross/kernel, trained by sgd",
    ]
