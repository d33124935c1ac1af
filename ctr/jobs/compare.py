"""`ctr compare`: from a study to a folder of runs and what they say together."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console

from ctr.comparison.build_comparison import best_trial, build_comparison
from ctr.comparison.plan import (
    STUDY,
    UNSEAL,
    PlannedRun,
    check_as_before,
    check_data_as_before,
    planned_seeds,
    planned_trials,
    write_plan,
)
from ctr.comparison.pool import Failure, Pool
from ctr.comparison.progress import ComparisonProgress
from ctr.comparison.resources import budget_of, leave_gpus, may_differ_in_size, needs_of_cells
from ctr.comparison.results import CellResults, Result, forget_failure, result_of, write_failure
from ctr.comparison.study import Study, Variant, cells_of
from ctr.console import PLAIN, warn
from ctr.errors import ConfigError, Interrupted
from ctr.preflight.resources import size
from ctr.report.comparison import FILE, show_comparison, write_comparison
from ctr.runs.checksums import rewriting
from ctr.runs.files import check_writable, remove, write_json
from ctr.runs.lock import lock_folder
from ctr.runs.machine import free_disk
from ctr.schema.comparison import Comparison
from ctr.training.callbacks import resolve_factories
from ctr.training.interruption import interruptible


def compare(
    study: Study,
    folder: str | Path,
    overwrite: bool = False,
    processes: int | None = None,
    memory: float | None = None,
    callbacks: Sequence[str] = (),
    console: Console | None = None,
) -> Comparison:
    """Train every choice of a study, and say what they differ by; returns what comparison.json says.

    What is finished in the folder is kept, what was killed goes on, and what failed is tried again unless it diverged.
    More seeds, trials or choices may be asked for of a comparison that is there.

    Args:
        study: what to compare.
        folder: of the comparison.
        overwrite: replace the comparison that is there, once all that can be checked before is.
        processes: trainings at once; None: as many as there are CPUs for, one on a GPU.
        memory: GiB that they may take together; None: what is free.
        callbacks: `MODULE:NAME` of tf_keras callbacks of every training, see `ctr.training.callbacks`.
        console: where progress goes; None: nowhere.

    Raises:
        ConfigError, DataError: the user's mistakes; also if every training failed.
        Interrupted: SIGTERM or SIGINT came; what had been trained is saved.
    """
    console, folder = console or Console(quiet=True), Path(folder)
    folder = folder if folder.name else folder.resolve()  # `.` has no name to put a lock beside
    _check_folder(folder)
    resolve_factories(callbacks)
    with lock_folder(folder):
        stage = _Stage(folder, processes, memory, callbacks, console)
        cells, trials, pending = _begun(study, folder, overwrite, stage)
        of_trials = stage.results("tuning", trials, pending) if trials else []
        chosen = {cell.name: best_trial(_of(cell, of_trials)) for cell in cells}
        best = {name: one.run if one else None for name, one in chosen.items()} if trials else {}
        seeds = planned_seeds(study, best, cells, folder)
        of_seeds = stage.results("comparing", seeds, stage.prepared(seeds) if trials else pending)
        ended = [CellResults(cell, _of(cell, of_trials), chosen[cell.name], _of(cell, of_seeds)) for cell in cells]
        return _report(study, folder, ended, console)


class _Stage:
    """Trains the runs of a stage that are not finished, once it is known what they need."""

    def __init__(
        self, folder: Path, processes: int | None, memory: float | None, callbacks: Sequence[str], console: Console
    ) -> None:
        self.folder, self.processes, self.memory = folder, processes, memory
        self.callbacks, self.console = callbacks, console
        self.needs: dict[str, int] = {}
        self.known: list[PlannedRun] = []

    def results(self, what: str, runs: Sequence[PlannedRun], pending: Sequence[PlannedRun]) -> list[Result]:
        """Of each run, in their order, once those that are `pending` are trained.

        Raises:
            Interrupted: it was asked to end.
        """
        if pending:
            budget = budget_of(pending, self.processes, self.memory)
            at_once = min(budget.processes, len(pending))
            self.console.print(f"{what}: {len(runs)} runs, {len(pending)} to train, {at_once} at once", **PLAIN)
            with (
                interruptible() as interruption,
                ComparisonProgress(self.console, len(runs), len(runs) - len(pending)) as watch,
            ):
                pool = Pool(budget, self.needs, self._logs(), self.callbacks, lambda: interruption.stop_requested)
                pool.train(pending, partial(_begin, watch), partial(_end, watch), watch.waiting)
                if interruption.stop_requested:
                    raise Interrupted(f"{self.folder}: what was trained is kept; the same command goes on")
        return [_ended(run) for run in runs]

    def prepared(self, runs: Sequence[PlannedRun]) -> list[PlannedRun]:
        """Those that are to be trained, once they are known to fit what is there and the data; writes nothing.

        Raises:
            ConfigError, DataError: they do not.
        """
        check_as_before(runs)
        pending = [run for run in runs if _is_pending(result_of(run))]
        self.known += runs
        if pending:
            check_data_as_before(self.known, partial(warn, self.console))
        unknown = [run for run in pending if run.cell.name not in self.needs]
        if unknown:
            one_of_each = {run.cell.name: run for run in unknown}
            sized = [run for run in unknown if may_differ_in_size(run.cell) or one_of_each[run.cell.name] is run]
            self.console.print(f"reading the data once, for what {len(one_of_each)} choices need of memory", **PLAIN)
            needs, disk = needs_of_cells(sized)
            self.needs |= needs
            free = free_disk(self.folder)
            if disk * len(pending) > free:
                told = f"disk: {len(pending)} runs may need {size(disk * len(pending))}; {size(free)} is free"
                warn(self.console, told)
        return pending

    def _logs(self) -> Path:
        logs = self.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        return logs


def _begun(
    study: Study, folder: Path, overwrite: bool, stage: _Stage
) -> tuple[list[Variant], list[PlannedRun], list[PlannedRun]]:
    """The cells, the trials of them, and the runs of the first stage to train; written down once all is good."""
    leave_gpus()
    cells = cells_of(study)
    with _out_of_the_way(folder, overwrite):
        trials = planned_trials(study, cells, folder)
        pending = stage.prepared(trials or planned_seeds(study, {}, cells, folder))
        write_plan(study, trials, folder)
    if overwrite:
        stage.console.print("without --overwrite, the same command goes on if it is interrupted", **PLAIN)
    return cells, trials, pending


@contextmanager
def _out_of_the_way(folder: Path, overwrite: bool) -> Iterator[None]:
    """Inside, a comparison that is to be replaced is kept aside; it is put back if what is inside fails."""
    aside = folder.with_name(f".{folder.name}.replaced")
    if aside.exists() and (folder / STUDY).is_file():
        remove(aside)  # it was killed while it did
    elif aside.exists():
        os.replace(aside, folder)  # it was killed before it knew that all was good
    if not (overwrite and folder.exists()):
        yield
        return
    os.replace(folder, aside)
    try:
        yield
    except BaseException:
        remove(folder)
        os.replace(aside, folder)
        raise
    remove(aside)


def _of(cell: Variant, results: Sequence[Result]) -> list[Result]:
    return [one for one in results if one.run.cell is cell]


def _report(study: Study, folder: Path, cells: list[CellResults], console: Console) -> Comparison:
    """Conclude, write and show."""
    if not any(cell.finished for cell in cells):
        failure = next(one.failure for cell in cells for one in (*cell.seeds, *cell.trials) if one.failure is not None)
        raise ConfigError(f"{folder}: no run came to its end; the first: {failure.reason}")
    found = build_comparison(study, cells)
    with rewriting(folder, [FILE], UNSEAL):
        write_json(folder / FILE, found)
    write_comparison(folder)
    show_comparison(folder, console)
    return found


def _begin(watch: ComparisonProgress, run: PlannedRun) -> None:
    forget_failure(run)
    watch.started(run)


def _end(watch: ComparisonProgress, run: PlannedRun, failure: Failure | None) -> None:
    if failure is not None:
        write_failure(run, failure)
    watch.ended(run, failure)


def _is_pending(result: Result | None) -> bool:
    """Whether a run is to be trained: it is new, or failed in a way that it may not fail again."""
    return result is None or (result.failure is not None and not result.failure.is_final)


def _ended(run: PlannedRun) -> Result:
    result = result_of(run)
    assert result is not None
    return result


def _check_folder(folder: Path) -> None:
    """Raise ConfigError unless a comparison may go here, or is here."""
    check_writable(folder)
    if folder.is_dir() and (folder / STUDY).is_file():
        return
    if folder.exists() and (not folder.is_dir() or any(path.name[0] != "." for path in folder.iterdir())):
        raise ConfigError(f"{folder} exists and is not a comparison: choose another folder with --out")
