"""tf_keras callbacks that a command line names: TensorBoard, MLflow, one's own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tf_keras

from ctr.config.user_code import import_name
from ctr.errors import ConfigError


def load_callbacks(names: Sequence[str], run: Path) -> list[tf_keras.callbacks.Callback]:
    """The callbacks of a run.

    Args:
        names: `MODULE:NAME` each, of a class or function that takes the run's folder as a text and gives a callback:
            `tf_keras.callbacks:TensorBoard` logs into the folder.
        run: the folder.

    Raises:
        ConfigError: there is no such module or name, or what it gives is no callback.
    """
    return [_made(name, make, run) for name, make in zip(names, resolve_factories(names), strict=True)]


def resolve_factories(names: Sequence[str]) -> list[Callable[[str], Any]]:
    """What makes the callbacks; modules are looked for in the working directory, too.

    Raises:
        ConfigError: there is no such module or name, or it cannot be called.
    """
    return [_found(name) for name in names]


def _found(name: str) -> Callable[[str], Any]:
    try:
        make = import_name(name)
    except ConfigError as error:
        raise ConfigError(f"--callback {name}: {error}") from error
    if not callable(make):
        raise ConfigError(f"--callback {name}: is a {type(make).__name__}, no class and no function")
    return make


def _made(name: str, make: Callable[[str], Any], run: Path) -> tf_keras.callbacks.Callback:
    try:
        callback = make(str(run))
    except TypeError as error:
        raise ConfigError(f"--callback {name}: is called with the run's folder: {error}") from error
    if not isinstance(callback, tf_keras.callbacks.Callback):
        raise ConfigError(
            f"--callback {name}: needs a tf_keras.callbacks.Callback. Received: {type(callback).__name__}"
        )
    return callback
