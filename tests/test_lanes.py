"""The lanes of conftest.py select the right tests of a small separate suite."""

import shutil
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SUITE = """
import pytest

@pytest.fixture
def data_folder(): ...

def test_plain(): ...

def test_on_clicks(data_folder): ...

def test_of_drawn_cases(): ...

test_of_drawn_cases.is_hypothesis_test = True

@pytest.mark.medium
def test_of_medium_size(): ...

@pytest.mark.slow
def test_of_processes(): ...
"""


@pytest.fixture
def passed(pytester, monkeypatch):
    """Return the names of the tests that a call runs."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # otherwise each call would import them
    shutil.copy(Path(__file__).parents[1] / "conftest.py", pytester.path)
    pytester.makeini("[pytest]\naddopts = --strict-markers\nmarkers =\n  slow: s\n  medium: m")
    for folder in ("tests", "tests/ctr/report", "tests/ctr"):
        (pytester.path / folder).mkdir(parents=True, exist_ok=True)
    (pytester.path / "tests" / "test_some.py").write_text(SUITE)
    (pytester.path / "tests" / "ctr" / "test_runs.py").write_text("def test_of_a_run(): ...")
    (pytester.path / "tests" / "ctr" / "report" / "test_lane_pages.py").write_text("def test_of_a_page(): ...")

    def run(*args):
        return {report.nodeid.split("::")[1] for report in pytester.inline_run(*args).getreports() if is_test(report)}

    def is_test(report):
        return getattr(report, "when", None) == "call" and report.passed

    return run


def test_lanes(passed):
    quick = {"test_plain", "test_of_a_page"}
    default = {*quick, "test_on_clicks", "test_of_drawn_cases", "test_of_medium_size", "test_of_a_run"}
    every = {*default, "test_of_processes"}

    assert passed("--quick") == quick
    assert passed() == passed("tests") == default
    assert passed("--slow") == every


def test_what_is_named_runs(passed):
    assert passed("tests/test_some.py::test_of_processes") == {"test_of_processes"}
    assert passed("tests", "-k", "processes") == passed("-m", "slow") == {"test_of_processes"}
    assert len(passed("tests/test_some.py")) == 5
    assert passed("tests/test_some.py", "--quick") == {"test_plain"}
    assert passed("tests/ctr/test_runs.py", "tests") == passed()
    assert passed("tests/test_some.py", "tests/ctr") == {*passed("tests/test_some.py"), *passed("tests/ctr")}
