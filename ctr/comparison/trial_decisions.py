"""Decisions on losing trials: read from the run folders, in trial order, whatever the order in which trials finish.

A trial is judged once the outcome of every earlier trial of its variant is known. Its outcome is then a function of its
own validations and of theirs. It is the same whether the trial is still running, was stopped before, or has finished.
"""

import json
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ctr.comparison.losing_trials import EndedTrial, FinishedTrial, TrialCurve, ending_of
from ctr.comparison.plan import PlannedRun
from ctr.comparison.results import Result, is_pending, load_result
from ctr.config.experiment import Experiment
from ctr.config.lengths import EpochsOrSteps
from ctr.metrics import MONITORS
from ctr.runs.run import LINES
from ctr.schema.report import RunReport

"""Metric -> its key in the lines of metrics.jsonl."""
NUMBERS = {"train": ("rows",), "valid": ("auc", "loss")}
"""Kind of a line of metrics.jsonl -> numbers that it has, or null."""
CI_ERRORS = 1.96  # standard errors in half of a 95% CI
Line: TypeAlias = dict[str, Any]


@dataclass
class _Variant:
    """Trials of a variant: those without a known outcome, in their order, and what decides them."""

    undecided: deque[PlannedRun]
    finished: list[FinishedTrial]
    rows: int = 0
    """Training examples of an epoch, from the trials that finished; 0 if it is unknown."""
    read: tuple[str, int] = ("", -1)
    """Label of the trial that was judged last, and the size of its metrics.jsonl then."""


class TrialDecisions:
    """Decides which trials end early.

    Args:
        trials: all trials of a study, ordered by trial number within a variant.
    """

    def __init__(self, trials: Sequence[PlannedRun]) -> None:
        self._ended: dict[str, EndedTrial] = {}
        self._to_train = {run.label for run in trials if is_pending(load_result(run))}
        self._variants: dict[str, _Variant] = {}
        for run in trials:
            self._variants.setdefault(run.variant.name, _Variant(deque(), [])).undecided.append(run)

    def find(self, run: PlannedRun) -> EndedTrial | None:
        """Return how a trial ended early; None if it did not, if that is not known yet, or for any other run."""
        if (variant := self._variants.get(run.variant.name)) is not None:
            while variant.undecided and self._decides(variant, variant.undecided[0]):
                variant.undecided.popleft()
        return self._ended.get(run.label)

    def has_ended(self, run: PlannedRun) -> bool:
        """Return True if a trial is known to end before its last validation so far, or at it."""
        return self.find(run) is not None

    def note_end(self, run: PlannedRun) -> None:
        """Note that a trial will not be trained further by this command: it finished, failed or was stopped."""
        self._to_train.discard(run.label)

    def result(self, run: PlannedRun) -> Result | None:
        """Return the result of a run. A losing trial ended early, even if it trained on, finished or failed."""
        ended = self.find(run)
        return load_result(run) if ended is None else Result(run, None, None, ended)

    def _decides(self, variant: _Variant, run: PlannedRun) -> bool:
        """Record the outcome of a trial if it is known; return whether it is."""
        if self._is_lost(variant, run):
            return True
        if run.label in self._to_train:
            return False
        result = load_result(run)
        if result is not None and result.report is not None:
            self._add(variant, run, result.run_report)
        return result is not None

    def _is_lost(self, variant: _Variant, run: PlannedRun) -> bool:
        """Record how a trial ended if it is losing; return whether it is."""
        path = run.folder / LINES[0]
        size = path.stat().st_size if path.is_file() else 0
        if not (size and variant.rows and variant.finished) or variant.read == (run.label, size):
            return False
        variant.read = run.label, size
        lines = validations(read_lines(run))
        ending = ending_of(curve_of(run.experiment, lines, variant.rows), variant.finished)
        if ending is None:
            return False
        best = next(line for line in lines if MONITORS[ending["metric"]].value_of_line(line) == ending["value"])
        self._ended[run.label] = EndedTrial(ending, best["auc"], best["loss"])
        return True

    def _add(self, variant: _Variant, run: PlannedRun, report: RunReport) -> None:
        """Add a trial that trained to its end."""
        trial, variant.rows = finished_trial(run, report, variant.rows)
        if trial is not None:
            variant.finished.append(trial)


