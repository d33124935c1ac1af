"""Every planted fault can still be planted, and `scripts/planted_faults.py` distinguishes killed from survived."""

import ast
import json
import subprocess
from pathlib import Path

import planted_faults
import pytest
from fault_list import FAULTS, Fault
from planted_faults import copy_tree, expanded, main, try_all, with_fault

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "features",
    "models",
    "optimizers",
    *(f"ctr/{room}" for room in ("checks", "comparison", "config", "evaluation", "metrics", "runs", "training")),
}


def test_faults_are_many_and_in_every_package():
    assert len(FAULTS) >= 20
    names = [fault.name for fault in FAULTS]
    assert sorted(set(names)) == sorted(names)
    parts = [Path(fault.file).parts for fault in FAULTS]
    assert {"/".join(part[: 2 if part[0] == "ctr" else 1]) for part in parts} == PACKAGES


def test_every_fault_can_be_planted():
    """A fault's text occurs exactly once, the changed program differs and compiles, and its tests exist."""
    for fault in FAULTS:
        sound = ast.parse((ROOT / fault.file).read_text())
        assert ast.dump(ast.parse(with_fault(fault, ROOT))) != ast.dump(sound), fault.name
        assert all(expanded([pattern], ROOT) for pattern in fault.tests), fault.name


TOY = "def add(a, b):\n    return a + b\n\n\ndef twice(a):\n    return 2 * a\n\n\ndef unused(a):\n    return a\n"


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Write a tree whose package tests check only `add`, and whose whole suite checks `twice` too."""
    monkeypatch.setattr(planted_faults, "OPTIONS", ("-p", "no:cacheprovider"))  # the toy suite has no lanes
    tree = tmp_path / "tree"
    for folder, name in (("own", "add(1, 2) == 3"), ("others", "twice(3) == 6")):
        tests = tree / "tests" / folder
        tests.mkdir(parents=True)
        test = f"import toy\n\n\ndef test_{folder}():\n    assert toy.{name}\n"
        (tests / f"test_{folder}.py").write_text(test)
    (tree / "toy.py").write_text(TOY)
    (tree / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntestpaths = ["tests"]\naddopts = "-q"\n')
    return tree


def of_toy(name, before, after, *tests):
    return Fault(name, "toy.py", before, after, tests or ("tests/own",))


@pytest.mark.slow
def test_a_killed_fault_is_told_from_a_survivor(toy, monkeypatch):
    monkeypatch.setattr(planted_faults, "WORKERS", 0)  # which starts faster
    faults = [
        of_toy("sum", "a + b", "a - b"),
        of_toy("double", "2 * a", "3 * a"),
        of_toy("double in its package", "2 * a", "3 * a", "tests/own", "tests/others"),
        of_toy("nobody looks", "return a\n", "return None\n"),
    ]
    verdicts = try_all(faults, toy, toy / "verdicts.json")
    assert [(one.outcome, one.by, one.test) for one in verdicts] == [
        ("killed", "package", "tests/own/test_own.py::test_own"),
        ("killed", "suite", "tests/others/test_others.py::test_others"),
        ("killed", "package", "tests/others/test_others.py::test_others"),
        ("survived", "suite", None),
    ]
    assert [one["outcome"] for one in json.loads((toy / "verdicts.json").read_text())] == [
        one.outcome for one in verdicts
    ]
    assert (toy / "toy.py").read_text() == TOY


@pytest.mark.slow
def test_code_that_cannot_be_imported_and_a_test_that_fails_anyway_are_errors(toy, monkeypatch):
    monkeypatch.setattr(planted_faults, "WORKERS", 1)
    (toy / "tests" / "own" / "test_own.py").write_text("import toy\n\n\ndef test_own():\n    assert False\n")
    faults = [
        of_toy("no import", "def add(a, b):", "import nothing_of_this_name\n\n\ndef add(a, b):"),
        of_toy("sum", "a + b", "a - b"),
    ]
    verdicts = try_all(faults, toy, None)
    assert [(one.outcome, one.test) for one in verdicts] == [
        ("error", None),
        ("error", "tests/own/test_own.py::test_own"),
    ]


def test_a_text_that_is_not_there_once_is_refused(tmp_path):
    (tmp_path / "toy.py").write_text(TOY)
    with pytest.raises(ValueError, match=r"toy\.py: the text of fault 'x' occurs 3 times, expected 1\. Update"):
        with_fault(of_toy("x", "return", "yield"), tmp_path)


def test_a_copy_has_the_tracked_files_as_they_are_now(tmp_path):
    root, target = tmp_path / "root", tmp_path / "target"
    (root / "folder").mkdir(parents=True)
    (root / ".venv").mkdir()
    for name in ("changed.py", "deleted.py", "folder/same.py"):
        (root / name).write_text("committed")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "add", "changed.py", "deleted.py", "folder"], cwd=root, check=True)
    (root / "untracked.py").write_text("of the user")
    (root / "changed.py").write_text("not committed")
    (root / "deleted.py").unlink()
    copy_tree(root, target)
    copied = {str(path.relative_to(target)): path.read_text() for path in target.rglob("*.py")}
    assert copied == {"changed.py": "not committed", "folder/same.py": "committed"}
    assert (target / ".venv").resolve() == root / ".venv"


def test_the_command_line_names_faults(capsys):
    assert main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [fault.name for fault in FAULTS]
    with pytest.raises(SystemExit, match="2"):
        main(["no_such_fault"])
    assert "unknown fault 'no_such_fault'. Use --list" in capsys.readouterr().err
