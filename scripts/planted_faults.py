"""Plant faults in the code, one at a time, and report which test fails: a measure of the test suite's power.

    python scripts/planted_faults.py [NAME ...] [--list] [--out FILE]

Copies the tracked files of the tree, as they are now, into a temporary folder; the tree itself does not change. There,
each fault of `fault_list.py` is planted in the code, and the tests of its package run until the first failure, those
likeliest to fail first. Surviving faults are tried on the rest of the suite. A fault is

- killed, if a test fails with it and passes without it: all such tests run once more on the unchanged copy;
- survived, if every test passes: the suite needs a test that fails with it;
- an error, if pytest ends otherwise, for example because an import fails, or takes more than an hour.

Prints a line for each run of tests and a Markdown table at the end; `--out` writes the table as JSON after each run.
The exit code is 0 if every fault was killed, 1 if some survived, and 2 after an error. On two cores a fault takes about
a minute, and a survivor as long as the whole suite. Ctrl-C ends the tests and removes the copy.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.util import cache_from_source
from pathlib import Path
from typing import Literal, NamedTuple

from fault_list import FAULTS, Fault

ROOT = Path(__file__).parents[1]
OPTIONS = ("--slow", "-p", "no:cacheprovider")  # every test, including those that are skipped by default
WORKERS = 2
NOT_RUN = ("tests/test_planted_faults.py",)  # fails with any planted fault
SECONDS = 3600
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+::.+?)(?: - .*)?$", re.MULTILINE)
"""A failed test in pytest's summary; a file that cannot be collected has no `::`."""

Outcome = Literal["killed", "survived", "error"]


class TestRun(NamedTuple):
    """Result of a run of pytest."""

    outcome: Outcome
    failed: list[str]
    """Ids of the tests that failed."""
    seconds: float
    output: str


@dataclass
class Verdict:
    """Result of the tests with a fault."""

    fault: str
    file: str
    outcome: Outcome
    by: str
    """`package` or `suite`: the tests that ran last."""
    test: str | None
    """Id of the first test that failed."""
    seconds: float
    """Duration of all test runs with the fault."""


def copy_tree(root: Path, target: Path) -> None:
    """Copy the tracked files of a repository as they are in the working tree, and link its `.venv`."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True).stdout
    for name in listed.split("\0"):
        if name and (root / name).exists():  # a file may be deleted and not yet committed
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name, follow_symlinks=False)
    if (root / ".venv").exists():
        (target / ".venv").symlink_to((root / ".venv").resolve())


def with_fault(fault: Fault, tree: Path) -> str:
    """Return the text of a fault's file with the fault in it.

    Raises:
        ValueError: the text that it replaces does not occur exactly once.
    """
    text = (tree / fault.file).read_text(encoding="utf-8")
    if (count := text.count(fault.before)) != 1:
        raise ValueError(
            f"{fault.file}: the text of fault {fault.name!r} occurs {count} times, expected 1. "
            f"Update scripts/fault_list.py."
        )
    return text.replace(fault.before, fault.after)


@contextmanager
def planted(fault: Fault, tree: Path) -> Iterator[None]:
    """Put a fault into the code, and take it out again."""
    file = tree / fault.file
    sound = file.read_text(encoding="utf-8")
    rewrite(file, with_fault(fault, tree))
    try:
        yield
    finally:
        rewrite(file, sound)


def rewrite(file: Path, text: str) -> None:
    """Replace a module's text and remove its bytecode: size and second of the last change may be as they were."""
    file.write_text(text, encoding="utf-8")
    Path(cache_from_source(file)).unlink(missing_ok=True)


def run_tests(tree: Path, *arguments: str, workers: int | None = None) -> TestRun:
    """Run pytest on a tree, with temporary files in a folder next to the tree.

    Args:
        tree: folder of the tree.
        *arguments: arguments of pytest.
        workers: number of processes that share the tests, 0 for none beyond pytest's own; None: `WORKERS`.
    """
    temporary = tree.with_name("tmp")
    temporary.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    paths = {"PYTHONPATH": str(tree), "TMPDIR": str(temporary)}
    started = time.perf_counter()
    command = [sys.executable, "-m", "pytest", *OPTIONS, "-n", str(WORKERS if workers is None else workers), *arguments]
    with subprocess.Popen(
        command,
        cwd=tree,
        env=kept | paths,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that no process survives an interruption
    ) as process:
        try:
            output, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            end(process)
            output = f"{process.communicate()[0]}\nmore than {SECONDS} seconds"
        except BaseException:
            end(process)
            raise
    failed = FAILED.findall(output)
    outcome: Outcome = "killed" if failed else "survived" if process.returncode == 0 else "error"
    return TestRun(outcome, failed, time.perf_counter() - started, output)


