"""The plan of a model: what it consists of, who trains it, what it takes and where it goes, before any of it exists."""

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
    """A logical table; each replica has one."""

    name: str
    rows: int
    dim: int
    pattern: str
    """The key of `optimizers.sparse` that trains it."""
    optimizer: str
    """The type of that optimizer."""
    weights: int
    """Bytes."""
    state: int
    """Bytes of the optimizer's state."""


class Updater(NamedTuple):
    """What trains a table or a block."""

    optimizer: tf_keras.optimizers.Optimizer
    state: tuple[str, ...]
    """Names of what it remembers, such as `accumulator`."""


@dataclass(frozen=True)
class ModelPlan:
    """What a model consists of and takes; `plan_model` makes it, `build` builds it."""

    experiment: Experiment
    inputs: Inputs
    """What batches hold; the tables and fields that are the tower's own come on top."""
    base_logit: float | None
    """The bias of the logit before training; None: 0."""
    tables: tuple[PlannedTable, ...]
    """Every table that the model reads, those of the tower too."""
    groups: tuple[tuple[str, ...], ...]
    """Names of the tables that share a variable."""
    blocks: Mapping[str, int]
    """Block of the tower -> bytes of its weights and their optimizer's state."""
    updaters: Mapping[str, Updater]
    """`table <name>` and `tower <block>` -> what trains it; blocks without a trained weight have none."""

    @property
    def patterns(self) -> dict[str, str]:
        """Table -> the key of `optimizers.sparse` that trains it."""
        return {table.name: table.pattern for table in self.tables}

    @property
    def table_bytes(self) -> int:
        """Bytes of the tables and their optimizers' state."""
        return sum(table.weights + table.state for table in self.tables)

    @property
    def tower_bytes(self) -> int:
        """Bytes of the tower's weights and their optimizers' state."""
        return sum(self.blocks.values())

    @property
    def bytes(self) -> int:
        """Bytes of the whole model on one replica."""
        return self.table_bytes + self.tower_bytes

    @cached_property
    def device(self) -> Device:
        """Where tables and tower go; TensorFlow looks for devices when this is first read.

        Raises:
            ConfigError: the device that the config asks for is not there, or does not hold the tables.
        """
        return choose_device(self.experiment.training, self.table_bytes)

    def completed(self, encoder: Encoder) -> "ModelPlan":
        """Return the plan with the tables that an encoder's vocabularies need; the tower's blocks stay as they are.

        Args:
            encoder: of the same features.

        Raises:
            ConfigError: too many rows in tables that share a variable.
        """
        return _sized(self.experiment, encoder, self.blocks, self.updaters)

    def build(self, steps_per_epoch: int = 1) -> CTRModel:
        """Build the compiled model on its device, with all variables and optimizer state.

        Args:
            steps_per_epoch: for schedules of learning rates; a model that is not trained has no use for it.

        Raises:
            ConfigError: weights that no memory holds; as `device`.
        """
        with strategy_of(self.experiment.training, self.device.kind).scope():
            return make_model(self.experiment, self.inputs, self.patterns, steps_per_epoch, self.base_logit)


def plan_model(experiment: Experiment, encoder: Encoder) -> ModelPlan:
    """Plan the model of an experiment; nothing is allocated.

    Args:
        experiment: what to plan.
        encoder: of the training data, or `empty_encoder` before it is read: then tables are as small as they can be.

    Raises:
        ConfigError: a setting that the model or an optimizer refuses; patterns that do not fit the tables or blocks;
            too many rows in tables that share a variable.
    """
    plan = _sized(experiment, encoder, blocks={}, updaters={})
    outline = outline_of(lambda: make_model(experiment, plan.inputs, plan.patterns))
    return replace(plan, blocks=_blocks(outline), updaters=_updaters(outline))


def _sized(
    experiment: Experiment, encoder: Encoder, blocks: Mapping[str, int], updaters: Mapping[str, Updater]
) -> ModelPlan:
    """The plan with the tables of an encoder, and with blocks and updaters that do not depend on it."""
    inputs = Inputs.from_layout(encoder.layout)
    if not inputs.fields and not inputs.plain:
        raise ConfigError("features: there are none")
    with as_config_error("model"):
        extended = make_tower(experiment).extend(inputs).trimmed()
        patterns = resolve(experiment.optimizers.sparse, [table.name for table in extended.tables])
    _check_sequences_are_read(experiment, extended)
    with as_config_error("features"):
        groups = fuse(extended.tables, patterns)
    return ModelPlan(
        experiment=experiment,
        inputs=inputs,
        base_logit=encoder.statistics.log_odds if experiment.initializer.head_bias == "log_odds" else None,
        tables=tuple(_planned(table, patterns[table.name], experiment) for table in extended.tables),
        groups=tuple(tuple(table.name for table in members) for members in groups.values()),
        blocks=blocks,
        updaters=updaters,
    )


def _planned(table: Table, pattern: str, experiment: Experiment) -> PlannedTable:
    settings = experiment.optimizers.sparse[pattern]
    state = settings.factory.state_floats(table.dim, **settings.model_dump(exclude={"type"}))
    floats = 4 * table.rows  # bytes of one number a row
    return PlannedTable(
        table.name, table.rows, table.dim, pattern, settings.type, weights=floats * table.dim, state=floats * state
    )


def _check_sequences_are_read(experiment: Experiment, extended: Inputs) -> None:
    """Raise ConfigError if the vectors of a sequence that nothing pools are read by no branch of the tower."""
    # wide weights are summed, so the vectors of a crossed sequence are still to be read
    read = {field.sequence for field in extended.fields if field.branch != "wide"}
    if unread := {history.name for history in extended.histories if history.table is not None} - read:
        raise ConfigError(
            f"features.columns.{min(unread)}: `pooling: none` leaves it to a model that reads its behaviors one by "
            f"one, and {experiment.model.type} does not read them: choose mean or sum, or name it in the `targets` of "
            f"din or the `pairs` of can"
        )


def _blocks(model: CTRModel) -> dict[str, int]:
    blocks = dict.fromkeys(model.tower.blocks, 0)
    for owned in model.optimizer.owned(model.trainable_variables):
        if owned.kind == "tower":
            blocks[owned.names[0]] += 4 * math.prod(owned.shape) + owned.state_bytes
    return blocks


def _updaters(model: CTRModel) -> dict[str, Updater]:
    found: dict[str, Updater] = {}
    for (kind, names), variable in zip(model.logical_variables, model.trainable_variables, strict=True):
        state = model.optimizer.state_of(variable)
        for name in [f"{kind} {name}" for name in names]:
            before = found[name].state if name in found else ()
            found[name] = Updater(model.optimizer.optimizer_of(variable), tuple(dict.fromkeys([*before, *state])))
    return found
