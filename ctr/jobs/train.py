"""`ctr train`: from an experiment to a run folder with its report."""

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from ctr.evaluation.build_report import TRAIN, build_report
from ctr.evaluation.curves import save_curves
from ctr.evaluation.report_columns import ReportColumns
from ctr.evaluation.scoring import Scorer
from ctr.evaluation.split_metrics import build_reference, evaluate_split
from ctr.evaluation.writer import ScoreWriter
from ctr.jobs.show import print_bad_rows, print_cost, print_results, print_variables, print_warm_start
from ctr.preflight.resources import check_fits
from ctr.runs.environment import environment
from ctr.runs.files import name_folder, write_json
from ctr.runs.lock import lock_folder
from ctr.runs.run import Run
from ctr.runs.run_data import CONTENTS, contents_of, describe_data, file_rows
from ctr.schema.report import Measured, RunReport
from ctr.training.checkpoint import Position, fingerprint, part_fingerprints, restore
from ctr.training.data import PreparedData, bad_rows_records, empty_encoder, open_sets, prepare_sets
from ctr.training.devices import set_threads
from ctr.training.interruption import Interruption, interruptible
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
    draw_sample,
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
    """Train an experiment into a run folder; returns its report.

    Nothing is written before data and model are known to be good, and a run that fails before its first checkpoint
    leaves nothing. A run that is resumed ends as it would have without the interruption, bit for bit.

    Args:
        experiment: what to do.
        folder: of the run; it must not hold one, unless `overwrite` or `resume`.
        overwrite: replace the run that is there, once this one is trained.
        resume: go on with the run that is there; if it is finished, show its report, if there is none, begin it.
        callbacks: tf_keras callbacks, or what makes them once the folder is there.
        console: where progress goes; None: nowhere.

    Raises:
        ConfigError, DataError: the user's mistakes.
        Diverged: the loss is no longer finite.
        Interrupted: SIGTERM or SIGINT came; a checkpoint is saved.
    """
    console = console or Console(quiet=True)
    run = Run(folder)
    if resume and overwrite:
        raise ConfigError("--resume goes on with a run, --overwrite begins it anew: choose one")
    is_there = resume and run.exists
    if not is_there:
        run.check_free(overwrite)
    with lock_folder(run.folder):
        if is_there:
            experiment = resumed(experiment, run)
        if is_there and run.is_finished:
            return _show_finished(run, console)
        return _train(_Job(experiment, run, is_there, console), callbacks)


@dataclass(frozen=True)
class _Job:
    """One call of `ctr train`."""

    experiment: Experiment
    run: Run
    is_there: bool
    """True for a run to continue."""
    console: Console


@dataclass(frozen=True)
class _Opened:
    """The data of a run, and what it begins from."""

    prepared: PreparedData
    files: dict[str, list[RowGroup]]
    """Every row group of each set, in the order of its files."""
    reader: Reader
    plan: ModelPlan
    unfinished: Unfinished | None
    """What a resumed run continues from; None: it starts."""
    parent: ParentRun | None
    """The run that it takes its first weights from."""


@dataclass(frozen=True)
class _Built:
    """The model of a run, and what is known of it before its first step."""

    model: CTRModel
    device: str
    components: list[ComponentCost]
    warm_start: dict[str, Any] | None
    """What another run gave, as warm_start.json says it."""


def _train(job: _Job, callbacks: Callbacks) -> RunReport:
    """Open the data, build the model, fit it from its start or a checkpoint, and measure it."""
    started, run = time.perf_counter(), job.run
    opened = _open(job)
    built = _build(job, opened)
    with _run_in(run), interruptible() as interruption:
        position = _begin(job, opened, built)
        earlier = position.seconds
        trainer = _fit(job, opened, built, position, callbacks, interruption)
        interruption.at_once(f"{run.folder}: trained, but not measured; go on with `ctr train CONFIG --resume`")
        measured, curves = _measure(job.experiment, opened.prepared, trainer.scorer, run)
        total = earlier + time.perf_counter() - started
        seconds = {"train": round(trainer.position.seconds, 3), "total": round(total, 3)}
        report = _report(measured, opened.prepared, trainer, built.components, seconds)
        _finish(run, report, curves, contents_of(opened.files))
    run.delete_replaced()
    print_results(report, run.folder, job.console)
    return report


