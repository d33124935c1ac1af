"""Warm start: copy embeddings of known ids and the tower from another run; new ids get fresh embeddings."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ctr.config.config_diff import bullet_list, diff_experiments
from ctr.config.experiment import Experiment
from ctr.errors import ConfigError
from ctr.runs.checksums import FILE as CHECKSUMS
from ctr.runs.checksums import sha256
from ctr.runs.run import Run
from ctr.training.checkpoint import load_best
from ctr.training.embedding_lookups import EmbeddingLookup, embedding_lookups
from ctr.training.plan import ModelPlan, Updater, plan_model
from ctr.training.resume import load_encoder
from features import Encoder
from models import CTRModel
from optimizers import innermost

MUST_AGREE = ("features", "features.*", "model.*")
MAY_DIFFER = (
    "features.columns.*.vocabulary.*",
    "features.unseen",
    "model.initializer.*",
    "model.dropout",
    "model.base.dropout",
)
RATES = ("name", "learning_rate", "l2_gradient")  # optimizer settings that do not move weights by themselves
PENALTIES = ("l1", "l2", "l21")


@dataclass(frozen=True)
class ParentRun:
    """The run that a warm start copies from."""

    run: Run
    plan: ModelPlan
    """Plan of its model, for one CPU and in the precision of the new run."""
    encoder: Encoder
    encoder_sum: str
    """SHA-256 of the encoder's checksums, which changes if the run is trained again on different data."""


def open_parent(plan: ModelPlan, run: Run) -> ParentRun | None:
    """Open the run of `training.warm_start`; None without a warm start.

    Args:
        plan: plan of the new model.
        run: new run.

    Raises:
        ConfigError: the run is not finished, has different features or a different model, is the new run itself, or
            its optimizer state or weights cannot be used by the new optimizers.
        ConfigError, DataError: its encoder is damaged.
    """
    experiment, settings = plan.experiment, plan.experiment.training.warm_start
    if settings is None:
        return None
    parent = Run(settings.run)
    if parent.folder.resolve() == run.folder.resolve():
        raise ConfigError(
            f"training.warm_start.run: {settings.run} is the new run's own folder. Choose another folder with --run."
        )
    try:
        parent.report()  # raises unless the run is finished
        # this model exists together with the new one while it is copied, in main memory, not in GPU memory
        one_cpu = ["training.device=cpu", "training.replicas=1", f"training.precision={experiment.training.precision}"]
        old = parent.experiment(one_cpu)
    except ConfigError as error:
        raise ConfigError(f"training.warm_start.run: {error}") from error
    if changed := diff_experiments(old, experiment, MUST_AGREE, MAY_DIFFER):
        title = f"training.warm_start.run: {settings.run} has different features or a different model:"
        raise ConfigError(f"{bullet_list(title, changed)}\nRestore them, or train without a warm start.")
    for column, cast in experiment.data.cast.items():
        if old.data.cast.get(column, cast) != cast:
            raise ConfigError(
                f"training.warm_start.run: {settings.run} casts column {column!r} to {old.data.cast[column]}, but the "
                f"new run casts it to {cast}, so all its ids would be new. Use the same `data.cast`."
            )
    encoder = load_encoder(parent)
    _check_bias_can_move(old, plan)
    old_plan = plan_model(old, encoder)
    _check_optimizers(old_plan.updaters, plan.updaters, settings.optimizer_state)
    return ParentRun(parent, old_plan, encoder, _encoder_sum(parent))


def check_unchanged(parent: ParentRun, run: Run) -> None:
    """Check that the parent of an unfinished run has not changed, so that features can be fitted again from it.

    Raises:
        ConfigError: the parent's features have changed.
    """
    record = run.warm_start()
    if record is None or record["encoder"] != parent.encoder_sum:
        raise ConfigError(
            f"training.warm_start.run: {parent.run.folder} was trained again after {run.folder} started from it. "
            f"Restore it, or start a new run with --run or --overwrite."
        )


def copy_weights(parent: ParentRun, model: CTRModel, experiment: Experiment) -> dict[str, Any]:
    """Copy the best weights of a run into a new model, and the optimizer state with `optimizer_state: keep`.

    New embeddings keep their initial values. Learning rate schedules restart. If the two runs train on different
    fractions of the negatives, the bias of the logit moves by the logarithm of their ratio, so that scores stay equal.

    Args:
        parent: run returned by `open_parent`.
        model: compiled model of an encoder whose vocabularies extend the parent's.
        experiment: experiment of the model.

    Returns:
        The content of warm_start.json: `run`, `checkpoint` and `step` of the parent, `optimizer_state`, the SHA-256 of
        its `encoder`, and for each table the number of copied (`carried`) and `new` embeddings.

    Raises:
        ConfigError: the checkpoint is damaged, or the parent was trained again.
    """
    settings = experiment.training.warm_start
    assert settings is not None
    old = parent.plan.build()
    best = load_best(parent.run, old)
    if _encoder_sum(parent.run) != parent.encoder_sum:
        raise ConfigError(f"training.warm_start.run: {settings.run} was trained again while it was read. Try again.")
    is_kept, steps = settings.optimizer_state == "keep", int(old.optimizer.iterations.numpy())
    for old_table, table in _shared_tables(old, model):
        if is_kept:
            start = model.optimizer.optimizer_of(table.fused).state_of_new_rows(steps)
            table.with_state(model.optimizer).grow(old_table.with_state(old.optimizer), start)
        else:
            table.weights.grow(old_table.weights, start={})
    for old_variable, variable in _shared_variables(old, model):
        _assign(variable, old_variable, model.distribute_strategy)
        if is_kept and variable.trainable:
            states = model.optimizer.state_of(variable)
            for name, state in old.optimizer.state_of(old_variable).items():
                _assign(states[name], state, model.distribute_strategy)
    _move_bias(model, _bias_change(parent.plan.experiment, experiment))
    if is_kept:
        model.optimizer.iterations.assign(steps)
        model.optimizer.restart_schedules()
    copied = {table.name: table.rows for table in old.tables.inputs.tables}
    return {
        "run": settings.run,
        "checkpoint": best["checkpoint"],
        "step": best["step"],
        "optimizer_state": settings.optimizer_state,
        "encoder": parent.encoder_sum,
        "tables": {
            table.name: {"carried": copied[table.name], "new": table.rows - copied[table.name]}
            for table in model.tables.inputs.tables
        },
    }


