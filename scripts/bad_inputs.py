"""Give every bad input of `bad_input_cases.py` to the command that meets it, and check what comes of it.

    PYTHONPATH=. python scripts/bad_inputs.py [--only WORDS] [--apart] [--markdown]

A case breaks a tiny good experiment in a folder of its own, and runs one command there in a process of its own, which
has MEMORY_GB and SECONDS. Five things are demanded: the exit code; a message that names what is wrong; fewer than LINES
lines of it; no traceback; and afterwards a folder that holds, byte for byte, what it held before, so that no later run
can trust what a failed one left. A case that fails is told, and ends the script with 1.
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

LINES, MEMORY_GB, SECONDS = 10, 8, 60
SHOWN = 160  # characters of a message in the table
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    stdout: str
    stderr: str

    @property
    def message(self) -> str:
        """What it says is wrong; `ctr inspect` says it in a table."""
        findings = [line.strip() for line in self.stdout.splitlines() if line.strip().startswith("error")]
        return self.stderr.strip() or "\n".join(findings)


Command: TypeAlias = Callable[[list[str]], Ran]
"""Runs `ctr` with these arguments in the working directory."""


def forked(arguments: list[str]) -> Ran:
    """In a child of this process, which has imported what takes long, and started nothing of it."""
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        places = stdout.fileno(), stderr.fileno()
        child = multiprocessing.get_context("fork").Process(target=_ctr, args=(arguments, *places))
        child.start()
        child.join(SECONDS)
        child.kill()
        child.join()
        stdout.seek(0)
        stderr.seek(0)
        return Ran(child.exitcode or 0, stdout.read(), stderr.read())


def apart(arguments: list[str]) -> Ran:
    """As a user does, in an interpreter of its own."""
    command = [sys.executable, "-m", "ctr.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=SECONDS)
    return Ran(done.returncode, done.stdout, done.stderr)


def _ctr(arguments: list[str], stdout: int, stderr: int) -> None:
    from ctr.cli import app

    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_GB * 2**30,) * 2)
    app(arguments, prog_name="ctr")


def tried(case: Case, run: Command) -> tuple[str, list[str]]:
    """Break the experiment in the working directory and run the command; returns the message and what is wrong."""
    case.damage()
    before = contents(Path())
    ran = run(shlex.split(case.command))
    message, after = ran.message.replace(f"{Path.cwd()}/", ""), contents(Path())
    lines, changed = message.splitlines(), sorted(dict(before.items() ^ after.items()))
    demands = [
        (ran.code == case.code, f"exit code {ran.code}, not {case.code}"),
        *((word in message, f"does not say {word!r}") for word in case.says),
        (len(lines) < LINES, f"says it in {len(lines)} lines"),
        ("Traceback" not in ran.stdout + ran.stderr, "shows a traceback"),
        (not changed, f"left or changed {', '.join(changed[:3])}"),
    ]
    return message, [fault for is_met, fault in demands if not is_met]


def contents(folder: Path) -> dict[str, str]:
    """All that is below a folder: path -> of a file the SHA-256 of its bytes, of a link where it leads."""

    def told(path: Path) -> str:
        if path.is_symlink():
            return f"link to {path.readlink()}"
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"

    return {str(path): told(path) for path in folder.rglob("*")}


def make_good(folder: Path, run: Command) -> None:
    """A folder with the experiment and a finished run of it."""
    folder.mkdir()
    with chdir(folder):
        make_experiment()
        ran = run(["train", "config.yaml"])
        if ran.code:
            raise SystemExit(f"the good experiment fails: {ran.message}")


def in_copy(good: Path, folder: Path, case: Case, run: Command) -> tuple[str, list[str]]:
    """As `tried`, in a new copy of the good folder."""
    shutil.copytree(good, folder)
    with chdir(folder):
        return tried(case, run)


def row(case: Case, message: str) -> str:
    """A line of the table: the message's first line, of a long one the beginning."""
    first = (message.splitlines() or [""])[0].removeprefix("error: ")
    shown = first if len(first) <= SHOWN else f"{first[:SHOWN].rstrip()} ..."
    return f"| {case.kind} | {case.what} | `{_printable(shown).replace('|', chr(92) + '|').replace('`', chr(39))}` |"


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def main() -> None:
    """Try the cases; exit with 1 if one is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORDS", help="cases whose description holds these")
    parser.add_argument("--apart", action="store_true", help="each in an interpreter of its own: about ten minutes")
    parser.add_argument("--markdown", action="store_true", help="print docs/reference/error-catalog.md")
    given = parser.parse_args()
    cases = [case for case in CASES if given.only in case.what]
    run, failed = apart if given.apart else forked, 0
    if given.markdown:
        print("| kind | input | message |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        good = Path(temporary) / "good"
        make_good(good, run)
        for number, case in enumerate(cases):
            message, faults = in_copy(good, Path(temporary) / str(number), case, run)
            failed += bool(faults)
            if given.markdown:
                print(row(case, message), flush=True)
            if faults:
                print(f"FAILED: {case.kind}: {case.what}: {'; '.join(faults)}\n{message}", file=sys.stderr, flush=True)
    print(f"{len(cases)} bad inputs, {failed} not as they must be", file=sys.stderr)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
