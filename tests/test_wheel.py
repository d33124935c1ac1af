"""The wheel has every file of the packages, so that the program runs without the checkout."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("ctr", "features", "models", "optimizers")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]


def files_of_the_packages():
    """Return the paths of all files below the packages, except what Python and tools leave there."""
    paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in paths if "__pycache__" not in path.parts}


def test_every_folder_of_modules_is_a_package_that_is_found():
    patterns = SETUPTOOLS["packages"]["find"]["include"]
    for folder in {(ROOT / name).parent for name in files_of_the_packages()}:
        assert (folder / "__init__.py").is_file(), folder
        package = ".".join(folder.relative_to(ROOT).parts)
        assert any(fnmatchcase(package, pattern) for pattern in patterns), package


def test_every_other_file_is_declared():
    declared = SETUPTOOLS["package-data"]
    for path in map(Path, files_of_the_packages()):
        package = ".".join(path.parent.parts)
        patterns = [*declared.get(package, []), *declared["*"]]
        assert path.suffix == ".py" or any(fnmatchcase(path.name, pattern) for pattern in patterns), path


def test_the_packages_say_that_they_are_typed():
    assert all((ROOT / package / "py.typed").is_file() for package in PACKAGES)


def test_the_versions_of_python_are_the_same_everywhere():
    versions = ["3.11", "3.12", "3.13"]
    named = [entry.rpartition(" ")[2] for entry in PROJECT["project"]["classifiers"] if "Python :: 3." in entry]
    assert named == versions
    assert PROJECT["project"]["requires-python"] == ">=3.11,<3.14"
    install = (ROOT / "scripts" / "install").read_text("utf-8")
    assert sorted(re.findall(r"python(3\.\d+)", install)) == versions
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in install
    for page in ("docs/how-to/install.md", "docs/tutorials/quickstart.md", "README.md"):
        assert "Python 3.11, 3.12 or 3.13" in (ROOT / page).read_text("utf-8"), page


@pytest.mark.slow
def test_the_wheel_has_the_files_and_the_command(tmp_path):
    """Build the wheel as the page on installation does; pip fetches setuptools, as `scripts/install` does."""
    source = tmp_path / "source"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(command, check=True)
    [path] = tmp_path.glob("ctr_trainer-*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        assert names == files_of_the_packages()
        information = path.name.removesuffix("-py3-none-any.whl") + ".dist-info"
        assert wheel.read(f"{information}/entry_points.txt").decode().split() == [
            "[console_scripts]",
            "ctr",
            "=",
            "ctr.cli:app",
        ]
        assert set(wheel.read(f"{information}/top_level.txt").decode().split()) == set(PACKAGES)
