"""Threads of TensorFlow, and devices of tables and tower."""

import os
from typing import Literal, NamedTuple

import tensorflow as tf
from tensorflow.python.client import device_lib

from ctr.config.training import Training, available_cpus
from ctr.errors import ConfigError


def set_threads(threads: int) -> None:
    """Set the number of CPU threads of TensorFlow.

    Raises:
        ConfigError: TensorFlow has already started with a different number of threads.
    """
    if (tf.config.threading.get_intra_op_parallelism_threads() or available_cpus()) == threads:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError as error:
        raise ConfigError(
            f"training.threads: TensorFlow already uses a different number of threads. Start a new process. "
            f"Received: {threads}"
        ) from error


class Device(NamedTuple):
    """Device of tables and tower."""

    kind: Literal["gpu", "cpu"]
    gpus: list[int] | None
    """Memory of each visible GPU in bytes; None with `device: cpu`, because GPUs are not looked up."""


def choose_device(settings: Training, needed: int) -> Device:
    """Choose GPUs if there is one for each replica and the tables fit, else the CPU.

    Args:
        settings: training settings.
        needed: bytes of the tables and their optimizer state.

    Raises:
        ConfigError: `device: gpu` with too few GPUs or too large tables, or more replicas than devices.
    """
    requested = settings.device
    devices = [] if requested == "cpu" else device_lib.list_local_devices()
    gpus = [device.memory_limit for device in devices if device.device_type == "GPU"]
    has_enough_gpus = len(gpus) >= settings.replicas
    fits = has_enough_gpus and needed < 0.8 * min(gpus[: settings.replicas])
    if requested == "gpu" and not gpus:
        raise ConfigError("training.device: TensorFlow sees no GPU. Use `auto` or `cpu`.")
    only_gpus = requested == "gpu" or settings.replicas > len(tf.config.list_logical_devices("CPU"))
    if only_gpus and not has_enough_gpus:
        raise ConfigError(
            f"training.replicas: {settings.replicas} replicas need {settings.replicas} GPUs, but TensorFlow sees "
            f"{len(gpus)}. Use fewer replicas."
        )
    if only_gpus and not fits:
        raise ConfigError(
            f"training.device: tables and optimizer state need {needed / 2**30:.1f} GiB, but may take 80% of the GPU's "
            f"{gpus[0] / 2**30:.1f} GiB. Use smaller tables or `device: cpu`."
        )
    return Device("gpu" if fits else "cpu", None if requested == "cpu" else gpus)


def strategy_of(settings: Training, kind: Literal["gpu", "cpu"]) -> tf.distribute.Strategy:
    """Return the strategy that places tables and tower on devices of `kind`, and set determinism and precision."""
    if kind == "gpu" and settings.deterministic:
        # Deterministic scatter would copy the whole table to the CPU at every update. Row ids are unique, so scatter
        # order cannot change the result.
        os.environ["TF_DISABLE_SCATTER_OP_DETERMINISM"] = "1"
        tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(settings.precision == "tf32")
    if settings.replicas == 1:
        return tf.distribute.OneDeviceStrategy(f"/{kind}:0")
    return tf.distribute.MirroredStrategy([f"/{kind}:{index}" for index in range(settings.replicas)])
