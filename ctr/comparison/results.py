"""What a finished training says, as far as a comparison asks."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctr.comparison.plan import PlannedRun
from ctr.comparison.pool import Failure
from ctr.comparison.study import Variant
from ctr.errors import ConfigError
from ctr.runs.files import read_json, remove, write_json
from ctr.runs.run import LINES
from ctr.schema.report import RunReport
from ctr.schema.split_metrics import SplitMetrics

FAILED = ".failed.json"  # beside a run's folder


@dataclass(frozen=True)
class Curve:
    """The validations of a training, in order.

    Attributes:
        steps, rows: of training until then.
        seconds: of training until then; a clock reading.
        auc, log_loss: None where the data does not define it.
    """

    steps: list[int]
    rows: list[int]
    seconds: list[float]
    auc: list[float | None]
    log_loss: list[float | None]

    def first_above(self, target: float) -> int | None:
        """The place of the first validation whose AUC is at least `target`."""
        return next((place for place, auc in enumerate(self.auc) if auc is not None and auc >= target), None)

    @property
    def best_auc(self) -> float | None:
        """The highest."""
        return max((auc for auc in self.auc if auc is not None), default=None)


@dataclass(frozen=True)
class Result:
    """A training that has ended: its report, or why it has none."""

    run: PlannedRun
    report: RunReport | None
    failure: Failure | None

    @property
    def evaluated(self) -> str:
        """The set that is reported: test, or valid where there is no test."""
        assert self.report is not None
        return self.report["main_split"]

    @property
    def metrics(self) -> SplitMetrics:
        """Of that set."""
        assert self.report is not None
        return self.report["metrics"][self.evaluated]

    def curve(self) -> Curve:
        """What metrics.jsonl and timing.jsonl say.

        Raises:
            ConfigError: one is damaged.
        """
        lines, clock = (_lines(self.run.saved.file(name)) for name in LINES)
        try:
            trained = [place for place, line in enumerate(lines) if line["kind"] == "train"]
            steps = [0, *(lines[place]["step"] for place in trained)]
            rows = np.cumsum([0, *(lines[place]["rows"] for place in trained)])
            seconds = np.cumsum([0, *(clock[place]["seconds"] for place in trained)])
            valid = [line for line in lines if line["kind"] == "valid"]
            at = [line["step"] for line in valid]
            return Curve(
                steps=at,
                rows=np.rint(np.interp(at, steps, rows)).astype(int).tolist(),
                seconds=np.interp(at, steps, seconds).round(3).tolist(),
                auc=[line["auc"] for line in valid],
                log_loss=[line["loss"] for line in valid],
            )
        except (KeyError, IndexError, TypeError) as error:
            raise ConfigError(f"{self.run.folder}: metrics.jsonl or timing.jsonl is damaged: {error}") from error


@dataclass(frozen=True)
class CellResults:
    """How all trainings of a cell ended."""

    cell: Variant
    trials: list[Result]
    chosen: Result | None
    """The best trial; None: nothing was tuned, or all failed."""
    seeds: list[Result]

    @property
    def finished(self) -> list[Result]:
        """Of the reported trainings those with a report."""
        return [result for result in self.seeds if result.report is not None]


def result_of(run: PlannedRun) -> Result | None:
    """How a planned run ended before; None: it has not."""
    if run.saved.exists and run.saved.is_finished:
        run.saved.check_code(run.experiment)  # it may have been edited while another process trained
        return Result(run, run.saved.run_report(), None)
    path = _failed(run)
    if path.is_file():
        found = read_json(path)
        if found.get("config") == run.experiment.to_yaml():
            return Result(run, None, Failure(found["code"], found["reason"]))
    return None


def write_failure(run: PlannedRun, failure: Failure) -> None:
    """Note beside the run's folder that it failed, and how."""
    path = _failed(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**asdict(failure), "config": run.experiment.to_yaml()})


def forget_failure(run: PlannedRun) -> None:
    """So that it is tried again."""
    remove(_failed(run))


def _failed(run: PlannedRun) -> Path:
    return run.folder.with_name(run.folder.name + FAILED)


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: damaged: {error}") from error
