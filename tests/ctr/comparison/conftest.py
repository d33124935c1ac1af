"""Fixtures that tests of comparisons share."""

import pytest

from ctr.jobs import compare as compare_job
from tests.ctr.comparison.comparisons import InThisProcess


@pytest.fixture
def in_this_process(monkeypatch):
    """Train runs in this process; return the list of labels of trained runs."""
    monkeypatch.setattr(compare_job, "Pool", InThisProcess)
    monkeypatch.setattr(InThisProcess, "trained", trained := [])
    return trained
