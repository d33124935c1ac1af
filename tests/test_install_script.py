"""`scripts/install` installs what is missing, with the extras that it is asked for, and says what it did."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PIP = """#!/usr/bin/env bash
cd "$(dirname "$0")/../.."
echo "$*" >> calls
touch .venv/bin/ctr
chmod +x .venv/bin/ctr
"""
READY = "; to run ctr, activate the environment: source .venv/bin/activate\n"


@pytest.fixture
def install(tmp_path):
    """Return a function that runs a copy of the script, with a stub of Python, and returns its output."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/install", tmp_path / "scripts")
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text("")
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(PIP)
    python.chmod(0o755)

    def run(*extras):
        return subprocess.run(
            [tmp_path / "scripts/install", *extras], capture_output=True, text=True, check=True
        ).stdout

    run.folder = tmp_path
    return run


def calls(install):
    path = install.folder / "calls"
    return [line.split()[-1] for line in path.read_text().splitlines()] if path.exists() else []


def test_it_installs_once_and_says_so(install):
    assert install() == f"installing (a minute or two)\ninstalled{READY}"
    assert install() == f"already installed{READY}"
    assert calls(install) == ["."]


def test_it_installs_again_what_is_gone(install):
    install()
    (install.folder / ".venv/bin/ctr").unlink()
    assert "installing" in install()
    assert calls(install) == [".", "."]


def test_extras_are_installed_and_remembered_each(install):
    install()
    assert "installing" in install("classical,gpu")
    assert install("classical,gpu") == f"already installed with classical,gpu{READY}"
    assert calls(install) == [".", ".[classical,gpu]"]
