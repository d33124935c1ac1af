"""The jobs behind the commands: train, evaluate."""

import math
import re
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import tensorflow as tf
import tf_keras
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ctr.build import build, rehearse, set_threads, tower_bytes
from ctr.checkpoint import Position, fingerprint, load_best, restore
from ctr.curves import save_curves
from ctr.data import PreparedData, check_types, good_rows, open_sets, prepare_sets
from ctr.errors import ConfigError, Diverged, Interrupted
from ctr.evaluation.conclusions import TRAIN, conclude
from ctr.evaluation.observed import Observed
from ctr.evaluation.reference import Reference
from ctr.evaluation.scoring import Scorer
from ctr.evaluation.sets import evaluate_set, observe_training
from ctr.evaluation.writer import ScoreWriter
from ctr.experiment import Experiment, load_experiment
from ctr.interruption import interruptible
from ctr.lock import only_process_in
from ctr.preflight.needs import check_fits
from ctr.progress import Progress
from ctr.report import show_report, sparsity_report, write_html
from ctr.resume import check_settings, described, find_unfinished, load_encoder, save_encoder
from ctr.run import Run, check_replaceable, environment, name_folder, new_folder, write_json
from ctr.trainer import Trainer
from ctr.warm_start import carry, open_parent
from features import (
    BadRows,
    Encoder,
    Reader,
    RowGroup,
    batch_signature,
    check_agreement,
    count_rows,
    draw_sample,
    files_of,
    open_data,
    rows_of_files,
    unified_schema,
)
from models import CTRModel, PartCost, cost_of

PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "soft_wrap": True}
"""How paths and messages are printed: as they are."""


