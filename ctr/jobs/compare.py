"""`ctr compare`: train the variants of a study and compare them."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console

from ctr.classical.fit import check_installed
from ctr.comparison.build_comparison import best_trial, build_comparison
from ctr.comparison.plan import (
    STUDY,
    UNSEAL,
    PlannedRun,
    check_same_data,
    check_same_settings,
    planned_seeds,
    planned_trials,
    write_plan,
)
from ctr.comparison.pool import Failure, Pool
from ctr.comparison.progress import ComparisonProgress
from ctr.comparison.resources import (
    check_memory_limit,
    estimate_memory_and_disk,
    hide_gpus,
    make_budget,
    trials_differ_in_size,
)
from ctr.comparison.results import Result, VariantRuns, delete_failure, is_pending, write_failure
from ctr.comparison.study import Study, Variant, list_variants
from ctr.comparison.trial_decisions import TrialDecisions
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
    """Train every variant of a study, compare it with the baseline, and return the content of comparison.json.

    Finished runs in the folder are kept, interrupted runs are resumed, and failed runs are trained again unless they
    diverged. A later call can have more seeds, trials or options.

    Args:
        study: study to run.
        folder: folder of the comparison.
        overwrite: True to replace an existing comparison, after all checks that need no training have passed.
        processes: number of concurrent runs; None for as many as the CPUs have room for, or one on a GPU.
        memory: memory in GiB for all concurrent runs. A run that needs more fails before it starts. None for the free
            memory, of which a run can need more, by an estimate, if it is trained alone.
        callbacks: `MODULE:NAME` of tf_keras callbacks for every run, see `ctr.training.callbacks`.
        console: output for progress; None for no output.

    Raises:
        ConfigError: a setting or the folder is invalid, or every run failed.
        DataError: the data is invalid.
        Interrupted: the process received SIGTERM or SIGINT; all runs are saved.
    """
    if not isinstance(study, Study):
        raise ConfigError(f"study: expected a Study, got {type(study).__name__}. Use `ctr.load_study(path)`.")
    console, folder = console or Console(quiet=True), Path(folder)
    folder = folder if folder.name else folder.resolve()  # `.` has no name, which the lock file needs
    _check_folder(folder)
    resolve_factories(callbacks)
    with lock_folder(folder):
        stops_losers = study.tuning is not None and study.tuning.stop_losers
        stage = _Stage(folder, processes, memory, callbacks, console, stops_losers)
        variants, trials, pending = _prepare(study, folder, overwrite, stage)
        trial_results = stage.train("tuning", trials, pending) if trials else []
        best = {variant.name: best_trial(_of(variant, trial_results)) for variant in variants}
        best_runs = {name: result.run if result else None for name, result in best.items()} if trials else {}
        seeds = planned_seeds(study, best_runs, variants, folder)
        seed_results = stage.train("comparing", seeds, stage.check(seeds) if trials else pending)
        runs = [
            VariantRuns(variant, _of(variant, trial_results), best[variant.name], _of(variant, seed_results))
            for variant in variants
        ]
        return _report(study, folder, runs, console)


class _Stage:
    """Checks and trains the unfinished runs of a stage: tuning or comparing."""

    def __init__(
        self,
        folder: Path,
        processes: int | None,
        memory: float | None,
        callbacks: Sequence[str],
        console: Console,
        stops_losers: bool,
    ) -> None:
        self.folder, self.processes, self.memory = folder, processes, memory
        self.callbacks, self.console = callbacks, console
        self.stops_losers, self.losers = stops_losers, TrialDecisions([])
        self.memory_of: dict[str, int] = {}
        self.known: list[PlannedRun] = []

    def train(self, name: str, runs: Sequence[PlannedRun], pending: Sequence[PlannedRun]) -> list[Result]:
        """Train the pending runs, and return the results of all runs in their order.

        Raises:
            Interrupted: a stop was requested.
        """
        if pending:
            budget = make_budget(pending, self.processes, self.memory)
            parallel = budget.concurrent([self.memory_of[run.variant.name] for run in pending])
            self.console.print(f"{name}: {len(runs)} runs, {len(pending)} to train, {parallel} in parallel", **PLAIN)
            with (
                interruptible() as interruption,
                ComparisonProgress(self.console, len(runs), len(runs) - len(pending)) as progress,
            ):
                pool = Pool(budget, self.memory_of, self._logs(), self.callbacks, lambda: interruption.stop_requested)
                ended = partial(_end, progress, self.losers)
                pool.train(pending, partial(_start, progress), ended, progress.waiting, self.losers.has_ended)
                if interruption.stop_requested:
                    raise Interrupted(f"{self.folder}: finished runs are kept. Run the same command to continue.")
        return [_result(run, self.losers) for run in runs]

    def check(self, runs: Sequence[PlannedRun]) -> list[PlannedRun]:
        """Check that runs match existing runs and the data, and return the runs to train; nothing is written.

        Raises:
            ConfigError: settings or data differ from those of an existing run, or a setting is invalid.
            DataError: the data is invalid.
        """
        check_same_settings(runs)
        if self.stops_losers:
            self.losers = TrialDecisions([run for run in runs if run.trial is not None])
        pending = [run for run in runs if is_pending(self.losers.result(run))]
        self.known += runs
        if pending:
            check_same_data(self.known, partial(warn, self.console))
        new = [run for run in pending if run.variant.name not in self.memory_of]
        if new:
            one_of_each = {run.variant.name: run for run in new}
            sized = [run for run in new if trials_differ_in_size(run.variant) or one_of_each[run.variant.name] is run]
            self.console.print(f"reading data to estimate memory ({len(one_of_each)} variants)", **PLAIN)
            memory_of, disk = estimate_memory_and_disk(sized)
            self.memory_of |= memory_of
            check_memory_limit(self.memory, {run.variant.name: self.memory_of[run.variant.name] for run in pending})
            free, needed = free_disk(self.folder), disk * len(pending)
            if needed > free:
                message = f"disk: {len(pending)} runs might need {size(needed)}, but only {size(free)} is free"
                warn(self.console, message)
        return pending

    def _logs(self) -> Path:
        logs = self.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        return logs


def _prepare(
    study: Study, folder: Path, overwrite: bool, stage: _Stage
) -> tuple[list[Variant], list[PlannedRun], list[PlannedRun]]:
    """Return the variants, their trials, and the runs to train in the first stage; write the plan if checks pass."""
    hide_gpus()
    variants = list_variants(study, partial(warn, stage.console))
    if study.classical_models:
        check_installed()
    with _set_aside(folder, overwrite):
        trials = planned_trials(study, variants, folder)
        pending = stage.check(trials or planned_seeds(study, {}, variants, folder))
        write_plan(study, trials, folder)
    if overwrite:
        stage.console.print("to continue after an interruption, run the same command without --overwrite", **PLAIN)
    return variants, trials, pending


@contextmanager
def _set_aside(folder: Path, overwrite: bool) -> Iterator[None]:
    """Rename a comparison that is to be replaced; delete it on success, restore it if the block raises."""
    aside = folder.with_name(f".{folder.name}.replaced")
    if aside.exists() and (folder / STUDY).is_file():
        remove(aside)  # killed while it was deleted
    elif aside.exists():
        os.replace(aside, folder)  # killed before all checks had passed
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


def _of(variant: Variant, results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.run.variant is variant]


def _report(study: Study, folder: Path, variants: list[VariantRuns], console: Console) -> Comparison:
    """Build, write and print the comparison."""
    if not any(runs.finished for runs in variants):
        results = [result for runs in variants for result in (*runs.seeds, *runs.trials)]
        failure = next(result.failure for result in results if result.failure is not None)
        raise ConfigError(f"{folder}: no variant has a finished run. First error: {failure.reason}")
    comparison = build_comparison(study, variants)
    with rewriting(folder, [FILE], UNSEAL):
        write_json(folder / FILE, comparison)
    write_comparison(folder)
    show_comparison(folder, console)
    console.print(f"report: {folder / 'report.html'}", **PLAIN)
    return comparison


def _start(progress: ComparisonProgress, run: PlannedRun) -> None:
    delete_failure(run)
    progress.started(run)


def _end(progress: ComparisonProgress, losers: TrialDecisions, run: PlannedRun, failure: Failure | None) -> None:
    if failure is not None:
        write_failure(run, failure)
    losers.note_end(run)
    progress.ended(run, failure, losers.find(run))


def _result(run: PlannedRun, losers: TrialDecisions) -> Result:
    result = losers.result(run)
    assert result is not None
    return result


def _check_folder(folder: Path) -> None:
    """Raise ConfigError unless the folder holds a comparison, or is empty or new and can be written."""
    check_writable(folder)
    if folder.is_dir() and (folder / STUDY).is_file():
        return
    if folder.exists() and (not folder.is_dir() or any(path.name[0] != "." for path in folder.iterdir())):
        raise ConfigError(f"{folder}: already exists and is not a comparison. Choose another folder.")
