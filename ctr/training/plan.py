"""Plan of a model before it is built: tables, blocks, optimizers, bytes and device."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import tf_keras

from ctr.config.experiment import Experiment
from ctr.errors import ConfigError
from ctr.training.build import as_config_error, make_model, make_tower
from ctr.training.devices import Device, choose_device, strategy_of
from ctr.training.outline import outline_of
from features import Encoder
from models import CTRModel, Inputs, Table, fuse
from optimizers import resolve


class PlannedTable(NamedTuple):
    """A logical table; each replica has a copy."""

    name: str
    rows: int
    dim: int
    pattern: str
    """Key of `optimizers.sparse` that trains the table."""
    optimizer: str
    """Type of the optimizer."""
    weights: int
    """Bytes of the weights."""
    state: int
    """Bytes of the optimizer state."""


class Updater(NamedTuple):
    """Optimizer of a table or block."""

    optimizer: tf_keras.optimizers.Optimizer
    state: tuple[str, ...]
    """Names of the optimizer state, such as `accumulator`."""


@dataclass(frozen=True)
class ModelPlan:
    """Structure, size and device of a model. `plan_model` makes the plan, `build` builds the model."""

    experiment: Experiment
    inputs: Inputs
    """Description of the batches, without the tower's own tables and fields."""
    base_logit: float | None
    """Bias of the logit before training; None for 0."""
    tables: tuple[PlannedTable, ...]
    """All tables of the model, including the tower's own."""
    groups: tuple[tuple[str, ...], ...]
    """Groups of tables that share a variable, by name."""
    blocks: Mapping[str, int]
    """Block of the tower -> bytes of weights and optimizer state."""
    updaters: Mapping[str, Updater]
    """`table <name>` or `tower <block>` -> optimizer. Blocks without trained weights are left out."""

    @property
    def patterns(self) -> dict[str, str]:
        """Table -> key of `optimizers.sparse` that trains it."""
        return {table.name: table.pattern for table in self.tables}

    @property
    def table_bytes(self) -> int:
        """Bytes of the tables and their optimizer state."""
        return sum(table.weights + table.state for table in self.tables)

    @property
    def tower_bytes(self) -> int:
        """Bytes of the tower's weights and their optimizer state."""
        return sum(self.blocks.values())

    @property
    def bytes(self) -> int:
        """Bytes of the whole model on one replica."""
        return self.table_bytes + self.tower_bytes

    @cached_property
    def device(self) -> Device:
        """Device of tables and tower. TensorFlow looks up devices at the first access.

        Raises:
            ConfigError: the requested device does not exist, or is too small for the tables.
        """
        return choose_device(self.experiment.training, self.table_bytes)

    def completed(self, encoder: Encoder) -> "ModelPlan":
        """Return the plan with table sizes of a fitted encoder; the blocks do not change.

        Args:
            encoder: fitted encoder of the same features.

        Raises:
            ConfigError: tables that share a variable have too many rows.
        """
        return _plan_for_encoder(self.experiment, encoder, self.blocks, self.updaters)

    def build(self, steps_per_epoch: int = 1) -> CTRModel:
        """Build the compiled model on its device, with all variables and optimizer state.

        Args:
            steps_per_epoch: number of batches per epoch, for learning rate schedules. It does not matter for a model
                that is not trained.

        Raises:
            ConfigError: memory is too small for the weights, or an error of `device`.
        """
        with strategy_of(self.experiment.training, self.device.kind).scope():
            return make_model(self.experiment, self.inputs, self.patterns, steps_per_epoch, self.base_logit)


def plan_model(experiment: Experiment, encoder: Encoder) -> ModelPlan:
    """Plan the model of an experiment, without allocating it.

    Args:
        experiment: experiment of the model.
        encoder: encoder fitted on the training data, or `empty_encoder` for the smallest possible tables.

    Raises:
        ConfigError: a setting is invalid for the model or an optimizer, a pattern does not match the tables or blocks,
            or tables that share a variable have too many rows.
    """
    plan = _plan_for_encoder(experiment, encoder, blocks={}, updaters={})
    outline = outline_of(lambda: make_model(experiment, plan.inputs, plan.patterns))
    return replace(plan, blocks=_blocks(outline), updaters=_updaters(outline))


