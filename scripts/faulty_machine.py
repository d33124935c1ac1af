"""Tools of faults.py: a tiny experiment, `ctr` processes stopped at a chosen moment, and disks that fill up."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from kill_and_resume import ending

HERE = Path(__file__).absolute().parents[1]
LINES = 10  # limit of a message
DISK_MB = 24
EVERY = 40  # steps between checkpoints; an epoch has 100
CONFIG = """
name: faults
data: {{train: {data}/train, valid: {data}/valid.parquet, test: {data}/test.parquet, label: clicked, keep: [token]}}
features:
  defaults: {{dim: 8}}
  columns:
    user: {{hash: 20000}}
    item: {{}}
    price: {{type: numeric}}
model: {{type: dcn_v2, cross_layers: 1, hidden: [8]}}
optimizers: {{sparse: {{"*": {{type: adagrad}}}}}}
training: {{batch_size: 64, epochs: 4, threads: 1, device: cpu, checkpoint: {{every: {{steps: {every}}}}}}}
"""


class Failed(Exception):
    """Error of a check, with the reason."""


class Missed(Exception):
    """The fault came too late, after the end of the process."""


class Skipped(Exception):
    """The fault cannot be injected on this machine, with the reason."""


@dataclass
class Place:
    """Paths of the experiment and its runs."""

    folder: Path
    """Folder for the runs of one fault, created for each fault."""
    data: Path
    config: Path
    undisturbed: Path
    """The undisturbed run."""


@dataclass
class Ended:
    """Exit code and output of a command."""

    code: int
    shown: str
    message: str

    def expect(self, code: int, *words: str) -> str:
        """Return the message; raise Failed unless the exit code is `code` and it is short and contains `words`."""
        output = f"{self.shown}{self.message}" if code == 0 else self.message
        if self.code != code:
            raise Failed(f"exit code {self.code}, expected {code}: {self.message[-2000:]}")
        if "Traceback" in output or (code and len(output.splitlines()) >= LINES):
            raise Failed(f"not a short message: {output[-2000:]}")
        if missing := [word for word in words if word not in output]:
            raise Failed(f"missing words {missing}: {output[-2000:]}")
        return self.message.strip()


def start(*arguments: Any, prefix: Sequence[str] = (), **options: Any) -> subprocess.Popen[str]:
    """Start a `ctr` process."""
    command = [*prefix, sys.executable, "-m", "ctr.cli", *map(str, arguments)]
    return subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def end(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a process and return its result."""
    shown, message = process.communicate()
    return Ended(process.returncode, shown, message)


@contextmanager
def stopped(process: subprocess.Popen[str], is_time: Callable[[], bool]) -> Iterator[None]:
    """Stop the process as soon as `is_time` returns True, and continue it afterwards.

    Raises:
        Missed: the process ended first.
    """
    while process.poll() is None and not is_time():
        time.sleep(0.0005)
    process.send_signal(signal.SIGSTOP)
    if process.poll() is not None:
        raise Missed
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def has_checkpoint(run: Path, number: int = 1) -> Callable[[], bool]:
    """Return a function that returns True once a run has `number` checkpoints."""
    return lambda: len(list(run.glob("checkpoints/step-*"))) >= number


def check_resumed(place: Place, run: Path) -> None:
    """Resume a run and check that its result equals that of the undisturbed run."""
    end(start("train", place.config, "--run", run, "--resume")).expect(0)
    expected, found = ending(place.undisturbed), ending(run)
    if differing := [name for name in {**expected, **found} if found.get(name) != expected.get(name)]:
        raise Failed(f"the resumed run differs in {differing}")


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class Disk:
    """A small file system in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> "Disk":
        self.folder.mkdir()
        options = ["-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs"]
        made = subprocess.run(["mount", *options, str(self.folder)], capture_output=True, text=True)
        if made.returncode:
            raise Skipped(f"no file system can be mounted: {made.stderr.strip()}")
        return self

    def __exit__(self, *_: object) -> None:
        while subprocess.run(["umount", "--lazy", str(self.folder)], capture_output=True).returncode == 0:
            pass  # the read-only mount on top comes off first

    def fill(self) -> None:
        """Fill the disk to the last byte."""
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while ballast.write(bytes(size)) == size:
                        pass
                except OSError:  # full
                    continue

    def empty(self) -> None:
        """Delete the file that fills the disk."""
        (self.folder / "ballast").unlink()

    def make_read_only(self) -> None:
        """Mount the disk on itself, read-only; open files, such as a lock, stay writable."""
        subprocess.run(["mount", "--bind", str(self.folder), str(self.folder)], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", str(self.folder)], check=True)

    def make_writable(self) -> None:
        """Undo `make_read_only`."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


def prepared(folder: Path) -> Place:
    """Write a click log of random rows, and train the undisturbed run."""
    place = Place(folder / "runs", folder / "data", folder / "config.yaml", folder / "undisturbed")
    rng = np.random.default_rng(1)

    def write(path: Path, rows: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = {
            "user": rng.integers(0, 5000, rows),
            "item": [f"item {k}" for k in rng.integers(0, 50, rows)],
            "price": rng.lognormal(0, 1, rows),
            "token": [rng.bytes(16).hex() for _ in range(rows)],  # makes the writing of scores slow
            "clicked": rng.integers(0, 2, rows).astype(np.int8),
        }
        pq.write_table(pa.table(columns), path)

    for part in range(4):
        write(place.data / "train" / f"part-{part}.parquet", 1600)
    write(place.data / "valid.parquet", 10000)
    write(place.data / "test.parquet", 10000)
    place.config.write_text(CONFIG.format(data=place.data, every=EVERY))
    end(start("train", place.config, "--run", place.undisturbed)).expect(0)
    return place
