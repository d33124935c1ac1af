"""Packages depend on one another in one direction only, sums depend on no threads, and shipped configs are valid."""

import ast
from pathlib import Path

import pytest

from ctr.comparison.plan import planned_seeds, planned_trials
from ctr.comparison.study import cells_of, load_study
from ctr.config.experiment import load_experiment

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


BLAS = {"dot", "inner", "vdot", "einsum", "matmul", "tensordot"}


@pytest.mark.parametrize("package", ["ctr", "features"])
def test_no_statistic_is_left_to_blas(package):
    """The last digits of its sums depend on its threads; `ctr.metrics.counts.sum_of_products` adds in a fixed order."""
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(node, ast.MatMult), path
            assert not (isinstance(node, ast.Attribute) and node.attr in BLAS), f"{path}:{node.lineno}"


CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
STUDIES = [path for path in CONFIGS if path.parent.name == "compare"]


@pytest.mark.parametrize("path", [path for path in CONFIGS if path not in STUDIES], ids=lambda path: path.stem)
def test_a_shipped_config_is_valid(path):
    assert load_experiment(path).name


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_shipped_study_is_valid_with_all_its_choices(path, tmp_path):
    study = load_study(path)
    cells = cells_of(study)
    trials = planned_trials(study, cells, tmp_path)
    assert len(trials) == (study.tuning.trials * len(cells) if study.tuning else 0)
    assert trials or planned_seeds(study, {}, cells, tmp_path)
