"""What arguments of optimizers must satisfy."""

from typing import Any

import numpy as np
import tf_keras

LARGEST = float(np.finfo(np.float32).max)  # what is computed with is float32


def is_schedule(learning_rate: Any) -> bool:
    """Whether a rate is a Keras schedule."""
    return isinstance(learning_rate, tf_keras.optimizers.schedules.LearningRateSchedule)


def check_rate(learning_rate: Any) -> None:
    """Raise ValueError unless a rate is a schedule or a number of at least 0."""
    if not is_schedule(learning_rate):
        check_at_least_0(learning_rate=learning_rate)


def check_at_least_0(**arguments: float) -> None:
    """Raise ValueError that names an argument unless all are finite, as float32 too, and at least 0."""
    for name, value in arguments.items():
        if not 0 <= value <= LARGEST:
            raise ValueError(f"{name} must be finite and at least 0. Received: {value}")


def check_above_0(**arguments: float) -> None:
    """Raise ValueError that names an argument unless all are finite, as float32 too, and above 0."""
    for name, value in arguments.items():
        if not 0 < value <= LARGEST:
            raise ValueError(f"{name} must be finite and above 0. Received: {value}")


def check_decay_rates(**arguments: float) -> None:
    """Raise ValueError that names an argument unless all are in [0, 1)."""
    for name, value in arguments.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be in [0, 1). Received: {value}")


def refuse_clipping(optimizer: tf_keras.optimizers.Optimizer, user: str) -> None:
    """Raise ValueError if an optimizer inside another has Keras's clipping or averages, which would have no effect."""
    for key in ("clipnorm", "global_clipnorm", "clipvalue", "use_ema"):
        if value := getattr(optimizer, key):
            raise ValueError(f"`{key}` of {optimizer.name} has no effect in {user}. Received: {value}")