def train(
    experiment: Experiment,
    folder: str | Path,
    overwrite: bool = False,
    resume: bool = False,
    callbacks: Sequence[tf_keras.callbacks.Callback] = (),
    console: Console | None = None,
) -> dict[str, Any]:
    """Train an experiment into a run folder; returns its report.

    Nothing is written before data and model are known to be good, and a run that fails before its first checkpoint
    leaves nothing. A run that is resumed ends as it would have without the interruption, bit for bit.

    Args:
        experiment: what to do.
        folder: of the run; it must not hold one, unless `overwrite` or `resume`.
        overwrite: replace the run that is there, once this one is trained.
        resume: go on with the run that is there; if it is finished, show its report, if there is none, begin it.
        callbacks: tf_keras callbacks.
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
    if is_there:
        check_settings(experiment, run)
    else:
        run.check_free(overwrite)
    if is_there and run.is_finished:
        return _show_finished(run, console)
    with only_process_in(run.folder):
        return _train(experiment, run, is_there, callbacks, console)


def _train(
    experiment: Experiment,
    run: Run,
    is_there: bool,
    callbacks: Sequence[tf_keras.callbacks.Callback],
    console: Console,
) -> dict[str, Any]:
    """Begin a run, or go on with the one that is there."""
    started = time.perf_counter()
    settings = experiment.training
    set_threads(settings.threads)
    towers = tower_bytes(rehearse(experiment))
    check_fits(experiment, towers, run.folder)  # as far as the config says; with what the data says, below
    sets = open_sets(experiment)
    unfinished = find_unfinished(run, sets, partial(_warn, console)) if is_there else None
    encoder = unfinished.encoder if unfinished else None
    parent = open_parent(experiment, run) if encoder is None else None
    prepared = prepare_sets(experiment, sets, encoder, parent.encoder.statistics if parent else None)
    console.print(", ".join(f"{name}: {count_rows(groups):,} rows" for name, groups in prepared.sets.items()))
    _show_bad_rows(prepared.bad_rows, console)
    reader = Reader(
        prepared.sets["train"],
        prepared.encoder,
        settings.batch_size,
        experiment.seed,
        settings.last_batch,
        experiment.data.shuffle_rows,
        settings.threads,
    )
    for warning in check_fits(experiment, towers, run.folder, prepared):
        _warn(console, warning)
    model = build(experiment, prepared.encoder, reader.batches_per_epoch)
    device = tf.DeviceSpec.from_string(model.distribute_strategy.extended.worker_devices[0])
    console.print(f"on the {device.device_type}, {settings.threads} threads")
    _show_variables(model, console)
    parts = cost_of(model, batch_signature(prepared.encoder))
    _show_cost(parts, console)
    warm_start = carry(parent, model, experiment) if parent and unfinished is None else None
    _show_warm_start(warm_start, console)
    with _run_in(run), interruptible() as interruption:
        if unfinished is None:
            if is_there:
                console.print(f"{run.folder} has no checkpoint to go on from: it begins anew", **PLAIN)
                run.discard()
            position = Position(initial_weights=fingerprint(model))
            run.create(experiment, {"environment": environment(), "data": described(sets), "warm_start": warm_start})
        else:
            position = unfinished.position
            _go_on(position, experiment, model, run, console)
        if encoder is None:
            save_encoder(prepared.encoder, run)
        valid, earlier = prepared.sets.get("valid", []), position.seconds
        with Progress(console, settings.epochs) as progress:
            trainer = Trainer(
                experiment, model, reader, valid, run, progress, callbacks, position, lambda: interruption.is_asked
            )
            trainer.train()
        interruption.at_once(f"{run.folder}: trained, but not measured; go on with `ctr train CONFIG --resume`")
        measured, curves = _measure(experiment, prepared, trainer.scorer, run)
        total = earlier + time.perf_counter() - started
        report = {
            **measured,
            **_described(prepared, trainer, parts),
            "warm_start": run.warm_start(),
            "fingerprints": {
                "initial_weights": position.initial_weights,
                "final_weights": fingerprint(model),
                "data_order": position.data_order,
            },
            "seconds": {"train": round(position.seconds, 3), "total": round(total, 3)},
        }
        save_curves(run.folder, curves)
        write_json(run.folder / "report.json", report)
    run.settle()
    _show(report, run.folder, console)
    return report


def _go_on(position: Position, experiment: Experiment, model: CTRModel, run: Run, console: Console) -> None:
    """Bring model and run folder to where a checkpoint was saved."""
    console.print(f"going on from step {position.step}", **PLAIN)
    restore(run.folder / "checkpoints", position, model)
    run.go_on(experiment, run.folder / "checkpoints" / position.name)


def _described(prepared: PreparedData, trainer: Trainer, parts: list[PartCost]) -> dict[str, Any]:
    """What report.json says of a training, beside what was measured."""
    return {
        "training": trainer.summary(),
        "files": {name: rows_of_files(groups) for name, groups in prepared.sets.items()},
        "bad_rows": {name: asdict(bad) for name, bad in prepared.bad_rows.items()},
        "model": {"parts": [part._asdict() for part in parts]},
        "tables": sparsity_report(trainer.model),
    }


@contextmanager
def _run_in(run: Run) -> Iterator[None]:
    """Of what fails inside, nothing is left but what can be gone on from."""
    try:
        yield
    except Interrupted:
        raise
    except Diverged:
        run.abandon("diverged")
        raise
    except BaseException as error:
        name_folder(error, run.folder)
        if (kept := run.abandon("unfinished")) is not None:
            command = f"ctr train CONFIG --run {shlex.quote(str(kept))} --resume"
            error.add_note(f"its checkpoints are kept; to go on once that is mended: {command}")
        raise


def _show_finished(run: Run, console: Console) -> dict[str, Any]:
    """What `--resume` has left to do where all is done: a kill may have come before the last lines of `train`."""
    run.settle()
    report = run.report()
    console.print(f"{run.folder} is finished; its report:", **PLAIN)
    _show(report, run.folder, console)
    return report


def _warn(console: Console, message: str) -> None:
    console.print(f"warning: {message}", **PLAIN)


def _measure(
    experiment: Experiment, prepared: PreparedData, scorer: Scorer, run: Run
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Score every set with the trained model, scores and reference going to disk: for report.json, for curves.json."""
    data, psi = experiment.data, experiment.report.psi
    everything = [group for groups in prepared.sets.values() for group in groups]
    observed = Observed.of(experiment, prepared.encoder, everything, data.negative_sampling_rate)
    # a fixed sample of the training data: the reference of PSI, and what train metrics are computed on
    columns = list(dict.fromkeys([*prepared.encoder.input_columns, *observed.columns]))
    drawn = draw_sample(prepared.sets[TRAIN], columns, experiment.seed)
    scored = [scorer.score_table(table, "sample of the training data") for table in drawn]
    tally, reference = observe_training(scored, observed, psi.bins, count_rows(prepared.sets[TRAIN]), experiment.seed)
    reference.save(run.folder / "reference")
    tallies = {TRAIN: tally}
    for name in [name for name in prepared.sets if name != TRAIN]:
        writer = ScoreWriter(run.folder / "scores" / f"{name}.parquet", observed.weighted, prepared.kept)
        tallies[name] = evaluate_set(scorer, prepared.sets[name], reference, observed, writer)
    report, curves = conclude(tallies, reference, psi.unstable_above)
    return report, {"run": experiment.name, **curves}


