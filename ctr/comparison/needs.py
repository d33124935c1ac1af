"""What the trainings of a comparison take of the machine, found out before the first begins."""

from collections.abc import Sequence

import tensorflow as tf

from ctr.build import rehearse, tower_bytes
from ctr.comparison.plan import Planned
from ctr.comparison.pool import Budget
from ctr.data import PreparedData, prepare
from ctr.errors import ConfigError
from ctr.experiment import available_cpus
from ctr.preflight.machine import free_memory
from ctr.preflight.needs import FREED_BUT_KEPT, needs_of

PROCESS = 1 << 30  # bytes of a process that has TensorFlow and reads a file
UNKNOWN = 1 << 62  # of a system that does not say what is free


def memory_needs(runs: Sequence[Planned]) -> dict[str, int]:
    """Bytes that a training of each cell takes; reads the data as a training does before its first step, once.

    Args:
        runs: one of each cell.

    Raises:
        ConfigError: a model, an optimizer or a pattern of one that cannot be.
        DataError: data that cannot be used.
    """
    towers = {run.cell.name: tower_bytes(rehearse(run.experiment)) for run in runs}
    read: dict[str, PreparedData] = {}
    needs = {}
    for run in runs:
        training = run.experiment.training.model_copy(update={"device": "cpu"})  # this process leaves GPUs to others
        experiment = run.experiment.model_copy(update={"training": training})
        data = experiment.model_dump_json(include={"data", "features"}, serialize_as_any=True)
        if data not in read:
            read[data] = prepare(experiment)
        try:
            found = needs_of(experiment, towers[run.cell.name], read[data])
            needs[run.cell.name] = PROCESS + round(FREED_BUT_KEPT * found.memory)
        except ConfigError:
            needs[run.cell.name] = UNKNOWN  # it runs alone, and says what is wrong as its row
    return needs


def check_validates(run: Planned) -> None:
    """Raise ConfigError if the experiment has no validation data, which trials are chosen by."""
    data = run.experiment.data
    if data.split is None and not data.valid:
        raise ConfigError("tuning: chooses by validation, and the experiment has no `data.valid`")


def budget_of(runs: Sequence[Planned], processes: int | None, memory: float | None) -> Budget:
    """How many trainings there may be at once, and the bytes that they may take.

    Args:
        runs: to train.
        processes: None: as many as there are CPUs for their threads; one, where they train on a GPU.
        memory: GiB; None: what is free.
    """
    if processes is None:
        threads = max(run.experiment.training.threads for run in runs)
        on_gpu = _sees_gpu() and any(run.experiment.training.device != "cpu" for run in runs)
        processes = 1 if on_gpu else max(1, available_cpus() // threads)
    free = free_memory() or UNKNOWN
    return Budget(processes, free if memory is None else round(memory * 2**30))


def leave_gpus() -> None:
    """Keep this process from taking the memory of GPUs, which the trainings need.

    Raises:
        ConfigError: it has taken it.
    """
    if _sees_gpu():
        try:
            tf.config.set_visible_devices([], "GPU")
        except RuntimeError as error:
            raise ConfigError(
                "this process uses the GPU already, which the trainings need: compare in another"
            ) from error


def _sees_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))
