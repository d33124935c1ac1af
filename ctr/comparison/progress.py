"""What the terminal shows while runs train: a line for each that ended, a bar for all, and where each is."""

import json
import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ctr.comparison.plan import PlannedRun
from ctr.comparison.pool import Failure
from ctr.console import PLAIN
from ctr.report import formats
from ctr.schema.report import RunReport

REFRESH_SECONDS = 1.0


class ComparisonProgress:
    """Follows a `Pool`; without a terminal there are lines only.

    Args:
        console: to show it on.
        total: runs of this stage, finished ones included.
        done: those that are finished.
    """

    def __init__(self, console: Console, total: int, done: int) -> None:
        self.console, self.total, self.done = console, total, done
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._all = self._bars.add_task("all runs", total=total, completed=done, told="")
        self._running: dict[str, tuple[PlannedRun, TaskID, float]] = {}
        self._refreshed = 0.0

    def __enter__(self) -> "ComparisonProgress":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def started(self, run: PlannedRun) -> None:
        """A bar for it, of its epochs."""
        bar = self._bars.add_task(escape(run.label), total=run.experiment.training.epochs, told="")
        self._running[run.label] = run, bar, time.perf_counter()

    def ended(self, run: PlannedRun, failure: Failure | None) -> None:
        """A line for it."""
        _, bar, started = self._running.pop(run.label)
        self._bars.remove_task(bar)
        self.done += 1
        self._bars.update(self._all, completed=self.done)
        seconds = formats.duration(time.perf_counter() - started)
        told = f"failed: {failure.reason}" if failure else _measured(run.saved.run_report())
        self.console.print(f"{self.done:4d}/{self.total}  {run.label}: {told}  ({seconds})", **PLAIN)

    def waiting(self) -> None:
        """Where each run is, every second."""
        now = time.perf_counter()
        if self._bars.disable or now - self._refreshed < REFRESH_SECONDS:
            return
        self._refreshed = now
        for run, bar, _ in self._running.values():
            line = _last_validation(run)
            if line is not None:
                self._bars.update(bar, completed=line["epoch"], told=f"valid AUC {formats.metric(line['auc'])}")


def _measured(report: RunReport) -> str:
    """What a line says: of validation, as test data is looked at once, at the end."""
    found = report["metrics"].get("valid", report["metrics"]["train"])
    name = "valid" if "valid" in report["metrics"] else "train"
    return f"{name} AUC {formats.metric(found['auc'])}, log loss {formats.metric(found['log_loss'])}"


def _last_validation(run: PlannedRun) -> dict[str, Any] | None:
    try:
        lines = (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    for line in reversed(lines):
        try:
            found = json.loads(line)
        except ValueError:  # it is being written
            continue
        if isinstance(found, dict) and found.get("kind") == "valid":
            return found
    return None
