"""Progress of a comparison in the terminal: a line for each finished run, a bar for all runs and for each run."""

import json
import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ctr.comparison.losing_trials import EndedTrial
from ctr.comparison.plan import PlannedRun
from ctr.comparison.pool import Failure
from ctr.comparison.results import read_report
from ctr.console import PLAIN
from ctr.report import formats
from ctr.report.ended_trials import ending_text
from ctr.schema.report import ScoredReport

REFRESH_SECONDS = 1.0


class ComparisonProgress:
    """Shows the progress of a `Pool`. Without a terminal it prints lines only.

    Args:
        console: output.
        total: number of runs of this stage, including finished runs.
        done: number of finished runs.
    """

    def __init__(self, console: Console, total: int, done: int) -> None:
        self.console, self.total, self.done = console, total, done
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._all = self._bars.add_task("all runs", total=total, completed=done, status="")
        self._running: dict[str, tuple[PlannedRun, TaskID, float]] = {}
        self._refreshed = 0.0

    def __enter__(self) -> "ComparisonProgress":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def started(self, run: PlannedRun) -> None:
        """Add a bar for a run, which counts epochs, or one fit for a classical model."""
        epochs = run.experiment.training.epochs if run.variant.classical_model is None else 1
        bar = self._bars.add_task(escape(run.label), total=epochs, status="")
        self._running[run.label] = run, bar, time.perf_counter()

    def ended(self, run: PlannedRun, failure: Failure | None, lost: EndedTrial | None = None) -> None:
        """Print a line for a run that ended.

        Args:
            run: the run.
            failure: its failure; None if it did not fail.
            lost: its end as a losing trial; None for any other run.
        """
        _, bar, started = self._running.pop(run.label)
        self._bars.remove_task(bar)
        self.done += 1
        self._bars.update(self._all, completed=self.done)
        seconds = formats.duration(time.perf_counter() - started)
        if lost is not None:
            outcome = ending_text(lost.ending)
        else:
            outcome = f"failed: {failure.reason}" if failure else _metrics(read_report(run))
        self.console.print(f"{self.done:4d}/{self.total}  {run.label}: {outcome}  ({seconds})", **PLAIN)

    def waiting(self) -> None:
        """Update the bar of each run, once per second."""
        now = time.perf_counter()
        if self._bars.disable or now - self._refreshed < REFRESH_SECONDS:
            return
        self._refreshed = now
        for run, bar, _ in self._running.values():
            line = _last_validation(run)
            if line is not None:
                self._bars.update(bar, completed=line["epoch"], status=f"valid AUC {formats.metric(line['auc'])}")


def _metrics(report: ScoredReport) -> str:
    """Return the validation metrics of a run; test metrics appear only at the end of the comparison."""
    split = "valid" if "valid" in report["metrics"] else "train"
    metrics = report["metrics"][split]
    return f"{split} AUC {formats.metric(metrics['auc'])}, log loss {formats.metric(metrics['log_loss'])}"


def _last_validation(run: PlannedRun) -> dict[str, Any] | None:
    try:
        lines = (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    for line in reversed(lines):
        try:
            record = json.loads(line)
        except ValueError:  # the line is still being written
            continue
        if isinstance(record, dict) and record.get("kind") == "valid":
            return record
    return None