def _bias_change(old: Experiment, new: Experiment) -> float:
    """Return the change of the logit's bias by which scores, which are corrected for sampled negatives, stay equal."""
    return math.log((old.data.sample_negatives or 1.0) / (new.data.sample_negatives or 1.0))


def _check_bias_can_move(old: Experiment, plan: ModelPlan) -> None:
    """Raise ConfigError if the bias of the logit has to move, but its optimizer derives it from the state it keeps."""
    settings, head = plan.experiment.training.warm_start, plan.updaters.get("tower head")
    if settings is None or settings.optimizer_state == "reset" or head is None:
        return
    if _bias_change(old, plan.experiment) and getattr(innermost(head.optimizer), "weights_in_state", False):
        raise ConfigError(
            f"data.sample_negatives: {plan.experiment.data.sample_negatives}, but {old.data.sample_negatives} in the "
            f"run of the warm start, whose {head.optimizer.name} keeps the bias of the logit in its state. Use the "
            f"same fraction, or `optimizer_state: reset`."
        )


def _move_bias(model: CTRModel, change: float) -> None:
    """Add to the biases of the logit, and to the slow weights that Lookahead keeps of them.

    Raises:
        ConfigError: the tower does not have a bias.
    """
    if not change:
        return
    biases = model.tower.logit_biases
    if not biases:
        raise ConfigError(
            f"data.sample_negatives: it differs from the run of the warm start, but {type(model.tower).__name__} has "
            f"no bias of the logit to correct. Use the same fraction."
        )
    states = [model.optimizer.state_of(bias) for bias in biases]
    for variable in (*biases, *(state["slow"] for state in states if "slow" in state)):
        for replica in model.distribute_strategy.experimental_local_results(variable):
            replica.assign_add([change])


def _encoder_sum(run: Run) -> str:
    return sha256(run.folder / "encoder" / CHECKSUMS)


def _shared_tables(old: CTRModel, new: CTRModel) -> Iterator[tuple[EmbeddingLookup, EmbeddingLookup]]:
    """Yield each table of the old model with the same table of the new model."""
    old_lookups = {lookup.table.name: lookup for lookup in embedding_lookups(old)}
    for lookup in embedding_lookups(new):
        yield old_lookups[lookup.table.name], lookup


def _shared_variables(old: CTRModel, new: CTRModel) -> Iterator[tuple[tf.Variable, tf.Variable]]:
    """Yield each variable of the old tower with the same variable of the new tower."""
    for block, layers in new.tower.blocks.items():
        for old_layer, layer in zip(old.tower.blocks[block], layers, strict=True):
            yield from zip(old_layer.variables, layer.variables, strict=True)


def _assign(variable: tf.Variable, source: tf.Variable, strategy: tf.distribute.Strategy) -> None:
    """Copy a variable to all replicas of another."""
    for replica in strategy.experimental_local_results(variable):
        replica.assign(source.numpy())


def _check_optimizers(old: Mapping[str, Updater], new: Mapping[str, Updater], state: str) -> None:
    """Check that the new optimizers can continue from the state of the old ones, or from the weights with `reset`.

    Raises:
        ConfigError: an optimizer cannot continue.
    """
    if state == "reset":
        _check_weights_survive_reset(new)
        return
    changed = [
        f"{name}: {key} {required[key]} in the run, {actual.get(key, 'none')} now"
        for name in new
        for required, actual in [(_state_settings(old[name]), _state_settings(new[name]))]
        for key in required
        if required[key] != actual.get(key)
    ]
    if changed:
        title = "training.warm_start: these optimizers cannot continue from the optimizer state of the run:"
        raise ConfigError(
            bullet_list(title, changed)
            + "\nRestore them, or reset the state with --set training.warm_start.optimizer_state=reset."
        )


def _state_settings(updater: Updater) -> dict[str, Any]:
    """Return what must not change: the optimizer, its kinds of state, and settings that map state to weights."""
    optimizer = updater.optimizer
    settings = {"optimizer": f"{optimizer.name} ({', '.join(updater.state) or 'no state'})"}
    stepping = innermost(optimizer)
    if getattr(stepping, "weights_in_state", False):
        config = stepping.get_config()
        if not any(config.get(penalty) for penalty in PENALTIES):
            config.pop("penalty_rate")
        settings |= {key: value for key, value in config.items() if key not in RATES}
    return settings


def _check_weights_survive_reset(updaters: Mapping[str, Updater]) -> None:
    """Raise ConfigError if an optimizer derives weights from its state alone, so that a reset would lose them."""
    for name, (optimizer, _) in updaters.items():
        if not getattr(optimizer, "starts_from_weight", True):
            raise ConfigError(
                f"training.warm_start.optimizer_state: {optimizer.name} derives its weights from its state, so `reset` "
                f"would discard the weights of {name}. Use `keep`, or set `keep_initial_weights: true` and a "
                f"`beta` above 0."
            )
