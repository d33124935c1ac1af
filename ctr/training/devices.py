"""Threads and devices: how many threads TensorFlow uses, and where tables and tower go."""

import os
from typing import Literal, NamedTuple

import tensorflow as tf
from tensorflow.python.client import device_lib

from ctr.config.training import Training, available_cpus
from ctr.errors import ConfigError


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


def strategy_of(settings: Training, kind: Literal["gpu", "cpu"]) -> tf.distribute.Strategy:
    """The devices of `kind` that hold tables and tower, told how exact to be."""
    if kind == "gpu" and settings.deterministic:
        # else every update would copy its whole table to the CPU and back; rows are unique, so none is written twice
        os.environ["TF_DISABLE_SCATTER_OP_DETERMINISM"] = "1"
        tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(settings.precision == "tf32")
    if settings.replicas == 1:
        return tf.distribute.OneDeviceStrategy(f"/{kind}:0")
    return tf.distribute.MirroredStrategy([f"/{kind}:{place}" for place in range(settings.replicas)])