def end(process: subprocess.Popen[str]) -> None:
    """End a run of pytest with all processes that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def expanded(patterns: Sequence[str], tree: Path) -> list[str]:
    """Return the paths in a tree that match patterns."""
    return [str(path.relative_to(tree)) for pattern in patterns for path in sorted(tree.glob(pattern))]


def try_package(fault: Fault, tree: Path) -> tuple[Verdict, TestRun]:
    """Run the tests of a fault's package with the fault, those likeliest to fail first."""
    seconds = 0.0
    with planted(fault, tree):
        for pattern in fault.tests:
            workers = None if pattern == fault.tests[-1] else 0  # a few tests are faster in one process
            found = run_tests(tree, "-x", *expanded([pattern], tree), workers=workers)
            seconds += found.seconds
            if found.outcome != "survived":
                break
    verdict = Verdict(fault.name, fault.file, found.outcome, "package", next(iter(found.failed), None), seconds)
    return verdict, found


def try_suite(fault: Fault, verdict: Verdict, tree: Path) -> TestRun:
    """Run the rest of the suite with a fault that its package did not kill, and update its verdict."""
    ignored = [f"--ignore={path}" for path in (*NOT_RUN, *expanded(fault.tests, tree))]
    with planted(fault, tree):
        found = run_tests(tree, "-x", *ignored)
    verdict.outcome, verdict.by, verdict.test = found.outcome, "suite", next(iter(found.failed), None)
    verdict.seconds += found.seconds
    return found


def check_killers(verdicts: Sequence[Verdict], tree: Path) -> TestRun | None:
    """Run the tests that killed faults without any fault; if such a test fails too, its verdict becomes an error."""
    killers = dict.fromkeys(verdict.test for verdict in verdicts if verdict.outcome == "killed" and verdict.test)
    if not killers:
        return None
    found = run_tests(tree, *killers)
    for verdict in verdicts:
        if verdict.test in (found.failed if found.outcome != "error" else killers):
            verdict.outcome = "error"
    return found


def try_all(faults: Sequence[Fault], tree: Path, out: Path | None) -> list[Verdict]:
    """Try faults in their packages, then survivors in the rest of the suite; print and write the verdicts."""
    verdicts: list[Verdict] = []

    def tell(verdict: Verdict, found: TestRun) -> None:
        print(f"{verdict.fault}: {verdict.outcome} ({verdict.by}, {verdict.seconds:.0f} s)", flush=True)
        if found.outcome == "error":
            print(found.output[-2000:], flush=True)
        if out is not None:
            out.write_text(json.dumps([asdict(each) for each in verdicts], indent=1) + "\n", encoding="utf-8")

    for fault in faults:
        verdict, found = try_package(fault, tree)
        verdicts.append(verdict)
        tell(verdict, found)
    for fault, verdict in zip(faults, verdicts, strict=True):
        if verdict.outcome == "survived":
            tell(verdict, try_suite(fault, verdict, tree))
    before = [verdict.outcome for verdict in verdicts]
    checked = check_killers(verdicts, tree)
    for verdict, outcome in zip(verdicts, before, strict=True):
        if checked is not None and verdict.outcome != outcome:
            print(f"{verdict.fault}: {verdict.test} also fails without the fault, or cannot be run by its id")
            tell(verdict, checked)
    return verdicts


def as_markdown(verdicts: Sequence[Verdict]) -> str:
    """Return the table of verdicts."""
    lines = ["| fault | file | outcome | by | first failed test | seconds |", "|---|---|---|---|---|---|"]
    for verdict in verdicts:
        outcome = "SURVIVED" if verdict.outcome == "survived" else verdict.outcome
        cells = (verdict.fault, verdict.file, outcome, verdict.by, verdict.test or "", f"{verdict.seconds:.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    killed = sum(verdict.outcome == "killed" for verdict in verdicts)
    return "\n".join([*lines, "", f"{killed} of {len(verdicts)} faults killed"])


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments of the command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="faults to plant; default: all")
    parser.add_argument("--list", action="store_true", help="print the names of all faults and their files")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the verdicts as JSON")
    args = parser.parse_args(arguments)
    if unknown := [name for name in args.names if name not in [fault.name for fault in FAULTS]]:
        parser.error(f"unknown fault {unknown[0]!r}. Use --list to see all names.")
    return args


def main(arguments: Sequence[str] | None = None) -> int:
    """Plant the faults that the arguments name; return the exit code."""
    args = parsed(arguments)
    faults = [fault for fault in FAULTS if not args.names or fault.name in args.names]
    if args.list:
        print("\n".join(f"{fault.name}  {fault.file}" for fault in faults))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # handled like Ctrl-C
    try:
        with tempfile.TemporaryDirectory(prefix="planted-faults-", ignore_cleanup_errors=True) as folder:
            tree = Path(folder) / "tree"
            copy_tree(ROOT, tree)
            for fault in faults:
                with_fault(fault, tree)  # fail now, not after an hour
            verdicts = try_all(faults, tree, args.out)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(as_markdown(verdicts))
    outcomes = {verdict.outcome for verdict in verdicts}
    return 2 if "error" in outcomes else 1 if "survived" in outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