def _open(job: _Job) -> _Opened:
    """Check that the run fits the machine, and read its data up to the first batch; nothing is written."""
    experiment, run, console = job.experiment, job.run, job.console
    set_threads(experiment.training.threads)
    unfitted = empty_encoder(experiment)
    plan = plan_model(experiment, unfitted)
    check_fits(plan, run.folder)  # as far as the config says; with what the data says, below
    sets = open_sets(experiment)
    unfinished = find_unfinished(run, sets, unfitted.input_columns, partial(warn, console)) if job.is_there else None
    encoder = unfinished.encoder if unfinished else None
    parent = open_parent(plan, run) if encoder is None else None
    if parent is not None and unfinished is not None:
        check_unchanged(parent, run)
    prepared = prepare_sets(experiment, sets, encoder, parent.encoder if parent else None)
    _show_data(prepared, parent, console)
    plan = plan.completed(prepared.encoder)
    for warning in check_fits(plan, run.folder, prepared):
        warn(console, warning)
    return _Opened(prepared, sets, _reader(experiment, prepared), plan, unfinished, parent)


def _build(job: _Job, opened: _Opened) -> _Built:
    """Build the model on its device, warm-started if another run is named, and print what it is."""
    experiment, console, encoder = job.experiment, job.console, opened.prepared.encoder
    model = opened.plan.build(opened.reader.batches_per_epoch)
    device = tf.DeviceSpec.from_string(model.distribute_strategy.extended.worker_devices[0]).device_type
    console.print(f"on the {device}, {experiment.training.threads} threads")
    print_variables(model, console)
    components = cost_of(model, batch_signature(encoder))
    print_cost(components, console)
    parent = opened.parent if opened.unfinished is None else None
    warm_start = copy_weights(parent, model, experiment) if parent else None
    print_warm_start(warm_start, console)
    return _Built(model, device, components, warm_start)


def _begin(job: _Job, opened: _Opened, built: _Built) -> Position:
    """Make the run folder, or bring model and folder to the checkpoint to continue from; returns where training is."""
    run, console = job.run, job.console
    if opened.unfinished is not None:
        position = opened.unfinished.position
        check_device(run, built.device, partial(warn, console))
        check_initial_weights(run, built.model, position, partial(warn, console))
        _go_on(position, job.experiment, built.model, run, console)
    else:
        position = Position(initial_weights=fingerprint(built.model))
        if job.is_there:
            warn(console, f"{run.folder}: no checkpoint can be used. The run starts over from its first step.")
            run.delete()
        began_with = {
            "environment": {**environment(), "device": built.device},
            "data": describe_data(opened.files),
            "initial_weights": part_fingerprints(built.model),
            "warm_start": built.warm_start,
        }
        run.create(job.experiment, began_with)
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
    """Train from a position to the end; the model then has its best weights."""
    with Progress(job.console, job.experiment.training.epochs) as progress:
        trainer = Trainer(
            job.experiment,
            built.model,
            opened.reader,
            opened.prepared.sets.get("valid", []),
            job.run,
            progress,
            callbacks() if callable(callbacks) else callbacks,
            position,
            stop_requested=lambda: interruption.stop_requested,
            contents=partial(contents_of, opened.files),
        )
        trainer.train()
    return trainer


def _finish(run: Run, report: RunReport, curves: dict[str, Any], contents: pa.Table) -> None:
    """Write what a run ends with, and seal it: from then on it is finished."""
    pq.write_table(contents, run.folder / CONTENTS)
    save_curves(run.folder, curves)
    write_json(run.folder / "report.json", report)
    run.seal()