def evaluate(
    run_folder: str | Path,
    data: str,
    out: str | Path | None = None,
    sampled: bool = False,
    overwrite: bool = False,
    console: Console | None = None,
) -> dict[str, Any]:
    """Score Parquet with a trained run; returns the report of that set.

    Data without the label column gets scores and PSI, and no metrics.

    Args:
        run_folder: of a finished training.
        data: a path, glob or folder.
        out: where scores and report go; None: `evaluations/<stem of data>` of the run.
        sampled: the data's negatives were sampled at the run's `negative_sampling_rate`.
        overwrite: replace what is in `out`.
        console: where the summary goes; None: nowhere.

    Raises:
        ConfigError, DataError: the user's mistakes.
    """
    started = time.perf_counter()
    console = console or Console(quiet=True)
    run = Run(run_folder)
    run.report()  # an error unless the run is finished
    reference = Reference.load(run.folder / "reference")
    # a run that was trained on a GPU is evaluated where there may be none
    experiment = load_experiment(run.folder / "config.yaml", ["training.device=auto"])
    rate = experiment.data.negative_sampling_rate
    if sampled and rate is None:
        raise ConfigError("--sampled: the run was trained without negative_sampling_rate")
    stem = _name_of(data)
    target = Path(out).resolve() if out is not None else run.folder / "evaluations" / stem
    check_replaceable(target, overwrite, "an evaluation", _is_evaluation)
    encoder, row_groups, kept = _open_evaluation(experiment, load_encoder(run), data)
    is_labelled = encoder.columns is not None
    if not is_labelled:
        if sampled:
            raise ConfigError(f"--sampled: needs labels, but {data} has no column {experiment.data.label!r}")
        console.print(f"no column {experiment.data.label!r}: scores and PSI, no metrics", highlight=False, markup=False)
    row_groups, bad = good_rows(stem, row_groups, encoder, experiment.data)
    bad_rows = {stem: bad} if bad.rows else {}
    _show_bad_rows(bad_rows, console)
    set_threads(experiment.training.threads)
    model = build(experiment, encoder)
    load_best(run.folder / "checkpoints", model)
    scorer = Scorer(model, encoder, experiment.training.batch_size, rate)
    with new_folder(target) as partial:
        observed = Observed.of(experiment, encoder, row_groups, rate if sampled else None)
        writer = ScoreWriter(partial / "scores" / f"{stem}.parquet", observed.weighted, kept)
        found = evaluate_set(scorer, row_groups, reference, observed, writer)
        measured, curves = conclude({stem: found}, reference, experiment.report.psi.unstable_above)
        report = {
            **measured,
            "files": {stem: rows_of_files(row_groups)},
            "bad_rows": {name: asdict(bad) for name, bad in bad_rows.items()},
            "tables": sparsity_report(model),
            "fingerprints": {"final_weights": fingerprint(model)},
            "seconds": {"total": round(time.perf_counter() - started, 3)},
        }
        save_curves(partial, {"run": experiment.name, **curves})
        write_json(partial / "environment.json", environment())
        write_json(partial / "report.json", report)
    _show(report, target, console)
    return report


