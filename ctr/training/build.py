"""From an experiment and its encoder to a compiled model on its devices."""

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import tensorflow as tf
import tf_keras
from tensorflow.python.client import device_lib

from ctr.config.experiment import Experiment
from ctr.config.optimizers import TowerOptimizer
from ctr.config.registry_settings import ScheduleSettings
from ctr.config.training import Training, available_cpus
from ctr.errors import ConfigError
from ctr.runs.machine import free_memory
from features import Encoder, layout_of
from models import MODELS, CTRModel, Inputs, Table, Tower, fuse
from optimizers import (
    DENSE,
    SCHEDULES,
    SPARSE,
    Adjustable,
    LayerwiseNormalization,
    Lookahead,
    PatternError,
    Regularized,
    Router,
    resolve,
)


def set_threads(threads: int) -> None:
    """Fix the CPU threads of TensorFlow, which must not have started yet with another number.

    Raises:
        ConfigError: it has.
    """
    if (tf.config.threading.get_intra_op_parallelism_threads() or available_cpus()) == threads:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError as error:
        raise ConfigError(
            f"training.threads: TensorFlow already runs with another number. Received: {threads}"
        ) from error


class TableCost(NamedTuple):
    """What a table takes; on each replica as much."""

    name: str
    rows: int
    dim: int
    optimizer: str
    weights: int
    """Bytes."""
    state: int
    """Bytes of the optimizer's state."""


class Device(NamedTuple):
    """Where tables and tower go."""

    kind: Literal["gpu", "cpu"]
    gpus: list[int] | None
    """Bytes of each GPU that TensorFlow sees; None where the config says `cpu`, so that none is looked for."""


def choose_device(settings: Training, needed: int) -> Device:
    """GPUs if there are as many as replicas and the tables fit, else the CPU.

    Args:
        settings: of the training.
        needed: bytes of the tables and their optimizers' state.

    Raises:
        ConfigError: `device: gpu` where there are too few, or where the tables do not fit; more replicas than devices.
    """
    wanted = settings.device
    devices = [] if wanted == "cpu" else device_lib.list_local_devices()
    gpus = [device.memory_limit for device in devices if device.device_type == "GPU"]
    enough = len(gpus) >= settings.replicas
    fits = enough and needed < 0.8 * min(gpus[: settings.replicas])
    if wanted == "gpu" and not gpus:
        raise ConfigError("training.device: TensorFlow sees no GPU; use `auto` or `cpu`")
    only_gpus = wanted == "gpu" or settings.replicas > len(tf.config.list_logical_devices("CPU"))
    if only_gpus and not enough:
        raise ConfigError(f"training.replicas: needs {settings.replicas} GPUs. TensorFlow sees: {len(gpus)}")
    if only_gpus and not fits:
        raise ConfigError(
            f"training.device: the tables need {needed / 2**30:.1f} GiB, the GPU has {gpus[0] / 2**30:.1f}"
        )
    return Device("gpu" if fits else "cpu", None if wanted == "cpu" else gpus)


def _strategy(settings: Training, kind: Literal["gpu", "cpu"]) -> tf.distribute.Strategy:
    """The devices of `kind` that hold tables and tower, told how exact to be."""
    if kind == "gpu" and settings.deterministic:
        # else every update would copy its whole table to the CPU and back; rows are unique, so none is written twice
        os.environ["TF_DISABLE_SCATTER_OP_DETERMINISM"] = "1"
        tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(settings.precision == "tf32")
    if settings.replicas == 1:
        return tf.distribute.OneDeviceStrategy(f"/{kind}:0")
    return tf.distribute.MirroredStrategy([f"/{kind}:{place}" for place in range(settings.replicas)])


