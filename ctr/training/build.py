"""Build the tower, the optimizers and the compiled model of an experiment."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
import tf_keras

from ctr.config.experiment import Experiment
from ctr.config.model import Streams, StreamSettings
from ctr.config.optimizers import TowerOptimizer
from ctr.config.registry_settings import PartSettings, ScheduleSettings
from ctr.config.user_code import is_user_code
from ctr.errors import ConfigError
from models import CTRModel, Inputs, Stream, Tower, seed_of
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
    """Make the tower of an experiment, without variables.

    Raises:
        ConfigError: a setting is invalid for the tower.
    """
    with _precision(experiment.training.precision), as_config_error("model"):
        return _tower(experiment.model, experiment.initializer.towers, experiment.seed)


def make_model(
    experiment: Experiment,
    inputs: Inputs,
    patterns: Mapping[str, str],
    steps_per_epoch: int = 1,
    base_logit: float | None = None,
) -> CTRModel:
    """Make the compiled model with all variables and optimizer state, on the devices of the caller's scope.

    Args:
        experiment: experiment of the model.
        inputs: description of the batches.
        patterns: table -> key of `optimizers.sparse` that trains it, including the tower's own tables.
        steps_per_epoch: number of batches per epoch, for learning rate schedules.
        base_logit: bias of the logit before training; None for 0.

    Raises:
        ConfigError: a setting is invalid for the model or an optimizer, or memory is too small for the weights.
    """
    if experiment.user_code:  # its layers might draw weights from Keras's global generators
        tf_keras.utils.set_random_seed(experiment.seed)
    tower = make_tower(experiment)
    with _precision(experiment.training.precision), as_config_error("model"):
        model = CTRModel(
            inputs,
            tower,
            stddev=experiment.initializer.tables,
            seed=experiment.seed,
            grouping=patterns,
            base_logit=base_logit,
            self_ensemble=experiment.training.self_ensemble,
        )
        router = _router(experiment, model, steps_per_epoch)
        model.compile(optimizer=router)
        router.build(model.trainable_variables)
    return model


def _tower(settings: Any, initializer: str, seed: int) -> Tower:
    """Make the tower of a `model` section, with the towers inside it.

    A tower with a `base` gets its weights from the base. Each stream has a seed of its own, so that two models of one
    kind start differently.
    """
    of_stream = StreamSettings.model_fields if isinstance(settings, StreamSettings) else ()
    arguments = {name: value for name, value in settings if name not in ("type", *of_stream)}
    for name, value in arguments.items():
        if isinstance(value, PartSettings):
            arguments[name] = _tower(value, initializer, seed)
        elif isinstance(value, Streams):
            arguments[name] = {
                stream: Stream(_tower(model, initializer, seed_of(seed, f"{name}/{stream}")), model.dim)
                for stream, model in value
            }
    passed = {} if "base" in arguments else {"initializer": initializer, "seed": seed}
    return _construct(settings, {**arguments, **passed})


def _construct(settings: Any, arguments: Mapping[str, Any]) -> Any:
    """Call the constructor that settings name; any error of a user's class becomes a ConfigError."""
    try:
        return settings.factory(**arguments)
    except Exception as error:
        if not is_user_code(settings.type) or isinstance(error, ValueError | tf.errors.OpError):
            raise
        raise ConfigError(f"{settings.type}: its constructor raised {type(error).__name__}: {error}") from error


def _router(experiment: Experiment, model: CTRModel, steps_per_epoch: int) -> Router:
    optimizers, total_steps = experiment.optimizers, experiment.training.epochs * steps_per_epoch

    def make(settings: Any, key: str, *excluded: str) -> Any:
        """Make the optimizer of `settings.type`, without the `excluded` settings."""
        with as_config_error(key):
            arguments = settings.model_dump(exclude={"type", *excluded})
            rate = getattr(settings, "learning_rate", None)  # optional in a user's optimizer
            if isinstance(rate, ScheduleSettings):
                arguments["learning_rate"] = _schedule(rate, steps_per_epoch, total_steps)
            return _construct(settings, arguments)

    sparse = {key: make(settings, f"optimizers.sparse.{key}") for key, settings in optimizers.sparse.items()}
    dense = {}
    for pattern, settings in optimizers.dense.items():
        optimizer = make(settings, f"optimizers.dense.{pattern}", *TowerOptimizer.model_fields)
        with as_config_error(f"optimizers.dense.{pattern}"):
            dense[pattern] = _wrap(optimizer, settings)
    return Router(sparse, dense, model.logical_variables, optimizers.clip_norm)


def _wrap(optimizer: tf_keras.optimizers.Optimizer, settings: TowerOptimizer) -> tf_keras.optimizers.Optimizer:
    """Wrap an optimizer of the tower in the regularization, normalization and lookahead of its settings."""
    if settings.l1_gradient or settings.l2_gradient:
        optimizer = Regularized(optimizer, settings.l1_gradient, settings.l2_gradient)
    if settings.layerwise_normalization:
        optimizer = LayerwiseNormalization(optimizer)
    if settings.lookahead is not None:
        optimizer = Lookahead(optimizer, settings.lookahead.every, settings.lookahead.alpha)
    return optimizer


def _schedule(settings: Any, steps_per_epoch: int, total_steps: int) -> Adjustable:
    """Make the Keras schedule of `learning_rate: {schedule: ...}`."""
    arguments = settings.model_dump(exclude={"schedule", "per", "warm_up"})
    unit = steps_per_epoch if settings.per == "epoch" else 1
    warm_up_steps = 0 if settings.warm_up is None else settings.warm_up.in_steps(steps_per_epoch)
    return Adjustable(SCHEDULES[settings.schedule](**arguments, unit=unit, total_steps=total_steps), warm_up_steps)


def rates_of_whole_training(experiment: Experiment) -> list[str]:
    """Return the keys of the learning rates whose schedule depends on the number of steps of the whole training."""
    optimizers = experiment.optimizers
    return [
        f"optimizers.{section}.{pattern}.learning_rate"
        for section, members in (("sparse", optimizers.sparse), ("dense", optimizers.dense))
        for pattern, settings in members.items()
        if isinstance(rate := getattr(settings, "learning_rate", None), ScheduleSettings)
        and _schedule(rate, 1, 1).get_config() != _schedule(rate, 1, 2).get_config()
    ]


@contextmanager
def as_config_error(key: str) -> Iterator[None]:
    """Turn a constructor's ValueError, or too little memory for the weights, into a ConfigError that names the key."""
    try:
        yield
    except PatternError as error:
        raise ConfigError(f"optimizers: {error}") from error
    except ConfigError:
        raise
    except ValueError as error:
        lines = [line for line in str(error).splitlines() if line] or [""]
        has_keras_title = lines[0].startswith("Exception encountered when calling")  # the message is on the next line
        raise ConfigError(f"{key}: {lines[1] if has_keras_title else error}") from error
    except tf.errors.ResourceExhaustedError as error:
        weights = re.search(r"shape\[[\d,]*\]", str(error))
        raise ConfigError(
            f"{key}: not enough memory for weights{f' of {weights[0]}' if weights else ''}. Use smaller layers."
        ) from error


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Make layers in the block compute in `policy`; Keras knows tf32 as float32."""
    previous = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy("float32" if policy == "tf32" else policy)
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(previous)
