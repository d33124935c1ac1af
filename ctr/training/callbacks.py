"""tf_keras callbacks named on the command line, such as TensorBoard, MLflow or a user's own class."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tf_keras

from ctr.config.user_code import import_name
from ctr.errors import ConfigError


def load_callbacks(names: Sequence[str], run: Path) -> list[tf_keras.callbacks.Callback]:
    """Make the callbacks of a run.

    Args:
        names: `MODULE:NAME` texts. Each names a class or function that is called with the run folder, a str, and
            returns a callback. For example, `tf_keras.callbacks:TensorBoard` logs into the run folder.
        run: run folder.

    Raises:
        ConfigError: a module or name is not found, or the result is not a callback.
    """
    return [_make(name, factory, run) for name, factory in zip(names, resolve_factories(names), strict=True)]


def resolve_factories(names: Sequence[str]) -> list[Callable[[str], Any]]:
    """Import the classes or functions that make callbacks, also from the working directory.

    Raises:
        ConfigError: a module or name is not found, or the object is not callable.
    """
    return [_resolve(name) for name in names]


def _resolve(name: str) -> Callable[[str], Any]:
    try:
        factory = import_name(name)
    except ConfigError as error:
        raise ConfigError(f"--callback {name}: {error}") from error
    if not callable(factory):
        raise ConfigError(f"--callback {name}: must be a class or function. Received: {type(factory).__name__}")
    return factory


def _make(name: str, factory: Callable[[str], Any], run: Path) -> tf_keras.callbacks.Callback:
    try:
        callback = factory(str(run))
    except TypeError as error:
        raise ConfigError(f"--callback {name}: must be callable with the run folder: {error}") from error
    if not isinstance(callback, tf_keras.callbacks.Callback):
        raise ConfigError(
            f"--callback {name}: must return a tf_keras.callbacks.Callback. Received: {type(callback).__name__}"
        )
    return callback