def _show_data(prepared: PreparedData, parent: ParentRun | None, console: Console) -> None:
    """Print the rows of each set, and what a user should know of the data."""
    console.print(", ".join(f"{name}: {count_rows(groups):,} rows" for name, groups in prepared.sets.items()))
    print_bad_rows(prepared.bad_rows, console)
    if parent is not None and prepared.encoder.lacks_record:
        told = f"{parent.run.folder} has no record of the ids that it was trained on: unseen ids keep their own rows"
        warn(console, told)


def _reader(experiment: Experiment, prepared: PreparedData) -> Reader:
    """Of the training data."""
    settings = experiment.training
    return Reader(
        prepared.sets["train"],
        prepared.encoder,
        settings.batch_size,
        experiment.seed,
        settings.last_batch,
        experiment.data.shuffle_rows,
        settings.threads,
    )


def _go_on(position: Position, experiment: Experiment, model: CTRModel, run: Run, console: Console) -> None:
    """Bring model and run folder to where a checkpoint was saved."""
    console.print(f"going on from step {position.step}", **PLAIN)
    restore(run.folder / "checkpoints", position, model)
    run.rewind_to(experiment, run.folder / "checkpoints" / position.name)


def _report(
    measured: Measured,
    prepared: PreparedData,
    trainer: Trainer,
    components: list[ComponentCost],
    seconds: dict[str, float],
) -> RunReport:
    """Return what report.json says of a run."""
    tables = sparsity_report(trainer.model)
    return {
        **measured,
        "kind": "run",
        "training": trainer.summary(),
        "files": {name: file_rows(groups) for name, groups in prepared.sets.items()},
        "bad_rows": bad_rows_records(prepared.bad_rows),
        "model": {
            "components": [{"name": one.name, "parameters": one.parameters, "flops": one.flops} for one in components]
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
    """Of what fails inside, nothing is left but what can be gone on from."""
    try:
        yield
    except Interrupted:
        raise
    except Diverged:
        run.restore_replaced("diverged")
        raise
    except BaseException as error:
        name_folder(error, run.folder)
        if (kept := run.restore_replaced("unfinished")) is not None:
            command = f"ctr train CONFIG --run {shlex.quote(str(kept))} --resume"
            error.add_note(f"its checkpoints are kept; to go on once that is mended: {command}")
        raise


def _show_finished(run: Run, console: Console) -> RunReport:
    """What `--resume` has left to do where all is done: a kill may have come before the last lines of `train`."""
    run.delete_replaced()
    report = run.run_report()
    console.print(f"{run.folder} is finished; its report:", **PLAIN)
    print_results(report, run.folder, console)
    return report


def _measure(
    experiment: Experiment, prepared: PreparedData, scorer: Scorer, run: Run
) -> tuple[Measured, dict[str, Any]]:
    """Score every set with the trained model, scores and reference going to disk: for report.json, for curves.json."""
    data, psi = experiment.data, experiment.report.psi
    everything = [group for groups in prepared.sets.values() for group in groups]
    observed = ReportColumns.of(experiment, prepared.encoder, everything, data.negative_sampling_rate)
    # a fixed sample of the training data: the reference of PSI, and what train metrics are computed on
    columns = list(dict.fromkeys([*prepared.encoder.input_columns, *observed.columns]))
    drawn = draw_sample(prepared.sets[TRAIN], columns, experiment.seed)
    scored = [scorer.score_table(table, "sample of the training data") for table in drawn]
    tally, reference = build_reference(scored, observed, psi.bins, count_rows(prepared.sets[TRAIN]), experiment.seed)
    reference.save(run.folder / "reference")
    tallies = {TRAIN: tally}
    for name in [name for name in prepared.sets if name != TRAIN]:
        writer = ScoreWriter(run.folder / "scores" / f"{name}.parquet", observed.weighted, prepared.kept)
        tallies[name] = evaluate_split(scorer, prepared.sets[name], reference, observed, writer)
    main = next(name for name in ("test", "valid", TRAIN) if name in tallies)
    report, curves = build_report(tallies, main, reference, psi.major_above)
    return report, {"run": experiment.name, **curves}
