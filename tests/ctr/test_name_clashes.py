"""Files and folders of the user's own that are called like a package of the project, and what each way in answers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr.own_packages import check_packages

ROOT = Path(__file__).parents[2]
SCRIPT = Path(sys.executable).parent / "ctr"
ADVICE = (
    "but ctr needs its own package of this name. Rename yours, or run `ctr` in place of `python -m ctr`, without its "
    "folder in PYTHONPATH."
)
MODULE = ("-m", "ctr", "train", "config.yaml")
NOTEBOOK = ("-c", "import ctr; ctr.load_experiment('config.yaml')")
IMPORTED_FIRST = ("-c", "import models, ctr; ctr.load_experiment('config.yaml')")


def run(program, *arguments, folder, path=()):
    """Run a program in a folder, with other folders before the project in PYTHONPATH."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT]))}
    command = [str(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


def last_line(result):
    return result.stderr.splitlines()[-1]


@pytest.fixture
def shop(tmp_path):
    """Return an empty working directory."""
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder


def own(folder, name):
    """Write a module, or a package if the name ends with a slash, that must not be imported; return its file."""
    path = folder / name / "__init__.py" if name.endswith("/") else folder / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["features", "features/", "models/", "optimizers"])
@pytest.mark.parametrize("call", [MODULE, NOTEBOOK], ids=["module", "notebook"])
def test_a_file_of_the_working_directory_that_comes_first_is_named(shop, name, call):
    path = own(shop, name)
    result = run(sys.executable, *call, folder=shop)
    kind = "error" if call is MODULE else "ImportError"
    assert last_line(result) == f"{kind}: {path.stem if '/' not in name else name[:-1]}: Python finds {path}, {ADVICE}"
    assert result.returncode == (2 if call is MODULE else 1)
    assert len(result.stderr.splitlines()) == 1 or call is not MODULE


@pytest.mark.slow
def test_a_package_that_is_imported_already_is_named(shop):
    path = own(shop, "models/")
    assert last_line(run(sys.executable, *IMPORTED_FIRST, folder=shop)).endswith(f"Python finds {path}, {ADVICE}")


@pytest.mark.slow
def test_a_file_in_pythonpath_is_named_by_the_script_too(shop, tmp_path):
    path = own(tmp_path / "library", "models/")
    result = run(SCRIPT, "psi", "a", "b", folder=shop, path=[tmp_path / "library"])
    assert (result.returncode, result.stderr) == (2, f"error: models: Python finds {path}, {ADVICE}\n")


@pytest.mark.slow
@pytest.mark.parametrize("start", [(SCRIPT,), (sys.executable, "-P", "-m", "ctr")], ids=["script", "safe path"])
def test_the_script_does_not_look_in_the_working_directory_first(shop, start):
    for name in ("features", "models/", "optimizers/"):
        own(shop, name).write_text("raise RuntimeError('imported')")
    for name in ("old", "new"):
        pq.write_table(pa.table({"x": [1, 2, 3] * 100}), shop / f"{name}.parquet")
    result = run(*start, "psi", "old.parquet", "new.parquet", folder=shop)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_a_folder_of_data_without_init_is_no_package(shop):
    (shop / "models").mkdir()
    (shop / "models" / "model.bin").write_bytes(b"")
    assert "config.yaml: no such config file" in run(sys.executable, *MODULE, folder=shop).stderr


@pytest.mark.slow
def test_help_and_version_need_no_package(shop):
    own(shop, "models/")
    assert all(run(sys.executable, "-m", "ctr", option, folder=shop).returncode == 0 for option in ("--help", "-V"))


@pytest.fixture
def installed(tmp_path):
    """Return a folder with copies of `ctr/__init__.py` and of those of its packages, as in site-packages."""
    for name in ("ctr", "features", "models", "optimizers"):
        (tmp_path / name).mkdir()
        shutil.copy(ROOT / name / "__init__.py", tmp_path / name)
    shutil.copy(ROOT / "ctr" / "own_packages.py", tmp_path / "ctr")
    return tmp_path


def check(folder):
    """Return the last line of the check of a folder of packages."""
    result = run(
        sys.executable,
        "-P",
        "-c",
        "from ctr.own_packages import check_packages; check_packages(); print('ok')",
        folder="/",
        path=[folder],
    )
    return (result.stdout or result.stderr).splitlines()[-1]


@pytest.mark.slow
def test_a_package_that_another_distribution_has_replaced_is_named(installed):
    assert check(installed) == "ok"
    own(installed, "models/")
    assert check(installed) == (
        f"ImportError: {installed}/models/__init__.py: not the file of ctr: another distribution has replaced it. "
        f"Install ctr-trainer again, in an environment without that distribution."
    )


@pytest.mark.slow
def test_a_package_that_is_missing_is_named(installed):
    shutil.rmtree(installed / "optimizers")
    assert check(installed) == (
        f"ImportError: {installed}/optimizers/__init__.py: no such file, a part of ctr. Install ctr-trainer again."
    )


def test_the_packages_of_the_project_pass():
    check_packages.cache_clear()
    check_packages()
