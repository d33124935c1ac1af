"""`ctr train`: train an experiment and write a run folder with its report."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
import tf_keras
from rich.console import Console

from ctr.config.experiment import Experiment
from ctr.console import PLAIN, warn
from ctr.errors import ConfigError, Diverged, Interrupted
from ctr.evaluation.curves import save_curves
from ctr.jobs.pages import rewrite_pages
from ctr.jobs.restore import restore_run
from ctr.jobs.show import print_bad_rows, print_cost, print_negatives, print_results, print_variables, print_warm_start
from ctr.preflight.resources import check_fits
from ctr.report import print_report
from ctr.runs.environment import environment
from ctr.runs.files import check_writable, is_read_only, name_folder, write_json
from ctr.runs.lock import lock_folder
from ctr.runs.run import Run
from ctr.runs.run_data import CONTENTS, contents_of, describe_data, file_rows
from ctr.schema.report import Measured, RunReport
from ctr.training.checkpoint import Position, fingerprint, part_fingerprints
from ctr.training.continuation import asks_for_more, check_patience, without_effect
from ctr.training.data import PreparedData, bad_rows_records, empty_encoder, open_splits, prepare_splits
from ctr.training.devices import set_threads
from ctr.training.interruption import Interruption, interruptible
from ctr.training.measure import measure_splits
from ctr.training.plan import ModelPlan, plan_model
from ctr.training.progress import Progress
from ctr.training.resume import Unfinished, check_device, check_initial_weights, find_unfinished, resumed, save_encoder
from ctr.training.sparsity import row_sparsity, sparsity_report, state_bytes
from ctr.training.trainer import Trainer
from ctr.training.warm_start import ParentRun, check_unchanged, copy_weights, open_parent
from features import (
    Reader,
    RowGroup,
    batch_signature,
    count_rows,
)
from models import ComponentCost, CTRModel, cost_of

Callbacks: TypeAlias = Sequence[tf_keras.callbacks.Callback] | Callable[[], Sequence[tf_keras.callbacks.Callback]]


def train(
    experiment: Experiment,
    folder: str | Path,
    overwrite: bool = False,
    resume: bool = False,
    callbacks: Callbacks = (),
    console: Console | None = None,
) -> RunReport:
    """Train an experiment, write its run folder, and return its report.

    Nothing is written before data and model are checked, and a run that fails before its first checkpoint leaves no
    files. The result of a resumed run is bit-identical to that of an uninterrupted run.

    Args:
        experiment: the experiment.
        folder: the run folder; without `overwrite` or `resume` it must not hold a run.
        overwrite: replace an existing run after this one is trained.
        resume: continue an unfinished run, or a finished one if the experiment has more epochs; otherwise print the
            report of the finished run. Without a run, start one.
        callbacks: tf_keras callbacks, or a function that returns them after the folder is created.
        console: the console that prints progress; None prints nothing.

    Raises:
        ConfigError, DataError: the input is invalid.
        Diverged: the loss is not finite.
        Interrupted: SIGTERM or SIGINT ended training; a checkpoint is saved.
    """
    if not isinstance(experiment, Experiment):
        received = type(experiment).__name__
        raise ConfigError(f"experiment: expected an Experiment, got {received}. Use `ctr.load_experiment(path)`.")
    console = console or Console(quiet=True)
    run = Run(folder)
    if resume and overwrite:
        raise ConfigError(
            "resume: cannot be combined with overwrite. Use `resume` to continue the run, or `overwrite` to start over."
        )
    is_resumed = resume and run.exists
    if not is_resumed:
        run.check_free(overwrite)
        if resume:
            console.print(f"no run in {run.folder}: starting from scratch", **PLAIN)
    with nullcontext() if is_resumed and is_read_only(run.folder) else lock_folder(run.folder):
        if is_resumed:
            experiment = resumed(experiment, run)
        if is_resumed and run.is_finished and not asks_for_more(experiment, run):
            return _print_finished(experiment, run, console)
        if is_resumed:
            check_writable(run.folder)
        return _train(_Job(experiment, run, is_resumed, console), callbacks)


@dataclass(frozen=True)
class _Job:
    """A call of `ctr train`."""

    experiment: Experiment
    run: Run
    is_resumed: bool
    """True for an existing run to continue."""
    console: Console


@dataclass(frozen=True)
class _Opened:
    """Data and starting point of a run."""

    prepared: PreparedData
    files: dict[str, list[RowGroup]]
    """Every row group of each split, in the order of its files."""
    reader: Reader
    plan: ModelPlan
    unfinished: Unfinished | None
    """State that a resumed run continues from; None for a new run."""
    parent: ParentRun | None
    """Run of a warm start; None without one."""


@dataclass(frozen=True)
class _Built:
    """Model of a run before its first step."""

    model: CTRModel
    device: str
    components: list[ComponentCost]
    warm_start: dict[str, Any] | None
    """Contents of warm_start.json; None without a warm start."""


def _train(job: _Job, callbacks: Callbacks) -> RunReport:
    """Open the data, build the model, train it from its start or a checkpoint, and evaluate it."""
    started, run = time.perf_counter(), job.run
    opened = _open(job)
    built = _build(job, opened)
    if opened.unfinished is not None:
        callbacks = _made(callbacks)  # a mistake in them leaves a finished run as it is
    with _run_in(run), interruptible() as interruption:
        position = _begin(job, opened, built)
        earlier = position.seconds
        trainer = _fit(job, opened, built, position, callbacks, interruption)
        interruption.at_once(f"{run.folder}: trained, but not evaluated. Run `{run.resume_command}` to evaluate it.")
        measured, curves = measure_splits(job.experiment, opened.prepared, trainer.scorer, run)
        total = earlier + time.perf_counter() - started
        seconds = {"train": round(trainer.position.seconds, 3), "total": round(total, 3)}
        report = _report(measured, opened.prepared, trainer, built.components, seconds)
        _finish(run, report, curves, contents_of(opened.files))
    run.delete_replaced()
    print_results(report, run.folder, job.console)
    return report


def _open(job: _Job) -> _Opened:
    """Check that the run fits the machine, and read its data up to the first batch; write nothing."""
    experiment, run, console = job.experiment, job.run, job.console
    set_threads(experiment.training.threads)
    unfitted = empty_encoder(experiment)
    plan = plan_model(experiment, unfitted)
    check_fits(plan, run.folder)  # from the config alone; below, with the data
    splits = open_splits(experiment)
    unfinished = (
        find_unfinished(run, splits, unfitted.input_columns, partial(warn, console)) if job.is_resumed else None
    )
    if unfinished is not None and run.is_finished:
        check_patience(experiment, unfinished.position, run)
    encoder = unfinished.encoder if unfinished else None
    parent = open_parent(plan, run) if encoder is None else None
    if parent is not None and unfinished is not None:
        check_unchanged(parent, run)
    prepared = prepare_splits(experiment, splits, encoder, parent.encoder if parent else None)
    _print_data(prepared, parent, console)
    plan = plan.completed(prepared.encoder)
    for warning in check_fits(plan, run.folder, prepared):
        warn(console, warning)
    return _Opened(prepared, splits, _reader(experiment, prepared), plan, unfinished, parent)


def _build(job: _Job, opened: _Opened) -> _Built:
    """Build the model on its device, warm-start it if the config asks for it, and print its size."""
    experiment, console, encoder = job.experiment, job.console, opened.prepared.encoder
    model = opened.plan.build(opened.reader.batches_per_epoch)
    device = tf.DeviceSpec.from_string(model.distribute_strategy.extended.worker_devices[0]).device_type
    console.print(f"training on {device}, {experiment.training.threads} threads")
    print_variables(model, console)
    components = cost_of(model, batch_signature(encoder))
    print_cost(components, console)
    parent = opened.parent if opened.unfinished is None else None
    warm_start = copy_weights(parent, model, experiment) if parent else None
    print_warm_start(warm_start, console)
    return _Built(model, device, components, warm_start)


def _begin(job: _Job, opened: _Opened, built: _Built) -> Position:
    """Create the run folder, or restore model and folder at a checkpoint; return the position of training."""
    run, console = job.run, job.console
    if opened.unfinished is not None:
        position = opened.unfinished.position
        check_device(run, built.device, partial(warn, console))
        check_initial_weights(run, built.model, position, partial(warn, console))
        is_validated = bool(opened.prepared.splits.get("valid"))
        steps_per_epoch = opened.reader.batches_per_epoch
        position = restore_run(run, job.experiment, built.model, position, steps_per_epoch, is_validated, console)
    else:
        position = Position(initial_weights=fingerprint(built.model))
        if job.is_resumed:
            warn(console, f"{run.folder}: no usable checkpoint; restarting from the first step")
            run.delete()
        metadata = {
            "environment": {**environment(), "device": built.device},
            "data": describe_data(opened.files),
            "initial_weights": part_fingerprints(built.model),
            "warm_start": built.warm_start,
        }
        run.create(job.experiment, metadata)
    if opened.unfinished is None or opened.unfinished.encoder is None:
        save_encoder(opened.prepared.encoder, run)
    return position


def _fit(
    job: _Job,
    opened: _Opened,
    built: _Built,
    position: Position,
    callbacks: Callbacks,
    interruption: Interruption,
) -> Trainer:
    """Train from a position to the end, and load the best weights."""
    with Progress(job.console, job.experiment.training.epochs) as progress:
        trainer = Trainer(
            job.experiment,
            built.model,
            opened.reader,
            opened.prepared.splits.get("valid", []),
            job.run,
            progress,
            _made(callbacks),
            position,
            stop_requested=lambda: interruption.stop_requested,
            contents=partial(contents_of, opened.files),
        )
        trainer.train()
    return trainer


def _finish(run: Run, report: RunReport, curves: dict[str, Any], contents: pa.Table) -> None:
    """Write the last files of a run and its checksums, which mark it as finished."""
    pq.write_table(contents, run.folder / CONTENTS)
    save_curves(run.folder, curves)
    write_json(run.folder / "report.json", report)
    run.seal()


def _print_data(prepared: PreparedData, parent: ParentRun | None, console: Console) -> None:
    """Print the number of examples of each split, and warnings about the data."""
    parts = prepared.parts.items()
    console.print(", ".join(f"{name}: {count_rows(groups):,} examples" for name, groups in parts))
    print_bad_rows(prepared.bad_rows, console)
    print_negatives(prepared.negatives, console)
    if parent is not None and prepared.encoder.lacks_record:
        warn(console, f"{parent.run.folder}: no record of its training ids, so unseen ids keep their own embeddings")


def _reader(experiment: Experiment, prepared: PreparedData) -> Reader:
    """Return the reader of the training data."""
    settings = experiment.training
    return Reader(
        prepared.splits["train"],
        prepared.encoder,
        settings.batch_size,
        experiment.seed,
        settings.last_batch,
        experiment.data.shuffle_rows,
        settings.threads,
        prepared.negatives,
    )


def _made(callbacks: Callbacks) -> Sequence[tf_keras.callbacks.Callback]:
    """Return callbacks, called for if they are a function."""
    return callbacks() if callable(callbacks) else callbacks


def _report(
    measured: Measured,
    prepared: PreparedData,
    trainer: Trainer,
    components: list[ComponentCost],
    seconds: dict[str, float],
) -> RunReport:
    """Return the contents of report.json."""
    tables = sparsity_report(trainer.model)
    return {
        **measured,
        "kind": "run",
        "training": trainer.summary(),
        "files": {name: file_rows(groups) for name, groups in prepared.parts.items()},
        "bad_rows": bad_rows_records(prepared.bad_rows),
        "model": {
            "components": [
                {"name": cost.name, "parameters": cost.parameters, "flops": cost.flops} for cost in components
            ]
        },
        "warm_start": trainer.run.warm_start(),
        "tables": tables,
        "row_sparsity": row_sparsity(tables),
        "state_bytes": state_bytes(trainer.model),
        "fingerprints": {
            "initial_weights": trainer.position.initial_weights,
            "final_weights": fingerprint(trainer.model),
            "data_order": trainer.position.data_order,
        },
        "seconds": seconds,
    }


@contextmanager
def _run_in(run: Run) -> Iterator[None]:
    """Clean up after a failure, keeping only what `--resume` can continue from."""
    try:
        yield
    except Interrupted:
        raise
    except Diverged:
        run.restore_replaced("diverged")
        raise
    except BaseException as error:
        name_folder(error, run.folder)
        if (failed_folder := run.restore_replaced("unfinished")) is not None:
            command = Run(failed_folder).resume_command
            error.add_note(f"The checkpoints are kept. To resume after correcting the error, run: {command}")
        raise


def _print_finished(experiment: Experiment, run: Run, console: Console) -> RunReport:
    """Print the report of a finished run, and the settings that it does not have.

    A kill could have come before the last lines of `_train`.
    """
    report = run.run_report()
    if not is_read_only(run.folder):
        run.delete_replaced()
    console.print(f"{run.folder} is already finished:", **PLAIN)
    print_report(report, console)
    rewrite_pages(run.folder, console)
    if ignored := without_effect(experiment, run):
        warn(console, ignored)
    return report
