"""`ctr evaluate`: score and report a dataset with a trained run."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from ctr.console import PLAIN, warn
from ctr.errors import ConfigError
from ctr.evaluation.build_report import build_report
from ctr.evaluation.curves import save_curves
from ctr.evaluation.report_columns import ReportColumns
from ctr.evaluation.split_metrics import evaluate_split
from ctr.evaluation.writer import ScoreWriter
from ctr.jobs.show import print_bad_rows, print_results
from ctr.runs.environment import environment
from ctr.runs.files import write_json
from ctr.runs.folders import check_replaceable, new_folder, target_folder
from ctr.runs.run_data import CONTENTS, file_rows, files_of_run
from ctr.schema.codec import kind_of
from ctr.schema.report import EvaluationReport, FileOfRun
from ctr.training.checkpoint import fingerprint
from ctr.training.data import bad_rows_records, score_columns
from ctr.training.devices import set_threads
from ctr.training.opened_run import Dataset, OpenedRun, Paths, fixed_settings, open_run
from ctr.training.sparsity import row_sparsity, sparsity_report
from features import DataError, files_of, is_table, unified_schema


@fixed_settings()
def evaluate(
    run_folder: str | Path,
    data: Paths,
    out: str | Path | None = None,
    negatives_sampled: bool = False,
    overwrite: bool = False,
    console: Console | None = None,
) -> EvaluationReport:
    """Score a dataset with a trained run, and return its report.

    Data without the label column, or with nulls only in it, gets scores and PSI but no metrics. Pass-through columns
    that the data lacks are left out of the score file.

    Args:
        run_folder: folder of a finished run.
        data: a Parquet file, glob or folder, or a list of them.
        out: folder for scores and report; None: `evaluations/<name of data>` of the run.
        negatives_sampled: True if the negatives were sampled at the run's `negative_sampling_rate`.
        overwrite: replace an evaluation in `out`.
        console: the console that prints the summary; None prints nothing.

    Raises:
        ConfigError, DataError: the input is invalid.
    """
    started = time.perf_counter()
    if is_table(data):
        raise DataError(f"data: a {type(data).__name__}, expected files. Use `ctr.load_run(run).evaluate(data)`.")
    console = console or Console(quiet=True)
    opened = open_run(run_folder)
    opened.run.file(CONTENTS)  # an error before the work, not after it
    check_sampling(opened, negatives_sampled)
    name = name_of(data)
    target = target_folder(out) if out is not None else opened.run.folder / "evaluations" / name
    check_replaceable(target, overwrite, "an evaluation", _is_evaluation)
    row_groups = opened.open_data(data)
    columns_of_files = {name for file in files_of(row_groups) for name in file.schema.names}
    keep = [name for name in opened.experiment.data.keep if name in columns_of_files]
    dataset = opened.to_evaluate(name, row_groups, keep)
    absent = [name for name in opened.experiment.data.keep if name not in keep]
    passthrough = unified_schema(row_groups, [name for name in score_columns(opened.experiment) if name not in absent])
    check_label(opened, dataset, negatives_sampled, str(data))
    if not dataset.is_labelled:
        console.print(f"{_missing_label(opened, dataset)}: reporting PSI without metrics", **PLAIN)
    if absent:
        names = ", ".join(map(repr, absent))
        console.print(f"no pass-through column {names}: the score file does not have it", **PLAIN)
    print_bad_rows({name: dataset.bad_rows} if dataset.bad_rows.rows else {}, console)
    set_threads(opened.experiment.training.threads)
    columns = columns_of(opened, dataset, negatives_sampled)
    with new_folder(target) as partial:
        writer = ScoreWriter(partial / "scores" / f"{name}.parquet", columns.weighted, passthrough)
        report, curves = measure(opened, dataset, columns, started, writer)
        save_curves(partial, {"run": opened.experiment.name, **curves})
        write_json(partial / "environment.json", environment())
        write_json(partial / "report.json", report)
        opened.check_unchanged()
    print_results(report, target, console)
    for sentence in warnings_about(report["files_of_run"]):
        warn(console, sentence)
    return report


def check_sampling(opened: OpenedRun, negatives_sampled: bool) -> None:
    """Raise ConfigError if the negatives are said to be sampled, but the run has no sampling rate."""
    if negatives_sampled and opened.experiment.data.negative_sampling_rate is None:
        raise ConfigError("--negatives-sampled: the run has no `data.negative_sampling_rate`. Remove the option.")


def check_label(opened: OpenedRun, dataset: Dataset, negatives_sampled: bool, data: str) -> None:
    """Raise ConfigError if the negatives are said to be sampled, but the data has no label."""
    if negatives_sampled and not dataset.is_labelled:
        raise ConfigError(f"--negatives-sampled: {_missing_label(opened, dataset)} in {data}. Remove the option.")


def _missing_label(opened: OpenedRun, dataset: Dataset) -> str:
    """Return why a dataset has no labels."""
    label = opened.experiment.data.label
    is_there = any(label in file.schema.names for file in files_of(dataset.row_groups))
    return f"only nulls in label column {label!r}" if is_there else f"no label column {label!r}"


def columns_of(opened: OpenedRun, dataset: Dataset, negatives_sampled: bool) -> ReportColumns:
    """Return the columns that the report of a dataset needs."""
    rate = opened.experiment.data.negative_sampling_rate if negatives_sampled else None
    return ReportColumns.of(opened.experiment, dataset.encoder, dataset.row_groups, rate)


def measure(
    opened: OpenedRun, dataset: Dataset, columns: ReportColumns, started: float, scores: ScoreWriter | None = None
) -> tuple[EvaluationReport, dict[str, Any]]:
    """Score a dataset, and return the contents of report.json and curves.json.

    Args:
        opened: run that scores the data.
        dataset: data that the run has checked.
        columns: columns that the report needs.
        started: time at which the work started, of `time.perf_counter`.
        scores: writer of the score file; None writes nothing.
    """
    name, row_groups = dataset.name, dataset.row_groups
    tally = evaluate_split(opened.scorer(dataset.encoder), row_groups, opened.reference, columns, scores)
    measured, curves = build_report({name: tally}, name, opened.reference, opened.experiment.report.psi.major_above)
    tables = sparsity_report(opened.model)
    report: EvaluationReport = {
        **measured,
        "kind": "evaluation",
        "files": {name: file_rows(row_groups)},
        "files_of_run": files_of_run(opened.run, row_groups),
        "bad_rows": bad_rows_records({name: dataset.bad_rows} if dataset.bad_rows.rows else {}),
        "tables": tables,
        "row_sparsity": row_sparsity(tables),
        "fingerprints": {"final_weights": fingerprint(opened.model)},
        "seconds": {"total": round(time.perf_counter() - started, 3)},
    }
    return report, curves


def warnings_about(shared: dict[str, FileOfRun]) -> Iterator[str]:
    """Yield a sentence on files that are training data of the run, or have changed since the run read them."""
    changed = [path for path, file in shared.items() if not file["unchanged"]]
    trained = [path for path, file in shared.items() if file["unchanged"] and "train" in file["sets"]]
    for paths, sentence in (
        (changed, "part of the run's data, but changed since the run read it"),
        (trained, "training data of the run, so the metrics do not measure performance on new data"),
    ):
        if paths:
            others = f" and {len(paths) - 1:,} more" if paths[1:] else ""
            yield f"{paths[0]}{others}: {sentence}"


def name_of(data: Paths) -> str:
    """Return the name of an evaluation: the name of the file or folder, or the fixed part of the last part of a glob.

    Of several paths it is `data`.

    >>> name_of("data/day-*.parquet"), name_of("data/clicks/*.parquet"), name_of(["a.parquet", "b.parquet"])
    ('day-', 'clicks', 'data')
    """
    if not isinstance(data, str | Path):
        return name_of(data[0]) if len(data) == 1 else "data"
    data = str(data)
    path = Path(data) if "://" in data else Path(data).resolve()
    for part in (path, *path.parents):
        name = part.name.removesuffix(".parquet")
        name = name if os.path.exists(part) else re.sub(r"[*?\[\]]+", "", name)
        if name.strip("/."):
            return name
    return "data"


def _is_evaluation(report: dict[str, Any]) -> bool:
    return kind_of(report) == "evaluation"
