"""Every name that a config or the command line accepts is documented and covered by the tests of its registry."""

import re
from pathlib import Path

import pytest
from bad_input_cases import CASES as BAD_INPUTS
from typer.main import get_command

from ctr.checks.evaluated import CHECKS
from ctr.cli import app
from features import KINDS
from models import MODELS
from optimizers import DENSE, SCHEDULES, SPARSE
from tests.optimizers.dense_cases import CASES as DENSE_CASES
from tests.optimizers.row_cases import CASES as ROW_CASES

ROOT = Path(__file__).parents[1]
COMMANDS = get_command(app).commands
TABLES = {
    "feature types": (KINDS, "docs/reference/config.md", "type | accepts"),
    "models": (MODELS, "docs/reference/models.md", "type | structure | blocks | take it for"),
    "schedules": (SCHEDULES, "docs/reference/config.md", "schedule | settings besides `initial` | rate after t units"),
    "optimizers of tables": (SPARSE, "docs/reference/optimizers.md", "name | update of an embedding | state"),
    "optimizers of towers": (DENSE, "docs/reference/optimizers.md", "name | description | state | weight decay"),
    "checks": (
        [check.__name__ for check in CHECKS],
        "docs/reference/checks.md",
        "check | threshold | what it warns of",
    ),
}
"""Registry -> its names, the page that documents them, and the header of the table."""


def first_cells(page, header):
    """Return the names in the first column of a table."""
    _, found, after = (ROOT / page).read_text().partition(f"\n| {header} |\n")
    assert found, f"{page}: no table with the header {header!r}"
    rows = after.partition("\n\n")[0].splitlines()[1:]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


@pytest.mark.parametrize("registry", TABLES)
def test_every_name_has_a_row_in_the_documentation(registry):
    names, page, header = TABLES[registry]
    missing = sorted(set(names) - first_cells(page, header))
    assert not missing, f"{', '.join(missing)}: add a row to the table of {registry} in {page}"


def test_every_optimizer_is_compared_with_a_reference():
    classes = {case.optimizer for case in ROW_CASES.values()}
    tables = sorted(name for name, optimizer in SPARSE.items() if optimizer not in classes)
    towers = sorted(DENSE.keys() - {*DENSE_CASES, *SPARSE})  # those of tables are compared as such
    assert not tables, f"{', '.join(tables)}: add a row to CASES of tests/optimizers/row_cases.py"
    assert not towers, f"{', '.join(towers)}: add a row to CASES of tests/optimizers/dense_cases.py"


@pytest.mark.parametrize(("registry", "folder"), [(MODELS, "models"), (KINDS, "features")], ids=["models", "kinds"])
def test_every_class_has_tests_of_its_own(registry, folder):
    texts = [path.read_text() for path in (ROOT / "tests" / folder).glob("test_*.py") if "every" not in path.name]
    missing = [
        name for name, made in registry.items() if not any(f"{name}" in text or made.__name__ in text for text in texts)
    ]
    assert not missing, f"{', '.join(missing)}: add tests/{folder}/test_{missing[0]}.py"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_and_says_what_its_options_do(name):
    command = COMMANDS[name]
    unexplained = [option.name for option in command.params if not getattr(option, "help", None)]
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]

    assert command.help, f"{name}: give its function a docstring"
    assert not unexplained, f"{name}: give its options a help: {', '.join(unexplained)}"
    assert any(re.search(rf"\bctr {name}\b", page.read_text()) for page in pages), f"document `ctr {name}`"
    assert any(case.command.split()[0] == name for case in BAD_INPUTS), "add a case to scripts/bad_input_cases.py"