def build(experiment: Experiment, encoder: Encoder, steps_per_epoch: int = 1) -> CTRModel:
    """A model compiled with its router, all variables and optimizer state made, on its device.

    Args:
        experiment: what to build.
        encoder: of the training data.
        steps_per_epoch: for schedules of learning rates; a model that is not trained has no use for it.

    Raises:
        ConfigError: a setting that the model or an optimizer refuses, patterns that do not fit the tables.
    """
    needed = sum(table.weights + table.state for table in table_costs(experiment, encoder))
    base_logit = encoder.log_odds if experiment.initializer.head_bias == "log_odds" else None
    with _strategy(experiment.training, choose_device(experiment.training, needed).kind).scope():
        return _built(experiment, Inputs.from_layout(encoder.layout), steps_per_epoch, base_logit)


def table_costs(experiment: Experiment, encoder: Encoder) -> list[TableCost]:
    """What the tables and their optimizers' state will take; nothing is allocated.

    Raises:
        ConfigError: as `build`, where it does not depend on the towers; too many rows in tables that share a variable.
    """
    _, tables, grouping = _plan(experiment, Inputs.from_layout(encoder.layout))
    with _as_config_error("features"):
        fuse(tables, grouping)
    costs = []
    for table in tables:
        settings = experiment.optimizers.sparse[grouping[table.name]]
        state = SPARSE[settings.type].state_floats(table.dim, **settings.model_dump(exclude={"type"}))
        weights = 4 * table.rows * table.dim
        costs.append(TableCost(table.name, table.rows, table.dim, settings.type, weights, 4 * table.rows * state))
    return costs


def dry_build(experiment: Experiment) -> CTRModel:
    """Build once with tables of a few rows, to find out before any data is read what `build` will refuse.

    Raises:
        ConfigError: as `build`.
    """
    _check_widths(experiment.model)
    sizes = dict.fromkeys(experiment.features.columns, 1)
    with tf.device("CPU"):
        return _built(experiment, Inputs.from_layout(layout_of(experiment.features, sizes)))


def tower_bytes(model: CTRModel) -> int:
    """What the towers' weights and their optimizers' state take."""
    owned = model.optimizer.owned(model.trainable_variables)
    return sum(4 * math.prod(one.shape) + one.state_bytes for one in owned if one.kind == "tower")


def _check_widths(model: Any) -> None:
    """Raise ConfigError where `hidden` alone is more than memory holds: making it would end the process."""
    widths = getattr(getattr(model, "base", model), "hidden", ())
    needed, free = 4 * sum(a * b for a, b in pairwise(widths)), free_memory()
    if free is not None and needed > free:
        raise ConfigError(
            f"model.hidden: these layers need {needed / 2**30:,.1f} GiB, but {free / 2**30:,.1f} GiB is free"
        )


def _built(
    experiment: Experiment, inputs: Inputs, steps_per_epoch: int = 1, base_logit: float | None = None
) -> CTRModel:
    """The compiled model, its variables and optimizer state made where the caller's scope puts them."""
    tower, _, grouping = _plan(experiment, inputs)
    with _precision(experiment.training.precision), _as_config_error("model"):
        model = CTRModel(inputs, tower, experiment.initializer.tables, experiment.seed, grouping, base_logit)
        router = _router(experiment, model, steps_per_epoch)
        model.compile(optimizer=router)
        router.build(model.trainable_variables)
    return model


def _plan(experiment: Experiment, inputs: Inputs) -> tuple[Tower, tuple[Table, ...], dict[str, str]]:
    """The tower, the tables that it reads, and the pattern of each table's optimizer."""
    if not inputs.fields and not inputs.plain:
        raise ConfigError("features: there are none")
    with _precision(experiment.training.precision), _as_config_error("model"):
        tower = _tower(experiment.model, experiment)
        extended = tower.extend(inputs).trimmed()
        grouping = resolve(experiment.optimizers.sparse, [table.name for table in extended.tables])
    # the wide part sums weights of its own, so the vectors of a crossed sequence are still to be read
    read = {field.sequence for field in extended.fields if field.branch != "wide"}
    if unread := {history.name for history in inputs.histories if history.table is not None} - read:
        raise ConfigError(
            f"features.columns.{min(unread)}: `pooling: none` leaves it to a model that reads its behaviors one by "
            f"one, and {experiment.model.type} does not read them: choose mean or sum, or name it in the `targets` of "
            f"din or the `pairs` of can"
        )
    return tower, extended.tables, grouping


