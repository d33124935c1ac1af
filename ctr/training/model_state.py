"""Variables of a compiled model and its optimizer: copied in memory, written as a TensorFlow checkpoint, restored."""

import tempfile
from collections import deque
from pathlib import Path

import tensorflow as tf

from ctr.errors import ConfigError
from models import CTRModel


def variables_of(model: CTRModel) -> dict[str, tf.Variable]:
    """Return path -> variable for each variable that `tf.train.Checkpoint` would save of a compiled model.

    These are weights, moving averages, optimizer state, learning rates, step numbers and the mean loss so far.
    """
    root = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
    view = tf.train.TrackableView(root)
    paths = {id(root): ""}
    queue, variables = deque([root]), {}
    while queue:
        parent = queue.popleft()
        for name, child in view.children(parent).items():
            if id(child) not in paths:
                paths[id(child)] = f"{paths[id(parent)]}/{name}".removeprefix("/")
                queue.append(child)
                if isinstance(child, tf.Variable):
                    variables[paths[id(child)]] = child
    return variables


def copy_variables(model: CTRModel) -> dict[str, tf.Tensor]:
    """Copy the values of all variables to CPU memory, by path, so that later training does not change them."""
    with tf.device("CPU"):
        return {
            name: tf.identity(part)
            for path, variable in variables_of(model).items()
            for name, part in {path: variable, **_by_replica(path, variable, model)}.items()
        }


def write_state(prefix: Path, values: dict[str, tf.Tensor]) -> None:
    """Write copied variables to `<prefix>.index` and `<prefix>.data-*`, the format of `tf.train.load_checkpoint`.

    Raises:
        OSError: the files cannot be written.
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
    """Restore all variables of a compiled model from files of `write_state`.

    Raises:
        ConfigError: the files are damaged, or belong to a different model.
    """
    with tempfile.TemporaryDirectory() as folder:
        # TensorFlow reads the prefix as a pattern, so it would not find a folder with a bracket in its name
        link = Path(folder) / "saved"
        link.symlink_to(prefix.parent.absolute())
        try:
            _read(str(link / prefix.name), model)
        except (tf.errors.OpError, ValueError) as error:
            raise ConfigError(f"{prefix}: {str(error).splitlines()[0]}") from error


def _read(prefix: str, model: CTRModel) -> None:
    shapes = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    for path, variable in variables_of(model).items():
        targets = _by_replica(path, variable, model)
        if not (targets and targets.keys() <= shapes.keys()):
            targets = {path: variable}  # written with a different number of replicas
        for name, target in targets.items():
            if shapes.get(name) != target.shape.as_list():
                saved, expected = shapes.get(name, "absent"), target.shape.as_list()
                raise ConfigError(f"of a different model: {name} is {saved}, expected {expected}")
            with tf.device("CPU"):
                [value] = tf.raw_ops.RestoreV2(
                    prefix=prefix, tensor_names=[name], shape_and_slices=[""], dtypes=[target.dtype]
                )
            target.assign(value)


def _by_replica(path: str, variable: tf.Variable, model: CTRModel) -> dict[str, tf.Variable]:
    """Return the variables of the replicas, if each replica has a value of its own that is combined only when read."""
    if variable.synchronization != tf.VariableSynchronization.ON_READ:
        return {}
    replicas = model.distribute_strategy.experimental_local_results(variable)
    return {f"{path}/replica-{index}": replica for index, replica in enumerate(replicas)} if len(replicas) > 1 else {}
