"""Results of the runs of a comparison: reports, failures and learning curves."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctr.comparison.losing_trials import EndedTrial
from ctr.comparison.plan import PlannedRun
from ctr.comparison.pool import Failure
from ctr.comparison.study import Variant
from ctr.errors import ConfigError
from ctr.runs.files import read_json, remove, write_json
from ctr.runs.run import LINES
from ctr.schema.report import ClassicalReport, RunReport
from ctr.schema.split_metrics import SplitMetrics

FAILED = ".failed.json"  # suffix of a file next to the run folder


@dataclass(frozen=True)
class Curve:
    """Learning curve: the validations of a run, in order.

    Attributes:
        steps: training steps until each validation.
        rows: training examples until each validation.
        seconds: training time until each validation.
        auc: AUC of each validation; None if it is undefined.
        log_loss: log loss of each validation; None if it is undefined.
    """

    steps: list[int]
    rows: list[int]
    seconds: list[float]
    auc: list[float | None]
    log_loss: list[float | None]

    def first_above(self, target: float) -> int | None:
        """Return the index of the first validation whose AUC reaches `target`; None if it is never reached."""
        return next((index for index, auc in enumerate(self.auc) if auc is not None and auc >= target), None)

    @property
    def best_auc(self) -> float | None:
        """Highest AUC; None if it is undefined."""
        return max((auc for auc in self.auc if auc is not None), default=None)


@dataclass(frozen=True)
class Result:
    """Result of a run that ended: its report, its failure, or how it ended as a losing trial."""

    run: PlannedRun
    report: RunReport | ClassicalReport | None
    failure: Failure | None
    ended: EndedTrial | None = None

    @property
    def run_report(self) -> RunReport:
        """Report of a run that trained steps, not of a classical model."""
        assert self.report is not None
        assert self.report["kind"] == "run"
        return self.report

    @property
    def classical_report(self) -> ClassicalReport:
        """Report of a classical model."""
        assert self.report is not None
        assert self.report["kind"] == "classical"
        return self.report

    @property
    def evaluated(self) -> str:
        """Name of the reported split: test, or valid if there is no test split."""
        assert self.report is not None
        return self.report["main_split"]

    @property
    def metrics(self) -> SplitMetrics:
        """Metrics of the reported split."""
        assert self.report is not None
        return self.report["metrics"][self.evaluated]

    def curve(self) -> Curve:
        """Return the learning curve, from metrics.jsonl and timing.jsonl.

        Raises:
            ConfigError: a file is damaged.
        """
        lines, clock = (_lines(self.run.saved.file(name)) for name in LINES)
        try:
            epochs = [index for index, line in enumerate(lines) if line["kind"] == "train"]
            steps = [0, *(lines[index]["step"] for index in epochs)]
            rows = np.cumsum([0, *(lines[index]["rows"] for index in epochs)])
            seconds = np.cumsum([0, *(clock[index]["seconds"] for index in epochs)])
            valid = [line for line in lines if line["kind"] == "valid"]
            valid_steps = [line["step"] for line in valid]
            return Curve(
                steps=valid_steps,
                rows=np.rint(np.interp(valid_steps, steps, rows)).astype(int).tolist(),
                seconds=np.interp(valid_steps, steps, seconds).round(3).tolist(),
                auc=[line["auc"] for line in valid],
                log_loss=[line["loss"] for line in valid],
            )
        except (KeyError, IndexError, TypeError) as error:
            mend = f"Delete {self.run.folder}: the same `ctr compare` command trains it again."
            raise ConfigError(f"{self.run.folder}: damaged metrics.jsonl or timing.jsonl: {error}. {mend}") from error


@dataclass(frozen=True)
class VariantRuns:
    """Results of all runs of a variant."""

    variant: Variant
    trials: list[Result]
    """Results of the trials; empty without tuning."""
    best_trial: Result | None
    """Best trial; None without tuning or if all trials failed."""
    seeds: list[Result]
    """Results of the reported runs."""

    @property
    def finished(self) -> list[Result]:
        """Reported runs that have a report."""
        return [result for result in self.seeds if result.report is not None]


def load_result(run: PlannedRun) -> Result | None:
    """Return the result of a planned run; None if the run is new or unfinished."""
    if run.saved.exists and run.saved.is_finished:
        if run.variant.classical_model is None:
            run.saved.check_code(run.experiment)  # the code might have changed while the run was trained
        return Result(run, read_report(run), None)
    path = _failure_file(run)
    if path.is_file():
        failure = read_json(path)
        if failure.get("config") == run.experiment.to_yaml():
            return Result(run, None, Failure(failure["code"], failure["reason"]))
    return None


def is_pending(result: Result | None) -> bool:
    """Return True for a run to train: a new run, or a run whose failure might not repeat."""
    return result is None or (result.failure is not None and not result.failure.is_final)


def read_report(run: PlannedRun) -> RunReport | ClassicalReport:
    """Return the report of a finished run."""
    if run.variant.classical_model is not None:
        return run.saved.classical_report()
    return run.saved.run_report()


def write_failure(run: PlannedRun, failure: Failure) -> None:
    """Write the failure of a run to a file next to the run folder."""
    path = _failure_file(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**asdict(failure), "config": run.experiment.to_yaml()})


def delete_failure(run: PlannedRun) -> None:
    """Delete the failure of a run, so that the run is trained again."""
    remove(_failure_file(run))


def _failure_file(run: PlannedRun) -> Path:
    return run.folder.with_name(run.folder.name + FAILED)


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: damaged: {error}. Delete {path.parent}: the same `ctr compare` command trains it again."
        ) from error