def finished_trial(run: PlannedRun, report: RunReport, rows: int) -> tuple[FinishedTrial | None, int]:
    """Return a trial that trained to its end, and the number of training examples of an epoch.

    Both are unknown, None and 0, until a trial has trained a whole epoch.

    Args:
        run: trial.
        report: report of the trial.
        rows: number of training examples of an epoch, from earlier trials; 0 if it is unknown.
    """
    training, lines = report["training"], read_lines(run)
    if training["epochs"] > 1 or not training["stopped_early"]:  # else the first epoch might not be whole
        rows = max(rows, next((line["rows"] for line in lines if line["kind"] == "train"), 0))
    if not rows:
        return None, 0
    curve = curve_of(run.experiment, validations(lines), rows)
    return FinishedTrial(run.trial or 0, curve, _error(report, curve.metric)), rows


def curve_of(experiment: Experiment, lines: Sequence[Line], rows: int) -> TrialCurve:
    """Return the curve of a trial.

    Args:
        experiment: experiment of the trial.
        lines: lines of its validations in metrics.jsonl.
        rows: training examples of an epoch.
    """
    training = experiment.training
    steps_per_epoch = -(-rows // training.batch_size)
    stopping = training.early_stopping
    metric = "auc" if stopping is None else stopping.metric
    every = training.validate_every.in_steps(steps_per_epoch)
    return TrialCurve(
        metric=metric,
        epochs=tuple(line["step"] / steps_per_epoch for line in lines),
        values=tuple(MONITORS[metric].value_of_line(line) for line in lines),
        last_epoch=training.epochs,
        validations=-(-training.epochs * steps_per_epoch // every),
        warm_up=max(_warm_ups(experiment.optimizers.model_dump(serialize_as_any=True), steps_per_epoch), default=0.0),
        patience=math.inf if stopping is None else stopping.patience,
    )


def _warm_ups(settings: Any, steps_per_epoch: int) -> Iterator[float]:
    """Yield the length of each warm-up in the settings of optimizers, in epochs."""
    if isinstance(settings, dict):
        if isinstance(warm_up := settings.get("warm_up"), dict):
            yield EpochsOrSteps.model_validate(warm_up).in_steps(steps_per_epoch) / steps_per_epoch
        for value in settings.values():
            yield from _warm_ups(value, steps_per_epoch)


def read_lines(run: PlannedRun) -> list[Line]:
    """Return the lines of metrics.jsonl, up to a line that is not whole or does not continue the training.

    What an unfinished trial lacks then is trained again.
    """
    lines: list[Line] = []
    last = dict.fromkeys(NUMBERS, 0)  # step of the last line of each kind
    for text in run.saved.file(LINES[0]).read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:  # still being written
            break
        if not isinstance(line, dict) or not _has_numbers(line) or line["step"] <= last[line["kind"]]:
            break
        last[line["kind"]] = line["step"]
        lines.append(line)
    return lines


def _has_numbers(line: Line) -> bool:
    keys = NUMBERS.get(str(line.get("kind")), ("kind",))
    return isinstance(line.get("step"), int) and all(
        key in line and (line[key] is None or isinstance(line[key], int | float)) for key in keys
    )


def validations(lines: Sequence[Line]) -> list[Line]:
    """Return the lines that describe a validation."""
    return [line for line in lines if line["kind"] == "valid"]


def _error(report: RunReport, metric: str) -> float | None:
    """Return the standard error of a trial's monitor on the valid split; None if it is unknown."""
    metrics = report["metrics"]["valid"]
    if metric not in ("auc", "log_loss"):
        return None
    if metric == "log_loss":
        return metrics.get("log_loss_error")
    interval = metrics.get("auc_interval")
    return None if interval is None else (interval[1] - interval[0]) / 2 / CI_ERRORS
