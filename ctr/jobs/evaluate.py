"""`ctr evaluate`: score and report a dataset with a trained run."""

import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console

from ctr.config.experiment import Experiment
from ctr.console import warn
from ctr.errors import ConfigError
from ctr.evaluation.build_report import build_report
from ctr.evaluation.curves import save_curves
from ctr.evaluation.reference import Reference
from ctr.evaluation.report_columns import ReportColumns
from ctr.evaluation.scoring import Scorer
from ctr.evaluation.split_metrics import evaluate_split
from ctr.evaluation.writer import ScoreWriter
from ctr.jobs.show import print_bad_rows, print_results
from ctr.runs.environment import environment
from ctr.runs.files import write_json
from ctr.runs.folders import check_replaceable, new_folder
from ctr.runs.run import Run
from ctr.runs.run_data import CONTENTS, file_rows, files_of_run
from ctr.schema.codec import kind_of
from ctr.schema.report import EvaluationReport, FileOfRun
from ctr.training.checkpoint import fingerprint, load_best
from ctr.training.data import bad_rows_records, check_types, good_rows, score_columns
from ctr.training.devices import set_threads
from ctr.training.plan import plan_model
from ctr.training.resume import load_encoder
from ctr.training.sparsity import row_sparsity, sparsity_report
from features import (
    Encoder,
    RowGroup,
    check_agreement,
    files_of,
    open_data,
    unified_schema,
)


def evaluate(
    run_folder: str | Path,
    data: str,
    out: str | Path | None = None,
    negatives_sampled: bool = False,
    overwrite: bool = False,
    console: Console | None = None,
) -> EvaluationReport:
    """Score a dataset with a trained run, and return its report.

    Data without the label column gets scores and PSI but no metrics.

    Args:
        run_folder: folder of a finished run.
        data: a Parquet file, glob or folder.
        out: folder for scores and report; None: `evaluations/<name of data>` of the run.
        negatives_sampled: True if the negatives were sampled at the run's `negative_sampling_rate`.
        overwrite: replace an evaluation in `out`.
        console: the console that prints the summary; None prints nothing.

    Raises:
        ConfigError, DataError: the input is invalid.
    """
    started = time.perf_counter()
    console = console or Console(quiet=True)
    run = Run(run_folder)
    run.run_report()  # an error unless the run is finished
    run.file(CONTENTS)  # an error before the work, not after it
    reference = Reference.load(run)
    # a run that was trained on a GPU can be evaluated without one
    experiment = run.experiment(["training.device=auto"])
    rate = experiment.data.negative_sampling_rate
    if negatives_sampled and rate is None:
        raise ConfigError("--negatives-sampled: the run has no `data.negative_sampling_rate`. Remove the option.")
    stem = _name_of(data)
    target = Path(out).resolve() if out is not None else run.folder / "evaluations" / stem
    check_replaceable(target, overwrite, "an evaluation", _is_evaluation)
    encoder, row_groups, passthrough = _open_evaluation(experiment, load_encoder(run), data)
    is_labelled = encoder.columns is not None
    if not is_labelled:
        if negatives_sampled:
            raise ConfigError(
                f"--negatives-sampled: {data} has no column {experiment.data.label!r}. Remove the option."
            )
        console.print(
            f"no label column {experiment.data.label!r}: reporting PSI without metrics", highlight=False, markup=False
        )
    row_groups, bad = good_rows(stem, row_groups, encoder, experiment.data)
    bad_rows = {stem: bad} if bad.rows else {}
    print_bad_rows(bad_rows, console)
    set_threads(experiment.training.threads)
    model = plan_model(experiment, encoder).build()
    load_best(run, model)
    scorer = Scorer(model, encoder, experiment.training.batch_size, rate)
    with new_folder(target) as partial:
        columns = ReportColumns.of(experiment, encoder, row_groups, rate if negatives_sampled else None)
        writer = ScoreWriter(partial / "scores" / f"{stem}.parquet", columns.weighted, passthrough)
        tally = evaluate_split(scorer, row_groups, reference, columns, writer)
        measured, curves = build_report({stem: tally}, stem, reference, experiment.report.psi.major_above)
        shared = files_of_run(run, row_groups)
        tables = sparsity_report(model)
        report: EvaluationReport = {
            **measured,
            "kind": "evaluation",
            "files": {stem: file_rows(row_groups)},
            "files_of_run": shared,
            "bad_rows": bad_rows_records(bad_rows),
            "tables": tables,
            "row_sparsity": row_sparsity(tables),
            "fingerprints": {"final_weights": fingerprint(model)},
            "seconds": {"total": round(time.perf_counter() - started, 3)},
        }
        save_curves(partial, {"run": experiment.name, **curves})
        write_json(partial / "environment.json", environment())
        write_json(partial / "report.json", report)
    print_results(report, target, console)
    _warn_about(shared, console)
    return report


def _open_evaluation(experiment: Experiment, encoder: Encoder, data: str) -> tuple[Encoder, list[RowGroup], pa.Schema]:
    """Open and check a dataset; return encoder (without label if no file has it), row groups, pass-through columns."""
    text = [name for name, meaning in encoder.statistics.meanings.items() if meaning == "text"]
    row_groups = open_data(data, text=text, casts=experiment.data.cast)
    label = experiment.data.label
    if not any(label in file.schema.names for file in files_of(row_groups)):
        encoder = replace(encoder, columns=None)
    check_types(row_groups, experiment, encoder)
    numbers = encoder.features.number_columns.union([label, experiment.data.weight or label])
    check_agreement(row_groups, encoder.input_columns, numbers, encoder.statistics.meanings)
    return encoder, row_groups, unified_schema(row_groups, score_columns(experiment))


def _warn_about(shared: dict[str, FileOfRun], console: Console) -> None:
    """Print a warning for files that are training data of the run, or have changed since the run read them."""
    changed = [path for path, file in shared.items() if not file["unchanged"]]
    trained = [path for path, file in shared.items() if file["unchanged"] and "train" in file["sets"]]
    for paths, sentence in (
        (changed, "part of the run's data, but changed since the run read it"),
        (trained, "training data of the run, so the metrics do not measure performance on new data"),
    ):
        if paths:
            others = f" and {len(paths) - 1:,} more" if paths[1:] else ""
            warn(console, f"{paths[0]}{others}: {sentence}")


def _name_of(data: str) -> str:
    """Return the name of an evaluation: the name of the file or folder, or the fixed part of the last part of a glob.

    >>> _name_of("data/day-*.parquet"), _name_of("data/clicks/*.parquet")
    ('day-', 'clicks')
    """
    path = Path(data) if "://" in data else Path(data).resolve()
    for part in (path, *path.parents):
        name = part.name.removesuffix(".parquet")
        name = name if os.path.exists(part) else re.sub(r"[*?\[\]]+", "", name)
        if name.strip("/."):
            return name
    return "data"


def _is_evaluation(report: dict[str, Any]) -> bool:
    return kind_of(report) == "evaluation"