def _plan_for_encoder(
    experiment: Experiment, encoder: Encoder, blocks: Mapping[str, int], updaters: Mapping[str, Updater]
) -> ModelPlan:
    """Make the plan with the tables of an encoder; blocks and updaters do not depend on it."""
    inputs = Inputs.from_layout(encoder.layout)
    if not inputs.fields and not inputs.plain:
        raise ConfigError("features: no features declared. Add a feature to features.columns.")
    with as_config_error("model"):
        extended = make_tower(experiment).extend(inputs).trimmed()
        patterns = resolve(experiment.optimizers.sparse, [table.name for table in extended.tables])
    _check_sequences_are_read(experiment, inputs, extended)
    with as_config_error("features"):
        groups = fuse(extended.tables, patterns)
    return ModelPlan(
        experiment=experiment,
        inputs=inputs,
        base_logit=_base_logit(experiment, encoder),
        tables=tuple(_plan_table(table, patterns[table.name], experiment) for table in extended.tables),
        groups=tuple(tuple(table.name for table in members) for members in groups.values()),
        blocks=blocks,
        updaters=updaters,
    )


def _base_logit(experiment: Experiment, encoder: Encoder) -> float | None:
    """Return the log-odds of the labels that the model trains on; None for no bias before training."""
    log_odds = encoder.statistics.log_odds  # of all training data
    if log_odds is None or experiment.initializer.head_bias != "log_odds":
        return None
    return log_odds - math.log(experiment.data.sample_negatives or 1.0)


def _plan_table(table: Table, pattern: str, experiment: Experiment) -> PlannedTable:
    settings = experiment.optimizers.sparse[pattern]
    state = settings.factory.state_floats(table.dim, **settings.model_dump(exclude={"type"}))
    floats = 4 * table.rows  # bytes of one number per row
    return PlannedTable(
        table.name, table.rows, table.dim, pattern, settings.type, weights=floats * table.dim, state=floats * state
    )


def _check_sequences_are_read(experiment: Experiment, inputs: Inputs, extended: Inputs) -> None:
    """Raise ConfigError if no branch of the tower reads the embeddings of an unpooled sequence."""
    # wide weights are summed, so they do not count as reading the embeddings of a crossed sequence
    fields = (*inputs.fields, *extended.fields)
    read = {field.sequence for field in fields if field.branch.rpartition("/")[2] != "wide"}
    if unread := {sequence.name for sequence in extended.sequences if sequence.table is not None} - read:
        raise ConfigError(
            f"features.columns.{min(unread)}: `pooling: none` needs a model that reads single behaviors, but "
            f"{experiment.model.type} does not. Use `mean` or `sum`, or name the feature in "
            f"`targets` of din or `pairs` of can."
        )


def _blocks(model: CTRModel) -> dict[str, int]:
    blocks = dict.fromkeys(model.tower.blocks, 0)
    for owned in model.optimizer.owned(model.trainable_variables):
        if owned.kind == "tower":
            blocks[owned.names[0]] += 4 * math.prod(owned.shape) + owned.state_bytes
    return blocks


def _updaters(model: CTRModel) -> dict[str, Updater]:
    updaters: dict[str, Updater] = {}
    for (kind, names), variable in zip(model.logical_variables, model.trainable_variables, strict=True):
        state = model.optimizer.state_of(variable)
        for name in [f"{kind} {name}" for name in names]:
            known = updaters[name].state if name in updaters else ()
            updaters[name] = Updater(model.optimizer.optimizer_of(variable), tuple(dict.fromkeys([*known, *state])))
    return updaters
