"""A run that begins with what another has learned: old ids keep their rows, new ids get fresh ones."""

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
RATES = ("name", "learning_rate", "l2_gradient")  # of an optimizer: they move no weight by themselves
PENALTIES = ("l1", "l2", "l21")


@dataclass(frozen=True)
class ParentRun:
    """The run that another begins with."""

    run: Run
    plan: ModelPlan
    """Of its model as it was, for one CPU and in the precision of the new run."""
    encoder: Encoder
    encoder_sum: str
    """SHA-256 of the encoder's checksums: another once the run is trained again on other data."""


def open_parent(plan: ModelPlan, run: Run) -> ParentRun | None:
    """The run that `training.warm_start` names; None if it names none.

    Args:
        plan: the model that is to begin with it.
        run: the run of that model.

    Raises:
        ConfigError: no finished run; one with other features or another model; the run itself; optimizers that cannot
            go on from the state that it has, or, without it, from its weights.
        ConfigError, DataError: its encoder is damaged.
    """
    experiment, asked = plan.experiment, plan.experiment.training.warm_start
    if asked is None:
        return None
    parent = Run(asked.run)
    if parent.folder.resolve() == run.folder.resolve():
        raise ConfigError(f"training.warm_start.run: {asked.run} is the run's own folder: choose another with --run")
    try:
        parent.report()  # an error unless it is finished
        # beside the new model there is this one while it is copied, in the memory of the machine, not of a GPU
        one_cpu = ["training.device=cpu", "training.replicas=1", f"training.precision={experiment.training.precision}"]
        before = parent.experiment(one_cpu)
    except ConfigError as error:
        raise ConfigError(f"training.warm_start.run: {error}") from error
    if changed := diff_experiments(before, experiment, MUST_AGREE, MAY_DIFFER):
        title = f"training.warm_start.run: {asked.run} has other features or another model:"
        raise ConfigError(bullet_list(title, changed) + "\nput them back, or train without a warm start")
    for column, cast in experiment.data.cast.items():
        if before.data.cast.get(column, cast) != cast:
            raise ConfigError(
                f"training.warm_start.run: {asked.run} reads column {column!r} as {before.data.cast[column]}, "
                f"but `data.cast` here as {cast}, so no id of it would be known. Use the same cast."
            )
    encoder = load_encoder(parent)
    begun = plan_model(before, encoder)
    _check_optimizers(begun.updaters, plan.updaters, asked.optimizer_state)
    return ParentRun(parent, begun, encoder, _encoder_sum(parent))


def check_unchanged(parent: ParentRun, run: Run) -> None:
    """See that an unfinished run can have its features fitted again on those of the run that it began with.

    Raises:
        ConfigError: that one has others by now.
    """
    begun = run.warm_start()
    if begun is None or begun["encoder"] != parent.encoder_sum:
        raise ConfigError(
            f"training.warm_start.run: {parent.run.folder} was trained again since {run.folder} began with it: put it "
            f"back, or train anew with --overwrite or another --run"
        )


def copy_weights(parent: ParentRun, model: CTRModel, experiment: Experiment) -> dict[str, Any]:
    """Bring the best weights of a run into a new model, and the state of its optimizers if that is asked for.

    Rows of a table that the run did not have stay as they are. Schedules of learning rates begin anew.

    Args:
        parent: as `open_parent` gives it.
        model: compiled, of an encoder whose vocabularies have grown from the parent's.
        experiment: of the model.

    Returns:
        warm_start.json: `run`, `checkpoint` and `step` of it, `optimizer_state`, the SHA-256 of its
            `encoder`, and of each table its `carried` and `new` rows.

    Raises:
        ConfigError: the checkpoint is damaged, or the run another by now.
    """
    asked = experiment.training.warm_start
    assert asked is not None
    old = parent.plan.build()
    best = load_best(parent.run, old)
    if _encoder_sum(parent.run) != parent.encoder_sum:
        raise ConfigError(f"training.warm_start.run: {asked.run} was trained again while it was read")
    is_kept, steps = asked.optimizer_state == "keep", int(old.optimizer.iterations.numpy())
    for before, now in _shared_tables(old, model):
        if is_kept:
            start = model.optimizer.optimizer_of(now.fused).state_of_new_rows(steps)
            now.with_state(model.optimizer).grow(before.with_state(old.optimizer), start)
        else:
            now.weights.grow(before.weights, start={})
    for variable_before, variable in _shared_variables(old, model):
        _assign(variable, variable_before, model.distribute_strategy)
        if is_kept and variable.trainable:
            states = model.optimizer.state_of(variable)
            for name, state in old.optimizer.state_of(variable_before).items():
                _assign(states[name], state, model.distribute_strategy)
    if is_kept:
        model.optimizer.iterations.assign(steps)
        model.optimizer.restart_schedules()
    carried = {table.name: table.rows for table in old.tables.inputs.tables}
    return {
        "run": asked.run,
        "checkpoint": best["checkpoint"],
        "step": best["step"],
        "optimizer_state": asked.optimizer_state,
        "encoder": parent.encoder_sum,
        "tables": {
            table.name: {"carried": carried[table.name], "new": table.rows - carried[table.name]}
            for table in model.tables.inputs.tables
        },
    }


