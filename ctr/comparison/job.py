"""`ctr compare`: from a study to a folder of runs and what they say together."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from ctr.comparison.conclude import CellResults, best_trial, conclude
from ctr.comparison.needs import budget_of, check_validates, leave_gpus, memory_needs
from ctr.comparison.plan import STUDY, Planned, check_as_before, planned_seeds, planned_trials, write_plan
from ctr.comparison.pool import Failure, Pool
from ctr.comparison.results import Result, forget_failure, result_of, write_failure
from ctr.comparison.study import Cell, Study, cells_of
from ctr.comparison.watch import Watch
from ctr.errors import ConfigError, Interrupted
from ctr.interruption import Interruption, interruptible
from ctr.lock import only_process_in
from ctr.report.comparison import show_comparison, write_comparison
from ctr.run import check_writable, environment, remove, write_json
from ctr.show import PLAIN

FILE = "comparison.json"


def compare(
    study: Study,
    folder: str | Path,
    overwrite: bool = False,
    processes: int | None = None,
    memory: float | None = None,
    callbacks: Sequence[str] = (),
    console: Console | None = None,
) -> dict[str, Any]:
    """Train every choice of a study, and say what they differ by; returns what comparison.json says.

    What is finished in the folder is kept, what was killed goes on, and what failed is tried again unless it diverged.
    More seeds, trials or choices may be asked for of a comparison that is there.

    Args:
        study: what to compare.
        folder: of the comparison.
        overwrite: delete the comparison that is there first.
        processes: trainings at once; None: as many as there are CPUs for, one on a GPU.
        memory: GiB that they may take together; None: what is free.
        callbacks: `MODULE:NAME` of tf_keras callbacks of every training, see `ctr.callbacks`.
        console: where progress goes; None: nowhere.

    Raises:
        ConfigError, DataError: the user's mistakes; also if every training failed.
        Interrupted: SIGTERM or SIGINT came; what had been trained is saved.
    """
    console, folder = console or Console(quiet=True), Path(folder)
    _check_folder(folder)
    with only_process_in(folder), interruptible() as interruption:
        if overwrite:
            remove(folder)
        return _compare(study, folder, _Stage(folder, processes, memory, callbacks, console, interruption))


class _Stage:
    """Trains the runs of a stage that are not finished; the first that has any finds out what they need."""

    def __init__(
        self,
        folder: Path,
        processes: int | None,
        memory: float | None,
        callbacks: Sequence[str],
        console: Console,
        interruption: Interruption,
    ) -> None:
        self.folder, self.processes, self.memory, self.callbacks = folder, processes, memory, callbacks
        self.console, self.interruption = console, interruption
        self.needs: dict[str, int] = {}

    def results(self, runs: Sequence[Planned], what: str) -> list[Result]:
        """Of each run, in their order.

        Raises:
            Interrupted: before all had ended.
        """
        pending = self.prepared(runs)
        if pending:
            budget = budget_of(pending, self.processes, self.memory)
            at_once = min(budget.processes, len(pending))
            self.console.print(f"{what}: {len(runs)} runs, {len(pending)} to train, {at_once} at once", **PLAIN)
            pool = Pool(budget, self.needs, self._logs(), self.callbacks, lambda: self.interruption.is_asked)
            with Watch(self.console, len(runs), len(runs) - len(pending)) as watch:
                if not pool.train(pending, partial(_begin, watch), partial(_end, watch), watch.waiting):
                    raise Interrupted(f"{self.folder}: finished runs are kept; the same command goes on")
        return [_ended(run) for run in runs]

    def prepared(self, runs: Sequence[Planned]) -> list[Planned]:
        """Those that are to be trained, once they are known to fit what is there and the data; writes nothing.

        Raises:
            ConfigError, DataError: they do not.
        """
        check_as_before(runs)
        pending = [run for run in runs if _is_pending(result_of(run))]
        unknown = {run.cell.name: run for run in pending if run.cell.name not in self.needs}
        if unknown:
            self.console.print(f"reading the data once, for what {len(unknown)} choices need of memory", **PLAIN)
            self.needs |= memory_needs(list(unknown.values()))
        return pending

    def _logs(self) -> Path:
        logs = self.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        return logs


def _compare(study: Study, folder: Path, stage: _Stage) -> dict[str, Any]:
    cells = cells_of(study)
    leave_gpus()
    trials = planned_trials(study, cells, folder)
    if trials:
        check_validates(trials[0])
    stage.prepared(trials or planned_seeds(study, {}, cells, folder))
    write_plan(study, trials, folder)
    of_trials = stage.results(trials, "tuning") if trials else []
    chosen = {cell.name: best_trial([one for one in of_trials if one.run.cell is cell]) for cell in cells}
    best = {name: one.run if one else None for name, one in chosen.items()} if trials else {}
    of_seeds = stage.results(planned_seeds(study, best, cells, folder), "comparing")
    return _report(
        study, folder, [_joined(cell, of_trials, chosen[cell.name], of_seeds) for cell in cells], stage.console
    )


def _joined(cell: Cell, trials: list[Result], chosen: Result | None, seeds: list[Result]) -> CellResults:
    """All that was trained of a cell."""
    return CellResults(
        cell, [one for one in trials if one.run.cell is cell], chosen, [one for one in seeds if one.run.cell is cell]
    )


def _report(study: Study, folder: Path, cells: list[CellResults], console: Console) -> dict[str, Any]:
    """Conclude, write and show."""
    if not any(cell.finished for cell in cells):
        failure = next(one.failure for cell in cells for one in (*cell.seeds, *cell.trials) if one.failure is not None)
        raise ConfigError(f"{folder}: no run came to its end; the first: {failure.reason}")
    found = conclude(study, cells)
    write_json(folder / FILE, {**found, "environment": environment()})
    write_comparison(folder)
    show_comparison(folder, console)
    return found


def _begin(watch: Watch, run: Planned) -> None:
    forget_failure(run)
    watch.started(run)


def _end(watch: Watch, run: Planned, failure: Failure | None) -> None:
    if failure is not None:
        write_failure(run, failure)
    watch.ended(run, failure)


def _is_pending(result: Result | None) -> bool:
    """Whether a run is to be trained: it is new, or failed in a way that it may not fail again."""
    return result is None or (result.failure is not None and not result.failure.is_final)


def _ended(run: Planned) -> Result:
    result = result_of(run)
    assert result is not None
    return result


def _check_folder(folder: Path) -> None:
    """Raise ConfigError unless a comparison may go here, or is here."""
    check_writable(folder)
    if folder.exists() and not (folder / STUDY).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists and is not a comparison: choose another folder with --out")
