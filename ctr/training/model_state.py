"""All variables of a compiled model, optimizer and all: copied in memory, written as a TensorFlow checkpoint, read."""

import tempfile
from collections import deque
from pathlib import Path

import tensorflow as tf

from ctr.errors import ConfigError
from models import CTRModel


def variables_of(model: CTRModel) -> dict[str, tf.Variable]:
    """Every variable that `tf.train.Checkpoint` would save of a compiled model, by the path that it would give it.

    Weights and moving averages, the state, rates and step number of optimizers, the step and the mean loss so far.
    """
    root = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
    view = tf.train.TrackableView(root)
    paths = {id(root): ""}
    waiting, found = deque([root]), {}
    while waiting:
        parent = waiting.popleft()
        for name, child in view.children(parent).items():
            if id(child) not in paths:
                paths[id(child)] = f"{paths[id(parent)]}/{name}".removeprefix("/")
                waiting.append(child)
                if isinstance(child, tf.Variable):
                    found[paths[id(child)]] = child
    return found


def copy_variables(model: CTRModel) -> dict[str, tf.Tensor]:
    """The values of all variables in the memory of the CPU, by path: training may go on, they stay as they are."""
    with tf.device("CPU"):
        return {
            name: tf.identity(part)
            for path, variable in variables_of(model).items()
            for name, part in {path: variable, **_by_replica(path, variable, model)}.items()
        }


def write_state(prefix: Path, values: dict[str, tf.Tensor]) -> None:
    """Write what `copy_variables` gave to `<prefix>.index` and `<prefix>.data-*`, for `tf.train.load_checkpoint`.

    Raises:
        OSError: they cannot be written.
    """
    try:
        with tf.device("CPU"):
            tf.raw_ops.SaveV2(
                prefix=str(prefix),
                tensor_names=list(values),
                shape_and_slices=[""] * len(values),
                tensors=[*values.values()],
            )
    except tf.errors.OpError as error:
        reason = error.message.rpartition("; ")[2].partition(" [Op:")[0]  # "<node> <file>; <reason> [Op:SaveV2]"
        raise OSError(f"{prefix}: cannot be written: {reason}") from error


def read_state(prefix: Path, model: CTRModel) -> None:
    """Set all variables of a compiled model to what `write_state` wrote.

    Raises:
        ConfigError: the files are damaged, or of another model.
    """
    with tempfile.TemporaryDirectory() as folder:
        # TensorFlow takes a prefix for a pattern: a folder with a bracket in its name would not be found
        link = Path(folder) / "saved"
        link.symlink_to(prefix.parent.absolute())
        try:
            _read(str(link / prefix.name), model)
        except (tf.errors.OpError, ValueError) as error:
            raise ConfigError(f"{prefix}: {str(error).splitlines()[0]}") from error


def _read(prefix: str, model: CTRModel) -> None:
    shapes = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    for path, variable in variables_of(model).items():
        parts = _by_replica(path, variable, model)
        if not (parts and parts.keys() <= shapes.keys()):
            parts = {path: variable}  # or as many replicas as this model has did not write it
        for name, part in parts.items():
            if shapes.get(name) != part.shape.as_list():
                there, here = shapes.get(name, "absent"), part.shape.as_list()
                raise ConfigError(f"of another model: {name} is {there} there, {here} here")
            with tf.device("CPU"):
                [value] = tf.raw_ops.RestoreV2(
                    prefix=prefix, tensor_names=[name], shape_and_slices=[""], dtypes=[part.dtype]
                )
            part.assign(value)


def _by_replica(path: str, variable: tf.Variable, model: CTRModel) -> dict[str, tf.Variable]:
    """The variables of each replica, where each counts or averages for itself; together they are one only when read."""
    if variable.synchronization != tf.VariableSynchronization.ON_READ:
        return {}
    parts = model.distribute_strategy.experimental_local_results(variable)
    return {f"{path}/replica-{place}": part for place, part in enumerate(parts)} if len(parts) > 1 else {}
