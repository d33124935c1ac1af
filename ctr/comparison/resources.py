"""Memory, disk and devices that the runs of a comparison need, estimated before the first run starts."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from ctr.classical.examples import MAX_EXAMPLES
from ctr.comparison.plan import PlannedRun
from ctr.comparison.pool import UNKNOWN, Budget
from ctr.comparison.study import Variant
from ctr.config.experiment import Experiment
from ctr.config.training import available_cpus
from ctr.errors import ConfigError
from ctr.preflight.resources import encoded_row, estimate_resources, memory_while_measured, score_file_bytes, size
from ctr.runs import machine
from ctr.runs.machine import free_memory
from ctr.training.data import PreparedData, empty_encoder, prepare
from ctr.training.plan import ModelPlan, plan_model
from features import count_rows

FITTED = ("train", "valid")  # splits that a classical model holds in memory
BYTES_OF_VALUE, COPIES = 12, 3  # of a value of its inputs, at most: a float64 and its column


def estimate_memory_and_disk(runs: Sequence[PlannedRun]) -> tuple[dict[str, int], int]:
    """Estimate bytes of memory per run of each variant, and the maximum bytes of disk per run.

    The data is read once, as in a run before its first step.

    Args:
        runs: runs to train: one of each variant, or several if their sizes differ.

    Raises:
        ConfigError: a setting of a model or optimizer is invalid, or there is no validation or test data.
        DataError: the data is invalid.
    """
    plans = {run.folder: _plan(run) for run in runs if run.variant.classical_model is None}
    prepared: dict[str, PreparedData] = {}
    memory_of: dict[str, int] = {}
    disk = 0
    for run in runs:
        plan = plans.get(run.folder)
        experiment = run.experiment if plan is None else plan.experiment
        data = experiment.model_dump_json(include={"data", "features"}, serialize_as_any=True)
        if data not in prepared:
            prepared[data] = prepare(experiment)
            _check_splits(run, prepared[data])
        name = run.variant.name
        if plan is None:
            memory_of[name] = _classical_memory(experiment, prepared[data])
            disk = max(disk, score_file_bytes(prepared[data]))
            continue
        try:
            estimate = estimate_resources(plan.completed(prepared[data].encoder), prepared[data])
        except ConfigError:
            memory_of[name] = UNKNOWN  # the run is trained alone and fails with this error
            continue
        memory_of[name] = max(memory_of.get(name, 0), estimate.at_most)
        disk = max(disk, estimate.disk)
    return memory_of, disk


def _classical_memory(experiment: Experiment, prepared: PreparedData) -> int:
    """Return the bytes of memory that fitting and measuring a classical model needs, at most."""
    examples = sum(min(count_rows(prepared.splits[name]), MAX_EXAMPLES) for name in FITTED if name in prepared.splits)
    values = encoded_row(prepared.encoder) // 4
    fit = examples * values * (4 + COPIES * BYTES_OF_VALUE)
    return machine.own_memory().current + fit + memory_while_measured(experiment, prepared)


def _plan(run: PlannedRun) -> ModelPlan:
    """Plan the model of a run on the CPU, because this process does not use GPUs."""
    training = run.experiment.training.model_copy(update={"device": "cpu"})
    experiment = run.experiment.model_copy(update={"training": training})
    try:
        return plan_model(experiment, empty_encoder(experiment))
    except ConfigError as error:
        raise ConfigError(f"variant {run.variant.name}: {error}") from error


def trials_differ_in_size(variant: Variant) -> bool:
    """Return True if trials of a variant can need different amounts of memory."""
    return any(key.startswith(("features.", "model.")) for key in variant.ranges)


def _check_splits(run: PlannedRun, prepared: PreparedData) -> None:
    """Raise ConfigError if there is no data to select the best trial on, or none to compare variants on."""
    if run.trial is not None and "valid" not in prepared.splits:
        raise ConfigError(
            f"tuning: variant {run.variant.name} has no validation data, which selects the best trial. Set "
            f"`data.valid`, or use a validation fraction in `data.split`."
        )
    if not {"valid", "test"} & set(prepared.splits):
        raise ConfigError(
            f"variant {run.variant.name}: no validation or test data to compare on. Set `data.test`, or "
            f"use a test fraction in `data.split`."
        )


def make_budget(runs: Sequence[PlannedRun], processes: int | None, memory: float | None) -> Budget:
    """Return the limits for concurrent runs.

    Args:
        runs: runs to train.
        processes: number of processes; None for as many as the CPUs have room for, or one if runs use a GPU.
        memory: memory in GiB; None for the free memory.
    """
    if processes is None:
        threads = max(run.experiment.training.threads for run in runs)
        on_gpu = _sees_gpu() and any(run.experiment.training.device != "cpu" for run in runs)
        processes = 1 if on_gpu else max(1, available_cpus() // threads)
    free = free_memory() if memory is None else round(memory * 2**30)
    return Budget(processes, UNKNOWN if free is None else free, is_limit=memory is not None)


def check_memory_limit(memory: float | None, memory_of: Mapping[str, int]) -> None:
    """Raise ConfigError if the memory for all runs together is too small for any one of them.

    Args:
        memory: memory in GiB that the user set; None for no limit.
        memory_of: name of a variant -> bytes of memory that one of its runs needs.
    """
    need = min(memory_of.values(), default=0)
    if memory is not None and memory * 2**30 < need < UNKNOWN:
        limit = size(round(memory * 2**30))
        raise ConfigError(
            f"--memory: the smallest run needs up to {size(need)}, but the limit for all runs is {limit}. Raise the "
            f"limit, or leave it out to use the free memory."
        )


def hide_gpus() -> None:
    """Prevent this process from using the memory of GPUs, which the runs need.

    Raises:
        ConfigError: this process already uses a GPU.
    """
    if _sees_gpu():
        try:
            tf.config.set_visible_devices([], "GPU")
        except RuntimeError as error:
            raise ConfigError(
                "compare: this process already uses the GPU, which the runs need. Compare in a new process."
            ) from error


def _sees_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))
