"""Concurrent runs, each in a separate process, within a budget of processes and memory."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from ctr.comparison.plan import PlannedRun
from ctr.config.user_code import trusted_packages
from ctr.errors import Diverged
from ctr.preflight.resources import size
from ctr.runs.files import remove, write_text

POLL_SECONDS = 0.1
INVALID_INPUT = 2  # exit code, as of a run that does not fit
ROOT = Path(__file__).parents[2]  # folder of the packages
UNKNOWN = 1 << 62  # more bytes than any machine has: an estimate that failed, or free memory that is not known
PREFIXES = ("error: ", "diverged: ", "interrupted: ")  # of the line that `ctr` prints when it fails


@dataclass(frozen=True)
class Failure:
    """Reason why a run has no report."""

    code: int
    """Exit code; a negative code is the signal that killed the process."""
    reason: str
    """First line of the error."""

    @property
    def is_final(self) -> bool:
        """True if the run would fail in the same way again."""
        return self.code == Diverged.exit_code


@dataclass(frozen=True)
class Budget:
    """Limits for all concurrent runs together."""

    processes: int
    """Maximum number of processes."""
    memory: int
    """Maximum memory in bytes."""
    is_limit: bool = False
    """True if the user set the memory: a run that needs more of it fails before it starts."""

    def refuses(self, memory: int) -> bool:
        """Return True if a run that needs this memory must not start, even alone."""
        return self.is_limit and self.memory < memory < UNKNOWN

    def concurrent(self, needs: Sequence[int]) -> int:
        """Return how many runs train concurrently, at most.

        Args:
            needs: bytes of memory that each run needs.
        """
        smallest = accumulate(sorted(need for need in needs if not self.refuses(need)))
        return min(self.processes, max(1, sum(total <= self.memory for total in smallest)))


@dataclass
class _Running:
    run: PlannedRun
    process: subprocess.Popen[bytes]
    memory: int
    is_stopped: bool = False


class Pool:
    """Trains runs as `ctr train --resume` does, as many concurrently as the budget allows.

    Args:
        budget: limits for all concurrent runs.
        memory_of: name of a variant -> bytes of memory that one of its runs needs. A run that needs more than the
            budget fails before it starts if the user set the memory. Otherwise it is trained alone, and fails by itself
            if memory is too small.
        folder: folder for the config and the output of each run.
        callbacks: `--callback` arguments of every run.
        stop_requested: function that returns True once all runs must save and stop; it is called repeatedly.
    """

    def __init__(
        self,
        budget: Budget,
        memory_of: dict[str, int],
        folder: Path,
        callbacks: Sequence[str],
        stop_requested: Callable[[], bool],
    ) -> None:
        self.budget, self.memory_of, self.folder, self.callbacks = budget, memory_of, folder, callbacks
        self.stop_requested = stop_requested

    def train(
        self,
        runs: Sequence[PlannedRun],
        started: Callable[[PlannedRun], None],
        ended: Callable[[PlannedRun, Failure | None], None],
        waiting: Callable[[], None],
        needs_no_more: Callable[[PlannedRun], bool] = lambda run: False,
    ) -> None:
        """Train all runs in the given order, until all have ended or a stop is requested.

        Args:
            runs: runs to train, none of which is finished.
            started: function that is called when a run starts.
            ended: function that is called when a run ends, with its failure if it failed. It is not called for runs
                that are stopped.
            waiting: function that is called every tenth of a second.
            needs_no_more: function that returns True for a run that must save and stop, or not start. It is called
                repeatedly. Such a run ends without a failure, however its process ends.
        """
        queue, running = deque(runs), list[_Running]()
        try:
            while (queue or running) and not self.stop_requested():
                while queue and (self._is_refused(queue[0]) or self._fits(queue[0], running)):
                    run = queue.popleft()
                    started(run)
                    if needs_no_more(run):
                        ended(run, None)
                    elif self._is_refused(run):
                        ended(run, Failure(INVALID_INPUT, self._refusal(run)))
                    else:
                        running.append(self._start(run))
                for job in [job for job in running if not job.is_stopped and needs_no_more(job.run)]:
                    job.process.send_signal(signal.SIGTERM)
                    job.is_stopped = True
                for job in [job for job in running if job.process.poll() is not None]:
                    running.remove(job)
                    ended(job.run, self._failure(job))
                waiting()
                time.sleep(POLL_SECONDS)
        finally:
            for job in [job for job in running if not job.is_stopped]:  # a second signal would end it before it saved
                job.process.send_signal(signal.SIGTERM)
            for job in running:
                job.process.wait()

    def _is_refused(self, run: PlannedRun) -> bool:
        return self.budget.refuses(self.memory_of[run.variant.name])

    def _refusal(self, run: PlannedRun) -> str:
        need, limit = size(self.memory_of[run.variant.name]), size(self.budget.memory)
        return f"memory: the run needs up to {need}, but the limit for all runs is {limit}. Raise --memory."

    def _fits(self, run: PlannedRun, running: list[_Running]) -> bool:
        memory = sum(job.memory for job in running) + self.memory_of[run.variant.name]
        fits = len(running) < self.budget.processes and memory <= self.budget.memory
        return fits or not running

    def _start(self, run: PlannedRun) -> _Running:
        if not run.saved.exists:
            remove(run.folder)  # remains of a run that was killed early
        config, log = self._file_of(run, "yaml"), self._file_of(run, "log")
        write_text(config, run.experiment.to_yaml())
        user_code = [",".join(trusted_packages()), os.pathsep.join(sys.path)]
        arguments = [str(config), str(run.folder), *user_code, run.variant.classical_model or "", *self.callbacks]
        sys_path = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
        with log.open("wb") as out:
            process = subprocess.Popen(
                # -P: a file of the working directory with the name of a package does not shadow it
                [sys.executable, "-P", "-m", "ctr.jobs.worker", *arguments],
                env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys_path])},
                stdin=subprocess.PIPE,  # closes when this process dies
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches this process only, which then stops the others
            )
        return _Running(run, process, self.memory_of[run.variant.name])

    def _failure(self, job: _Running) -> Failure | None:
        code = job.process.returncode
        if code == 0 or job.is_stopped:
            return None
        log = self._file_of(job.run, "log").read_text(encoding="utf-8", errors="replace")
        return Failure(code, failure_reason(code, log))

    def _file_of(self, run: PlannedRun, suffix: str) -> Path:
        return self.folder / f"{run.variant.name}, {run.folder.name}.{suffix}"


def failure_reason(code: int, log: str) -> str:
    r"""Return why a run failed, in one line, from its exit code and output.

    >>> failure_reason(2, "epoch 1\nerror: a.parquet is missing\n")
    'a.parquet is missing'
    >>> failure_reason(1, "Traceback ...\n  ...\nZeroDivisionError: division by zero\nits checkpoints are kept\n")
    'ZeroDivisionError: division by zero'
    """
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", possibly out of memory" if -code == signal.SIGKILL else ""
        return f"killed by {name}{hint}"
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line.removeprefix(prefix) for line in lines for prefix in PREFIXES if line.startswith(prefix)]
    return next(iter([*errors, *_error_lines(lines), *lines[-1:]]), f"exited with code {code}")


def _error_lines(lines: list[str]) -> list[str]:
    """Return the error of the last traceback: the first line after it that is not indented, without notes."""
    starts = [index for index, line in enumerate(lines) if line.startswith("Traceback")]
    return [line for line in lines[starts[-1] + 1 :] if not line[0].isspace()][:1] if starts else []