def _tower(settings: Any, experiment: Experiment) -> Tower:
    """The tower that `model` describes; one on a `base` leaves the weights to it."""
    make: Callable[..., Tower] = MODELS[settings.type]
    arguments = {name: value for name, value in settings if name != "type"}
    if "base" in arguments:
        return make(**{**arguments, "base": _tower(arguments["base"], experiment)})
    return make(**arguments, initializer=experiment.initializer.towers, seed=experiment.seed)


def _router(experiment: Experiment, model: CTRModel, steps_per_epoch: int) -> Router:
    chosen, whole = experiment.optimizers, experiment.training.epochs * steps_per_epoch

    def make(registry: Mapping[str, Callable[..., Any]], settings: Any, key: str, *others: str) -> Any:
        """What `settings.type` stands for, made with the settings that are not `others`."""
        with _as_config_error(key):
            arguments = settings.model_dump(exclude={"type", *others})
            if isinstance(settings.learning_rate, ScheduleSettings):
                arguments["learning_rate"] = _schedule(settings.learning_rate, steps_per_epoch, whole)
            return registry[settings.type](**arguments)

    sparse = {key: make(SPARSE, settings, f"optimizers.sparse.{key}") for key, settings in chosen.sparse.items()}
    dense = {}
    for pattern, settings in chosen.dense.items():
        optimizer = make(DENSE, settings, f"optimizers.dense.{pattern}", *TowerOptimizer.model_fields)
        with _as_config_error(f"optimizers.dense.{pattern}"):
            dense[pattern] = _wrapped(optimizer, settings)
    return Router(sparse, dense, model.logical_variables, chosen.clip_norm)


def _wrapped(optimizer: tf_keras.optimizers.Optimizer, settings: TowerOptimizer) -> tf_keras.optimizers.Optimizer:
    """A tower's optimizer inside what its settings put around it."""
    if settings.l1_gradient or settings.l2_gradient:
        optimizer = Regularized(optimizer, settings.l1_gradient, settings.l2_gradient)
    if settings.layerwise_normalization:
        optimizer = LayerwiseNormalization(optimizer)
    if settings.lookahead is not None:
        optimizer = Lookahead(optimizer, settings.lookahead.every, settings.lookahead.alpha)
    return optimizer


def _schedule(settings: Any, steps_per_epoch: int, whole: int) -> Adjustable:
    """The Keras schedule of `learning_rate: {schedule: ...}`; `whole` is the steps of the training."""
    arguments = settings.model_dump(exclude={"schedule", "per", "warm_up"})
    unit = steps_per_epoch if settings.per == "epoch" else 1
    warm_up_steps = 0 if settings.warm_up is None else settings.warm_up.in_steps(steps_per_epoch)
    return Adjustable(SCHEDULES[settings.schedule](**arguments, unit=unit, whole=whole), warm_up_steps)


@contextmanager
def _as_config_error(key: str) -> Iterator[None]:
    """A ValueError of a constructor is a mistake in the config, and so are weights that no memory holds."""
    try:
        yield
    except PatternError as error:
        raise ConfigError(f"optimizers: {error}") from error
    except ConfigError:
        raise
    except ValueError as error:
        lines = [line for line in str(error).splitlines() if line] or [""]
        in_a_layer = lines[0].startswith("Exception encountered when calling")  # Keras, and then what was wrong
        raise ConfigError(f"{key}: {lines[1] if in_a_layer else error}") from error
    except tf.errors.ResourceExhaustedError as error:
        weights = re.search(r"shape\[[\d,]*\]", str(error))
        raise ConfigError(
            f"{key}: memory does not hold weights{f' of {weights[0]}' if weights else ''}: make its layers smaller"
        ) from error


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Layers made inside compute in `policy`; tf32 is float32 to Keras."""
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy("float32" if policy == "tf32" else policy)
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)
