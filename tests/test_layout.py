"""Imports run down the floors, files are short, sums do not depend on threads, and shipped configs are valid."""

import ast
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr.comparison.plan import planned_seeds, planned_trials
from ctr.comparison.study import list_variants, load_study
from ctr.config.experiment import load_experiment

ROOT = Path(__file__).parents[1]
PACKAGES = ("ctr", "features", "models", "optimizers")
FLOORS = [  # from the top
    {"ctr.__main__"},
    {"ctr.cli"},
    {"ctr.jobs", "ctr.options"},
    {"ctr.comparison"},
    {"ctr.classical", "ctr.preflight", "ctr.report", "ctr.starter"},
    {"ctr.training"},
    {"ctr.evaluation"},
    {"ctr.checks", "ctr.runs"},
    {"ctr.schema"},
    {"ctr.config"},
    {"ctr.metrics"},
    {"ctr.errors", "ctr.console", "ctr.own_packages", "ctr.version"},
    {"features", "models", "optimizers"},
]
"""Floors of packages; a module imports from its own package and from the floors below it."""
LONGEST_FILE, LONGEST_FUNCTION = 400, 80  # lines
LONG_FILE, LONG_FUNCTION = 300, 60  # lines, from which they are listed


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {module_of(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}
TREES = {module: ast.parse(path.read_text()) for module, path in SOURCES.items()}


def imported(module):
    """Return every module that a module imports anywhere, also for type checkers only."""
    found = set()
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: a relative import"
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in SOURCES else node.module for name in full}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found - {module}


IMPORTS = {module: imported(module) for module in SOURCES}


def packages_of(modules):
    return {module.split(".")[0] for module in modules}


def room_of(module):
    """Return `ctr.training` for `ctr.training.step`, and `models` for `models.din`."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "ctr" else parts[0]


def test_imports_run_down_the_floors():
    floors = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    rooms = {room_of(module) for module in SOURCES} - {"ctr"}  # whose __init__ names the public functions as strings
    assert rooms == floors.keys()
    for floor, rooms in enumerate(FLOORS):
        print(len(FLOORS) - 1 - floor, ", ".join(sorted(rooms)))
    for module in SOURCES:
        used = {name for name in IMPORTS[module] if name in SOURCES and room_of(name) != room_of(module)}
        if module == "ctr":
            assert not used
        up = {name for name in used if floors[room_of(name)] <= floors[room_of(module)]}
        assert not up, f"{module} imports {', '.join(sorted(up))}, which are not below it"


def test_no_imports_go_round():
    remaining = {module: IMPORTS[module] & SOURCES.keys() for module in SOURCES}
    while free := [module for module, names in remaining.items() if not names & remaining.keys()]:
        for module in free:
            del remaining[module]
    assert not remaining


def length_of(node):
    return node.end_lineno - node.lineno + 1


def functions():
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{module}.{node.name}", length_of(node)


def test_files_and_functions_are_short():
    files = {module: len(path.read_text().splitlines()) for module, path in SOURCES.items()}
    lengths = dict(functions())
    print("files:", {name: lines for name, lines in files.items() if lines > LONG_FILE})
    print("functions:", {name: lines for name, lines in lengths.items() if lines > LONG_FUNCTION})
    assert not [name for name, lines in files.items() if lines > LONGEST_FILE]
    assert not [name for name, lines in lengths.items() if lines > LONGEST_FUNCTION]


def test_test_files_have_names_of_their_own():
    """Pytest takes two files with the same name for one module and skips the second."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("package", ["features", "models", "optimizers"])
def test_a_lower_package_imports_no_other(package):
    found = set().union(*(IMPORTS[module] for module in SOURCES if module.split(".")[0] == package))
    assert packages_of(found) & set(PACKAGES) == {package}


def test_only_models_imports_recommenders():
    users = {module for module in SOURCES if "tensorflow_recommenders" in packages_of(IMPORTS[module])}
    assert packages_of(users) == {"models"}


def attributes(module):
    return {node.attr for node in ast.walk(TREES[module]) if isinstance(node, ast.Attribute)}


def test_rows_are_written_in_one_place_and_looked_up_in_one():
    written = {module: attributes(module) - {"scatter_nd"} for module in SOURCES}  # which creates a new array
    writers = {module for module in SOURCES if any(name.startswith("scatter_") for name in written[module])}
    assert writers == {"optimizers.row_store"}
    assert {module for module in SOURCES if "embedding_lookup" in attributes(module)} == {"models.tables"}


BLAS = {"dot", "inner", "vdot", "einsum", "matmul", "tensordot"}


@pytest.mark.parametrize("package", ["ctr", "features"])
def test_no_statistic_is_left_to_blas(package):
    """The last digits of BLAS sums depend on threads; `ctr.metrics.counts.sum_of_products` adds in a fixed order."""
    for module in [module for module in SOURCES if module.split(".")[0] == package]:
        for node in ast.walk(TREES[module]):
            assert not isinstance(node, ast.MatMult), module
            assert not (isinstance(node, ast.Attribute) and node.attr in BLAS), f"{module}:{node.lineno}"


CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
STUDIES = [path for path in CONFIGS if path.parent.name == "compare"]


@pytest.fixture(scope="module")
def criteo_columns(tmp_path_factory):
    """Return a folder with a file that has the columns of the Criteo data, which patterns of a config match."""
    folder = tmp_path_factory.mktemp("criteo")
    names = ["label", *(f"I{k}" for k in range(1, 14)), *(f"C{k}" for k in range(1, 27))]
    pq.write_table(pa.table(dict.fromkeys(names, pa.array([], pa.int64()))), folder / "data.parquet")
    return folder


@pytest.mark.parametrize("path", [path for path in CONFIGS if path not in STUDIES], ids=lambda path: path.stem)
def test_a_shipped_config_is_valid(path, criteo_columns):
    assert load_experiment(path, [f"data.root={criteo_columns}"]).name


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_shipped_study_is_valid_with_all_its_options(path, tmp_path, criteo_columns):
    study = load_study(path, [f"data.root={criteo_columns}"])
    variants = list_variants(study)
    trials = planned_trials(study, variants, tmp_path)
    assert len(trials) == (study.tuning.trials * len(variants) if study.tuning else 0)
    assert trials or planned_seeds(study, {}, variants, tmp_path)