def _open_evaluation(experiment: Experiment, encoder: Encoder, data: str) -> tuple[Encoder, list[RowGroup], pa.Schema]:
    """Open and check data to be evaluated: the encoder (without label where no file has one), rows, kept columns."""
    row_groups = open_data(data, text=[name for name, meaning in encoder.meanings.items() if meaning == "text"])
    label, keep = experiment.data.label, experiment.data.keep
    if not any(label in file.schema.names for file in files_of(row_groups)):
        encoder = replace(encoder, columns=None)
    check_types(row_groups, experiment, encoder)
    numbers = encoder.features.number_columns.union([label, experiment.data.weight or label])
    check_agreement(row_groups, encoder.input_columns, numbers, encoder.meanings)
    return encoder, row_groups, unified_schema(row_groups, keep)


def _show(report: dict[str, Any], folder: Path, console: Console) -> None:
    """The last thing that a job does: whatever happens here, its results are in the folder."""
    show_report(report, console)
    console.print(f"report: {write_html(folder)}", highlight=False, markup=False, soft_wrap=True)


def _name_of(data: str) -> str:
    """The name of an evaluation: that of the file or folder; of a glob, what is fixed in its last part that has such.

    >>> _name_of("data/day-*.parquet"), _name_of("data/clicks/*.parquet")
    ('day-', 'clicks')
    """
    path = Path(data) if "://" in data else Path(data).resolve()
    names = (re.sub(r"[*?\[\]]+", "", part.removesuffix(".parquet")) for part in reversed(path.parts))
    return next((name for name in names if name.strip("/.")), "data")


def _is_evaluation(report: dict[str, Any]) -> bool:
    return "metrics" in report and "training" not in report


def _show_bad_rows(bad_rows: dict[str, BadRows], console: Console) -> None:
    """One line, where rows were left out: how many of each set, and why."""
    left_out = [
        f"{name} {bad.rows:,} ({', '.join(f'{reason}: {count:,}' for reason, count in bad.reasons.items())})"
        for name, bad in bad_rows.items()
    ]
    if left_out:
        console.print(f"bad rows left out: {', '.join(left_out)}", highlight=False, markup=False, soft_wrap=True)


def _show_warm_start(warm_start: dict[str, Any] | None, console: Console) -> None:
    if warm_start is not None:
        carried, new = (sum(rows[kind] for rows in warm_start["tables"].values()) for kind in ("carried", "new"))
        state = "the optimizers' state with them" if warm_start["state"] == "carry" else "the optimizers begin anew"
        console.print(
            f"begins with the weights of {warm_start['run']} at step {warm_start['step']}: {carried:,} rows carried, "
            f"{new:,} new, {state}",
            **PLAIN,
        )


def _show_variables(model: CTRModel, console: Console) -> None:
    """Each fused table and each tower with its optimizer, and the bytes of weights and state."""
    table = Table(box=None, pad_edge=False)
    for column in ("variables of", "weights", "optimizer", "pattern", "MB", "state MB"):
        table.add_column(column, justify="left" if column in ("variables of", "optimizer", "pattern") else "right")
    listed = model.optimizer.owned(model.trainable_variables)
    for (_, names, pattern, optimizer), same in groupby(listed, lambda o: (o.kind, o.names, o.pattern, o.optimizer)):
        members = list(same)
        weights = sum(math.prod(owned.shape) for owned in members)
        state = sum(owned.state_bytes for owned in members)
        sizes = (f"{weights * 4 / 1e6:.2f}", f"{state / 1e6:.2f}")
        table.add_row(escape(", ".join(names)), f"{weights:,}", optimizer, escape(pattern), *sizes)
    console.print(table)


def _show_cost(parts: list[PartCost], console: Console) -> None:
    """Parameters of each part of the model and floating-point operations of a row, and those of the whole."""
    table = Table(box=None, pad_edge=False)
    for column in ("part", "parameters", "operations a row"):
        table.add_column(column, justify="left" if column == "part" else "right")
    total = PartCost("all", sum(part.parameters for part in parts), sum(part.flops for part in parts))
    for name, parameters, flops in (*parts, total):
        table.add_row(escape(name), f"{parameters:,}", f"{flops:,}")
    console.print(table)
