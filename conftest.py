"""The lanes of the suite: `--quick`, the default, and `--slow`, which runs everything.

A call that names a file or a test, or chooses by `-k` or `-m`, runs all that it names.
"""

from pathlib import Path

import pytest

WHOLE_RUNS = Path(__file__).parent / "tests" / "ctr"
"""The tests in the files of this folder, but not of its subfolders, run the whole program."""
CLICK_LOG = {"data_folder", "small_config"}
"""Fixtures that write data to train on."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option for each lane."""
    group = parser.getgroup("lanes", "which tests run; by default all that are not marked `slow`")
    lanes = {"--quick": "leave out the medium tests, too", "--slow": "run every test"}
    for option, meaning in lanes.items():
        group.addoption(option, action="store_const", dest="lane", const=option, help=meaning)


def _is_medium(item: pytest.Item) -> bool:
    """Return True if a test runs the program, trains on the click log, or draws its cases with Hypothesis."""
    if item.path.parent == WHOLE_RUNS or CLICK_LOG.intersection(getattr(item, "fixturenames", ())):
        return True
    return getattr(getattr(item, "obj", None), "is_hypothesis_test", False)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the medium tests that are known by what they use, then leave out those that are not in this call's lane."""
    for item in items:
        if _is_medium(item):
            item.add_marker("medium")
    left_out = {"--quick": ("slow", "medium"), "--slow": (), None: ("slow",)}[config.option.lane]
    named = _named_files(config)
    chosen, others = [], []
    for item in items:
        is_named = config.option.lane is None and (named is None or item.path in named)
        out = not is_named and any(item.get_closest_marker(name) for name in left_out)
        (others if out else chosen).append(item)
    items[:] = chosen
    config.hook.pytest_deselected(items=others)


def _named_files(config: pytest.Config) -> set[Path] | None:
    """Return the files that a call names; None if it chooses tests by `-k` or `-m`, whose tests are all named."""
    if config.option.keyword or config.option.markexpr:
        return None
    paths = [argument.partition("::")[0] for argument in config.args]
    return {(config.invocation_params.dir / path).resolve() for path in paths if path.endswith(".py")}
