"""What the trainings of a comparison take of the machine, found out before the first begins."""

from collections.abc import Sequence

import tensorflow as tf

from ctr.comparison.plan import PlannedRun
from ctr.comparison.pool import Budget
from ctr.comparison.study import Variant
from ctr.config.training import available_cpus
from ctr.errors import ConfigError
from ctr.preflight.resources import estimate_resources
from ctr.runs.machine import free_memory
from ctr.training.data import PreparedData, empty_encoder, prepare
from ctr.training.plan import ModelPlan, plan_model

UNKNOWN = 1 << 62  # more bytes than any machine has


def needs_of_cells(runs: Sequence[PlannedRun]) -> tuple[dict[str, int], int]:
    """Bytes of memory that a training of each cell takes, and of disk that any takes at most.

    Reads the data once, as a training does before its first step.

    Args:
        runs: to train: of each cell one, or several that need not be equal in size.

    Raises:
        ConfigError: a model, an optimizer or a pattern of one that cannot be; data without validation or test set.
        DataError: data that cannot be used.
    """
    plans = [_plan(run) for run in runs]
    read: dict[str, PreparedData] = {}
    memory: dict[str, int] = {}
    disk = 0
    for run, plan in zip(runs, plans, strict=True):
        experiment = plan.experiment
        data = experiment.model_dump_json(include={"data", "features"}, serialize_as_any=True)
        if data not in read:
            read[data] = prepare(experiment)
            _check_sets(run, read[data])
        try:
            found = estimate_resources(plan.completed(read[data].encoder), read[data])
        except ConfigError:
            memory[run.cell.name] = UNKNOWN  # it runs alone, and says what is wrong as its row
            continue
        memory[run.cell.name] = max(memory.get(run.cell.name, 0), found.at_most)
        disk = max(disk, found.disk)
    return memory, disk


def _plan(run: PlannedRun) -> ModelPlan:
    """The plan of a run's model on the CPU, because this process leaves GPUs to others."""
    training = run.experiment.training.model_copy(update={"device": "cpu"})
    experiment = run.experiment.model_copy(update={"training": training})
    try:
        return plan_model(experiment, empty_encoder(experiment))
    except ConfigError as error:
        raise ConfigError(f"{run.cell.name}: {error}") from error


def may_differ_in_size(cell: Variant) -> bool:
    """Whether trials of a cell may need more memory than others."""
    return any(key.startswith(("features.", "model.")) for key in cell.ranges)


def _check_sets(run: PlannedRun, prepared: PreparedData) -> None:
    """Raise ConfigError if there is nothing to choose trials by, or nothing to report."""
    if run.trial is not None and "valid" not in prepared.sets:
        raise ConfigError(f"tuning: {run.cell.name} has no validation data to choose trials by; give `data.valid`")
    if not {"valid", "test"} & set(prepared.sets):
        raise ConfigError(f"{run.cell.name}: has neither validation nor test data to compare on; give `data.test`")


def budget_of(runs: Sequence[PlannedRun], processes: int | None, memory: float | None) -> Budget:
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
    free = free_memory() if memory is None else round(memory * 2**30)
    return Budget(processes, UNKNOWN if free is None else free)


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
