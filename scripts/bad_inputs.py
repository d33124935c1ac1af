"""Run each command on the invalid inputs of `bad_input_cases.py`, and check how it fails.

    PYTHONPATH=. python scripts/bad_inputs.py [--only WORDS] [--apart] [--markdown]

A case damages a copy of a tiny valid experiment and runs one command there, in its own process with MEMORY_GB and
SECONDS. The script checks:

- the exit code,
- that the message names the problem and has fewer than LINES lines,
- that the message follows the rules of `error_contract.py`: a location, a final period, an action,
- that there is no traceback,
- that the folder is unchanged byte for byte, so that no later run can use leftovers of a failed one.

It reports each case that fails and then exits with 1.
"""

import argparse
import hashlib
import multiprocessing
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from bad_input_cases import CASES
from breakable_experiment import Case, make_experiment
from error_contract import violations
from generated_docs import DOCS, error_catalog

LINES, MEMORY_GB, SECONDS = 10, 8, 60
ROOT = Path(__file__).parents[1]
WORKING_DIRECTORY = "/home/ada/shop"
"""Place of the experiment in the messages of the catalog."""


@dataclass(frozen=True)
class Outcome:
    """Exit code and output of a command."""

    code: int
    stdout: str
    stderr: str

    @property
    def message(self) -> str:
        """Error message; `ctr inspect` prints it among its findings."""
        findings = [line.strip() for line in self.stdout.splitlines() if line.strip().startswith("error ")]
        return self.stderr.strip() or "\n".join(findings)


Command: TypeAlias = Callable[[list[str]], Outcome]
"""Function that runs `ctr` with arguments in the working directory."""


def forked(arguments: list[str]) -> Outcome:
    """Run `ctr` in a fork of this process, which has imported the slow packages."""
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        descriptors = stdout.fileno(), stderr.fileno()
        child = multiprocessing.get_context("fork").Process(target=_ctr, args=(arguments, *descriptors))
        child.start()
        child.join(SECONDS)
        child.kill()
        child.join()
        stdout.seek(0)
        stderr.seek(0)
        return Outcome(child.exitcode or 0, stdout.read(), stderr.read())


def in_new_interpreter(arguments: list[str]) -> Outcome:
    """Run `ctr` in a new interpreter, as a user does."""
    command = [sys.executable, "-m", "ctr.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=SECONDS)
    return Outcome(process.returncode, process.stdout, process.stderr)


def _ctr(arguments: list[str], stdout: int, stderr: int) -> None:
    from ctr.cli import app

    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_GB * 2**30,) * 2)
    app(arguments, prog_name="ctr")


def check_case(case: Case, run: Command) -> tuple[str, list[str]]:
    """Damage the experiment in the working directory and run the command; return its message and its faults."""
    case.damage()
    original = contents(Path())
    outcome = run(shlex.split(case.command))
    message = outcome.message.replace(f"{Path.cwd()}/", "").replace(str(Path.cwd()), WORKING_DIRECTORY)
    final = contents(Path())
    lines, changed = message.splitlines(), sorted(dict(original.items() ^ final.items()))
    demands = [
        (outcome.code == case.code, f"exit code {outcome.code}, expected {case.code}"),
        *((word in message, f"no {word!r} in the message") for word in case.says),
        (len(lines) < LINES, f"{len(lines)} lines in the message"),
        ("Traceback" not in outcome.stdout + outcome.stderr, "a traceback"),
        (not changed, f"created or changed {', '.join(changed[:3])}"),
    ]
    return message, [*(fault for is_met, fault in demands if not is_met), *violations(message)]


def contents(folder: Path) -> dict[str, str]:
    """Return path -> SHA-256 of each file below a folder, or the target of each link."""

    def describe(path: Path) -> str:
        if path.is_symlink():
            return f"link to {path.readlink()}"
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"

    return {str(path): describe(path) for path in folder.rglob("*")}


def make_good(folder: Path, run: Command) -> None:
    """Make a folder with the experiment and a finished run of it."""
    folder.mkdir()
    with chdir(folder):
        make_experiment()
        outcome = run(["train", "config.yaml"])
        if outcome.code:
            raise SystemExit(f"the valid experiment fails: {outcome.message}")


def in_copy(good: Path, folder: Path, case: Case, run: Command) -> tuple[str, list[str]]:
    """Run `check_case` in a new copy of the valid folder."""
    shutil.copytree(good, folder)
    with chdir(folder):
        return check_case(case, run)


def main() -> None:
    """Run the cases, and exit with 1 if one has a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORDS", help="cases whose description contains WORDS")
    parser.add_argument("--apart", action="store_true", help="use a new interpreter for each case, about ten minutes")
    parser.add_argument("--markdown", action="store_true", help="write docs/reference/error-catalog.md")
    args = parser.parse_args()
    if args.only and args.markdown:
        parser.error("--markdown writes a page of all cases: leave out --only")
    cases = [case for case in CASES if args.only in case.what]
    run, failed = in_new_interpreter if args.apart else forked, 0
    messages = []
    with tempfile.TemporaryDirectory() as temporary:
        good = Path(temporary) / "good"
        make_good(good, run)
        for number, case in enumerate(cases):
            message, faults = in_copy(good, Path(temporary) / str(number), case, run)
            failed += bool(faults)
            messages.append((case, message))
            if faults:
                print(f"FAILED: {case.kind}: {case.what}: {'; '.join(faults)}\n{message}", file=sys.stderr, flush=True)
    if args.markdown:
        path = DOCS / error_catalog.PAGE
        path.write_text(error_catalog.page(messages), encoding="utf-8")
    print(f"{len(cases)} invalid inputs, {failed} with faults", file=sys.stderr)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
