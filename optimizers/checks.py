"""Checks of optimizer arguments."""

from typing import Any

import numpy as np
import tf_keras

LARGEST = float(np.finfo(np.float32).max)  # optimizers compute in float32


def is_schedule(learning_rate: Any) -> bool:
    """Return True if a learning rate is a Keras schedule."""
    return isinstance(learning_rate, tf_keras.optimizers.schedules.LearningRateSchedule)


def check_rate(learning_rate: Any) -> None:
    """Raise ValueError unless a learning rate is a schedule or a finite number of at least 0."""
    if not is_schedule(learning_rate):
        check_at_least_0(learning_rate=learning_rate)


def check_at_least_0(**arguments: float) -> None:
    """Raise ValueError, naming the argument, unless each value is at least 0 and finite in float32."""
    for name, value in arguments.items():
        if not 0 <= value <= LARGEST:
            raise ValueError(f"{name} must be finite and at least 0. Received: {value}")


def check_above_0(**arguments: float) -> None:
    """Raise ValueError, naming the argument, unless each value is above 0 and finite in float32."""
    for name, value in arguments.items():
        if not 0 < value <= LARGEST:
            raise ValueError(f"{name} must be finite and above 0. Received: {value}")


def check_decay_rates(**arguments: float) -> None:
    """Raise ValueError, naming the argument, unless each value is in [0, 1)."""
    for name, value in arguments.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be in [0, 1). Received: {value}")


def refuse_clipping(optimizer: tf_keras.optimizers.Optimizer, user: str) -> None:
    """Raise ValueError if an inner optimizer uses Keras's clipping or averages, which have no effect inside `user`."""
    for key in ("clipnorm", "global_clipnorm", "clipvalue", "use_ema"):
        if value := getattr(optimizer, key):
            raise ValueError(f"`{key}` of {optimizer.name} has no effect in {user}. Remove it. Received: {value}")
