"""A comparison of the small experiment that many tests look at."""

import pytest

from ctr.comparison import job
from tests.conftest import write_clicks, write_config
from tests.ctr.comparison.comparisons import ADAGRAD, SLOW, InThisProcess, compare, write_study


@pytest.fixture
def in_this_process(monkeypatch):
    """Trainings are made here; the list of those that were."""
    monkeypatch.setattr(job, "Pool", InThisProcess)
    monkeypatch.setattr(InThisProcess, "trained", trained := [])
    return trained


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A comparison of an optimizer with itself, with another, and with one that hardly learns; folder and result."""
    folder = tmp_path_factory.mktemp("compared")
    config = write_config(folder / "tiny.yaml", write_clicks(folder / "clicks"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(job, "Pool", InThisProcess)
        axes = {"sparse": {"rmsprop_v2": {}, "itself": {}, "adagrad": ADAGRAD, "slow": SLOW}}
        found, printed = compare(write_study(config, axes=axes), folder / "out")
    return folder / "out", found, printed
