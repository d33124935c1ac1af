"""Several trainings at once, each in a process of its own, within a budget of processes and memory."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctr.comparison.plan import PlannedRun
from ctr.config.user_code import trusted_packages
from ctr.errors import Diverged
from ctr.runs.files import remove, write_text

POLL_SECONDS = 0.1
ROOT = Path(__file__).parents[2]  # of the packages
TELLING = ("error: ", "diverged: ", "interrupted: ")  # how `ctr` begins what it says of its end


@dataclass(frozen=True)
class Failure:
    """How a training ended that has no report."""

    code: int
    """Exit code; below 0: the signal that killed it."""
    reason: str

    @property
    def is_final(self) -> bool:
        """Whether it would fail in the same way again."""
        return self.code == Diverged.exit_code


@dataclass(frozen=True)
class Budget:
    """What all processes together may take."""

    processes: int
    memory: int
    """Bytes."""


@dataclass
class _Running:
    run: PlannedRun
    process: subprocess.Popen[bytes]
    memory: int


class Pool:
    """Trains runs, `ctr train --resume` each, as many at once as fit.

    Args:
        budget: within which.
        needs: bytes of memory of a cell's trainings, by its name. One that needs more than the budget trains alone, and
            says itself whether that is too much.
        folder: for the config of each run, and what it prints.
        callbacks: `--callback` of every training.
        stop_requested: returns True once every run has to save and end; called all the time.
    """

    def __init__(
        self,
        budget: Budget,
        needs: dict[str, int],
        folder: Path,
        callbacks: Sequence[str],
        stop_requested: Callable[[], bool],
    ) -> None:
        self.budget, self.needs, self.folder, self.callbacks = budget, needs, folder, callbacks
        self.stop_requested = stop_requested

    def train(
        self,
        runs: Sequence[PlannedRun],
        started: Callable[[PlannedRun], None],
        ended: Callable[[PlannedRun, Failure | None], None],
        waiting: Callable[[], None],
    ) -> None:
        """Train them all, in their order, or until it is asked to end.

        Args:
            runs: none of which is finished.
            started: told of each when it starts.
            ended: told of each when it ends, and how if it failed; not of those that are stopped.
            waiting: called every tenth of a second.
        """
        queue, running = deque(runs), list[_Running]()
        try:
            while (queue or running) and not self.stop_requested():
                while queue and self._fits(queue[0], running):
                    running.append(self._start(queue.popleft()))
                    started(running[-1].run)
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    ended(one.run, self._failure(one))
                waiting()
                time.sleep(POLL_SECONDS)
        finally:
            for one in running:
                one.process.send_signal(signal.SIGTERM)
            for one in running:
                one.process.wait()

    def _fits(self, run: PlannedRun, running: list[_Running]) -> bool:
        taken = sum(one.memory for one in running)
        fits = len(running) < self.budget.processes and taken + self.needs[run.cell.name] <= self.budget.memory
        return fits or not running

    def _start(self, run: PlannedRun) -> _Running:
        if not run.saved.exists:
            remove(run.folder)  # what a killed run left of its folder
        config, log = self._file_of(run, "yaml"), self._file_of(run, "log")
        write_text(config, run.experiment.to_yaml())
        user_code = [",".join(trusted_packages()), os.pathsep.join(sys.path)]
        arguments = [str(config), str(run.folder), *user_code, *self.callbacks]
        sys_path = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
        with log.open("wb") as out:
            process = subprocess.Popen(
                # -P: a file of the working directory that is called as a package is not taken for it
                [sys.executable, "-P", "-m", "ctr.jobs.worker", *arguments],
                env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys_path])},
                stdin=subprocess.PIPE,  # which closes when this process dies
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches this process alone, which then asks the others
            )
        return _Running(run, process, self.needs[run.cell.name])

    def _failure(self, one: _Running) -> Failure | None:
        code = one.process.returncode
        if code == 0:
            return None
        log = self._file_of(one.run, "log").read_text(encoding="utf-8", errors="replace")
        return Failure(code, failure_reason(code, log))

    def _file_of(self, run: PlannedRun, suffix: str) -> Path:
        return self.folder / f"{run.cell.name}, {run.folder.name}.{suffix}"


def failure_reason(code: int, log: str) -> str:
    """Why a training ended, in one line, of its exit code and what it printed.

    >>> failure_reason(2, "epoch 1\\nerror: a.parquet is missing\\n")
    'a.parquet is missing'
    >>> failure_reason(1, "Traceback ...\\n  ...\\nZeroDivisionError: division by zero\\nits checkpoints are kept\\n")
    'ZeroDivisionError: division by zero'
    """
    if code < 0:
        name = signal.Signals(-code).name
        hint = ": out of memory, perhaps" if -code == signal.SIGKILL else ""
        return f"killed by {name}{hint}"
    lines = [line for line in log.splitlines() if line.strip()]
    own = [line.removeprefix(start) for line in lines for start in TELLING if line.startswith(start)]
    return next(iter([*own, *_raised(lines), *lines[-1:]]), f"ended with code {code}")


def _raised(lines: list[str]) -> list[str]:
    """The error of the last traceback: the first line after it that is not indented; notes come behind."""
    starts = [place for place, line in enumerate(lines) if line.startswith("Traceback")]
    return [line for line in lines[starts[-1] + 1 :] if not line[0].isspace()][:1] if starts else []