def _encoder_sum(run: Run) -> str:
    return sha256(run.folder / "encoder" / CHECKSUMS)


def _shared_tables(old: CTRModel, new: CTRModel) -> Iterator[tuple[EmbeddingLookup, EmbeddingLookup]]:
    """Each table as the old model has it and as the new one has it."""
    earlier = {lookup.table.name: lookup for lookup in embedding_lookups(old)}
    for now in embedding_lookups(new):
        yield earlier[now.table.name], now


def _shared_variables(old: CTRModel, new: CTRModel) -> Iterator[tuple[tf.Variable, tf.Variable]]:
    """Each variable of the tower as the old model has it and as the new one has it."""
    for block, layers in new.tower.blocks.items():
        for before, now in zip(old.tower.blocks[block], layers, strict=True):
            yield from zip(before.variables, now.variables, strict=True)


def _assign(now: tf.Variable, before: tf.Variable, strategy: tf.distribute.Strategy) -> None:
    """Copy a variable to that of each replica."""
    for replica in strategy.experimental_local_results(now):
        replica.assign(before.numpy())


def _check_optimizers(before: Mapping[str, Updater], now: Mapping[str, Updater], state: str) -> None:
    """See that the optimizers can go on from the state that the run's had, or, without it, from its weights.

    Raises:
        ConfigError: they cannot.
    """
    if state == "reset":
        _check_weights_outlive_state(now)
        return
    changed = [
        f"{name}: {key} {then[key]} in the run, {here.get(key, 'none')} now"
        for name in now
        for then, here in [(_described(before[name]), _described(now[name]))]
        for key in then
        if then[key] != here.get(key)
    ]
    if changed:
        title = "training.warm_start: these optimizers cannot go on from the state of the run's:"
        raise ConfigError(
            bullet_list(title, changed)
            + "\nput them back, or let all state begin anew with --set training.warm_start.optimizer_state=reset"
        )


def _described(updater: Updater) -> dict[str, Any]:
    """What must be as it was: the optimizer, its kinds of state, and how it makes weights of them, if it does."""
    optimizer = updater.optimizer
    described = {"optimizer": f"{optimizer.name} ({', '.join(updater.state) or 'no state'})"}
    stepping = innermost(optimizer)
    if getattr(stepping, "weights_in_state", False):
        config = stepping.get_config()
        if not any(config.get(penalty) for penalty in PENALTIES):
            config.pop("penalty_rate")
        described |= {key: value for key, value in config.items() if key not in RATES}
    return described


def _check_weights_outlive_state(updaters: Mapping[str, Updater]) -> None:
    """Raise ConfigError if an optimizer makes weights from its state alone, so that without it they would be lost."""
    for name, (optimizer, _) in updaters.items():
        if not getattr(optimizer, "starts_from_weight", True):
            raise ConfigError(
                f"training.warm_start.optimizer_state: {optimizer.name} derives its weights from its state, so `reset` "
                f"would discard the weights of {name}. Use `keep`, or set `keep_initial_weights: true` and a "
                f"`beta` above 0."
            )
