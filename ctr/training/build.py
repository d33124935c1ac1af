"""From the settings of an experiment to a tower, its optimizers and a compiled model."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
import tf_keras

from ctr.config.experiment import Experiment
from ctr.config.optimizers import TowerOptimizer
from ctr.config.registry_settings import ScheduleSettings
from ctr.config.user_code import is_user_code
from ctr.errors import ConfigError
from models import CTRModel, Inputs, Tower
from optimizers import (
    SCHEDULES,
    Adjustable,
    LayerwiseNormalization,
    Lookahead,
    PatternError,
    Regularized,
    Router,
)


def make_tower(experiment: Experiment) -> Tower:
    """Make the tower that the config describes; it has no variables yet.

    Raises:
        ConfigError: a setting that it refuses.
    """
    with _precision(experiment.training.precision), as_config_error("model"):
        return _tower(experiment.model, experiment)


def make_model(
    experiment: Experiment,
    inputs: Inputs,
    patterns: Mapping[str, str],
    steps_per_epoch: int = 1,
    base_logit: float | None = None,
) -> CTRModel:
    """Make the compiled model with all variables and optimizer state, where the caller's scope puts them.

    Args:
        experiment: what to make.
        inputs: what batches hold.
        patterns: table -> the key of `optimizers.sparse` that trains it; those of the tower too.
        steps_per_epoch: for schedules of learning rates.
        base_logit: the bias of the logit before training; None: 0.

    Raises:
        ConfigError: a setting that the model or an optimizer refuses; weights that no memory holds.
    """
    if experiment.user_code:  # its layers may draw weights from Keras's global generators
        tf_keras.utils.set_random_seed(experiment.seed)
    tower = make_tower(experiment)
    with _precision(experiment.training.precision), as_config_error("model"):
        model = CTRModel(inputs, tower, experiment.initializer.tables, experiment.seed, patterns, base_logit)
        router = _router(experiment, model, steps_per_epoch)
        model.compile(optimizer=router)
        router.build(model.trainable_variables)
    return model


def _tower(settings: Any, experiment: Experiment) -> Tower:
    """The tower that `model` describes; one on a `base` leaves the weights to it."""
    arguments = {name: value for name, value in settings if name != "type"}
    if "base" in arguments:
        return _made(settings, {**arguments, "base": _tower(arguments["base"], experiment)})
    return _made(settings, {**arguments, "initializer": experiment.initializer.towers, "seed": experiment.seed})


def _made(settings: Any, arguments: Mapping[str, Any]) -> Any:
    """Call what the settings of a part name; whatever a class of the user's own raises is a mistake in the class."""
    try:
        return settings.factory(**arguments)
    except Exception as error:
        if not is_user_code(settings.type) or isinstance(error, ValueError | tf.errors.OpError):
            raise
        raise ConfigError(f"{settings.type}: its constructor raised {type(error).__name__}: {error}") from error


def _router(experiment: Experiment, model: CTRModel, steps_per_epoch: int) -> Router:
    chosen, total_steps = experiment.optimizers, experiment.training.epochs * steps_per_epoch

    def make(settings: Any, key: str, *others: str) -> Any:
        """What `settings.type` stands for, made with the settings that are not `others`."""
        with as_config_error(key):
            arguments = settings.model_dump(exclude={"type", *others})
            rate = getattr(settings, "learning_rate", None)  # an optimizer of the user's own may have none
            if isinstance(rate, ScheduleSettings):
                arguments["learning_rate"] = _schedule(rate, steps_per_epoch, total_steps)
            return _made(settings, arguments)

    sparse = {key: make(settings, f"optimizers.sparse.{key}") for key, settings in chosen.sparse.items()}
    dense = {}
    for pattern, settings in chosen.dense.items():
        optimizer = make(settings, f"optimizers.dense.{pattern}", *TowerOptimizer.model_fields)
        with as_config_error(f"optimizers.dense.{pattern}"):
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


def _schedule(settings: Any, steps_per_epoch: int, total_steps: int) -> Adjustable:
    """The Keras schedule of `learning_rate: {schedule: ...}`; `total_steps` is the number of steps of the run."""
    arguments = settings.model_dump(exclude={"schedule", "per", "warm_up"})
    unit = steps_per_epoch if settings.per == "epoch" else 1
    warm_up_steps = 0 if settings.warm_up is None else settings.warm_up.in_steps(steps_per_epoch)
    return Adjustable(SCHEDULES[settings.schedule](**arguments, unit=unit, total_steps=total_steps), warm_up_steps)


@contextmanager
def as_config_error(key: str) -> Iterator[None]:
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
