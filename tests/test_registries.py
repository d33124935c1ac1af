"""Everything that a config or the command line can name is documented, and held to the tests of its registry."""

import re
from pathlib import Path

import pytest
from bad_input_cases import CASES as BAD_INPUTS
from typer.main import get_command

from ctr.checks.evaluated import CHECKS
from ctr.cli import app
from features import KINDS
from models import MODELS
from optimizers import DENSE, SPARSE
from tests.optimizers.dense_cases import CASES as DENSE_CASES
from tests.optimizers.row_cases import CASES as ROW_CASES

ROOT = Path(__file__).parents[1]
COMMANDS = get_command(app).commands
DOCUMENTED = {
    "docs/experiment.md": [*KINDS, *MODELS],
    "docs/optimizers.md": [*SPARSE, *DENSE],
    "docs/evaluation.md": [check.__name__ for check in CHECKS],
}


def first_cells(page):
    """The names in the first column of a page's tables."""
    rows = re.findall(r"^\| (.*?) \|", (ROOT / page).read_text(), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


@pytest.mark.parametrize("page", DOCUMENTED)
def test_every_name_has_a_row_in_a_table_of_the_documentation(page):
    assert not set(DOCUMENTED[page]) - first_cells(page), f"add a row to a table of {page}"


def test_every_optimizer_of_tables_is_compared_with_a_reference():
    compared = {case.optimizer for case in ROW_CASES.values()}
    assert not set(SPARSE.values()) - compared, "add a row to CASES of tests/optimizers/row_cases.py"


def test_every_optimizer_of_towers_is_compared_with_a_reference():
    compared = {*DENSE_CASES, *SPARSE}
    assert not DENSE.keys() - compared, "add a row to CASES of tests/optimizers/dense_cases.py"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_and_says_what_its_options_do(name):
    command = COMMANDS[name]
    unexplained = [option.name for option in command.params if not getattr(option, "help", None)]

    assert command.help
    assert not unexplained
    assert any(f"ctr {name}" in page.read_text() for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    assert any(case.command.split()[0] == name for case in BAD_INPUTS), "add a case to scripts/bad_input_cases.py"
