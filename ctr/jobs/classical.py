"""Fit a classical model of a comparison, and write a folder like that of a run, with its scores and its report."""

import time
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console

from ctr.classical.fit import LIBRARY, fit_classical
from ctr.config.experiment import Experiment
from ctr.console import PLAIN, warn
from ctr.evaluation.curves import save_curves
from ctr.jobs.show import print_bad_rows, print_results
from ctr.runs.environment import environment
from ctr.runs.files import name_folder, write_json
from ctr.runs.folders import REPORT
from ctr.runs.lock import lock_folder
from ctr.runs.run import Run
from ctr.runs.run_data import CONTENTS, contents_of, describe_data, file_rows
from ctr.schema.classical import ClassicalModel
from ctr.schema.report import ClassicalReport
from ctr.training.data import bad_rows_records, open_splits, prepare_splits
from ctr.training.measure import measure_splits


def train_classical(
    model: ClassicalModel, experiment: Experiment, folder: str | Path, console: Console | None = None
) -> ClassicalReport:
    """Fit a classical model on the data and features of an experiment, and return its report.

    A finished folder is kept. An unfinished one, left by a killed process, is deleted, and the model is fitted again.
    The fitted model itself is not saved.

    Args:
        model: name of the model.
        experiment: experiment, of which data, features, report, seed and threads count.
        folder: folder of the model.
        console: the console that prints progress; None prints nothing.

    Raises:
        ConfigError, DataError: the input is invalid.
    """
    console, run = console or Console(quiet=True), Run(folder)
    with lock_folder(run.folder):
        if run.exists and run.is_finished:
            return run.classical_report()
        run.delete()
        try:
            report = _fit(model, experiment, run, console)
        except BaseException as error:
            name_folder(error, run.folder)
            run.delete()
            raise
    print_results(report, run.folder, console)
    return report


def _fit(model: ClassicalModel, experiment: Experiment, run: Run, console: Console) -> ClassicalReport:
    """Open the data, fit the model, score every split and write the folder."""
    started = time.perf_counter()
    splits = open_splits(experiment)
    prepared = prepare_splits(experiment, splits)
    print_bad_rows(prepared.bad_rows, console)
    run.create(experiment, {"environment": environment(LIBRARY), "data": describe_data(splits)})
    fit_started = time.perf_counter()
    scorer, fit = fit_classical(model, experiment, prepared)
    fitted = time.perf_counter() - fit_started
    for problem in fit["warnings"]:
        warn(console, f"{model}: {problem}")
    if fit["examples"] < fit["total_examples"]:
        console.print(f"{model}: {fit['examples']:,} of {fit['total_examples']:,} training examples", **PLAIN)
    measured, curves = measure_splits(experiment, prepared, scorer, run)
    report: ClassicalReport = {
        **measured,
        "kind": "classical",
        "files": {name: file_rows(groups) for name, groups in prepared.splits.items()},
        "bad_rows": bad_rows_records(prepared.bad_rows),
        "seconds": {"train": round(fitted, 3), "total": round(time.perf_counter() - started, 3)},
        "fit": fit,
    }
    pq.write_table(contents_of(splits), run.folder / CONTENTS)
    save_curves(run.folder, curves)
    write_json(run.folder / REPORT, report)
    run.seal()
    return report
