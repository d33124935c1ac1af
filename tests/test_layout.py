"""The packages depend on one another in one direction only, and every shipped config is valid."""

import ast
from pathlib import Path

import pytest

from ctr.experiment import load_experiment

ROOT = Path(__file__).parents[1]
PACKAGES = ("ctr", "features", "models", "optimizers")


def imported(package):
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in getattr(node, "names", [])]
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from (str(name).split(".")[0] for name in names)


@pytest.mark.parametrize("package", ["features", "models", "optimizers"])
def test_a_lower_package_imports_no_other(package):
    assert set(imported(package)) & set(PACKAGES) == {package}


def test_only_models_imports_recommenders():
    users = {package for package in PACKAGES if "tensorflow_recommenders" in set(imported(package))}
    assert users == {"models"}


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_config_is_valid(path):
    assert load_experiment(path).name
