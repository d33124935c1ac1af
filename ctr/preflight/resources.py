"""Estimate of the memory, disk and device that a run needs, before any of it is used."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctr.checks.finding import Finding, refuse_errors
from ctr.config.experiment import Experiment
from ctr.runs import machine
from ctr.runs.machine import OwnMemory
from ctr.schema.levels import Level
from ctr.training.data import PreparedData
from ctr.training.devices import Device
from ctr.training.plan import ModelPlan
from features import SAMPLE_ROWS, Encoder, RowGroup, count_rows

FREED_BUT_KEPT = 1.4  # factor of TensorFlow's allocator: a run of 4.8 GiB was measured to take 6.7
STEP = 100 << 20  # bytes that TensorFlow takes for threads, kernels and the tensors of a step
REPORT = 150 << 20  # bytes of histograms, groups, plots and tables
WHILE_ENCODED = 3  # copies of a slice: as read, as cast, and as distinct values
SLICES_IN_MEMORY = 4  # one that is encoded, two that wait, one that is scored
ROW_OF_METRICS = 150  # bytes of memory, as `report.max_exact_rows` says
ROW_OF_SCORES = 17  # label, weight, logit and score, before they are compressed
PASSTHROUGH_VALUE = 8  # bytes of a value of a pass-through column, about
WINDOWS = 2  # windows of encoded rows in memory: one in use, and the chunks of it or the next


@dataclass(frozen=True)
class ResourceEstimate:
    """Resource estimate of a run, in bytes."""

    plan: ModelPlan
    device: Device
    """Device of all replicas: each has every table and the tower, on the same CPU or on a GPU of its own."""
    rows: int
    """Memory of the rows that wait for training, or of the rows and scores for metrics, whichever is larger."""
    own_memory: OwnMemory
    """Memory of this process before training: Python, TensorFlow, vocabularies, and the peak of fitting features."""
    scores: int
    """Disk space of the score files."""
    checkpoints: int
    """Largest number of checkpoints on disk, while one is written."""
    at_least: bool
    """True if the estimate is a lower bound, because some sizes depend on data that was not read."""

    @property
    def checkpoint(self) -> int:
        """Bytes of a checkpoint: tables, dense tower and optimizer state."""
        return self.plan.bytes

    @property
    def replicas(self) -> int:
        """Number of copies of the model that train together."""
        return self.plan.experiment.training.replicas

    @property
    def model(self) -> int:
        """Bytes of machine memory for the model, unless a GPU holds it, and its copy while a checkpoint is saved."""
        return self.checkpoint * (1 + (self.replicas if self.device.kind == "cpu" else 0))

    @property
    def memory(self) -> int:
        """Bytes of machine memory for the whole process."""
        return max(self.own_memory.peak, self.own_memory.current + self.model + self.rows)

    @property
    def at_most(self) -> int:
        """Bytes of machine memory for the whole process if TensorFlow keeps what it frees."""
        return max(self.own_memory.peak, self.own_memory.current + round(FREED_BUT_KEPT * self.model) + self.rows)

    @property
    def disk(self) -> int:
        """Bytes of the run folder on disk."""
        return self.checkpoint * self.checkpoints + self.scores


def estimate_resources(
    plan: ModelPlan, prepared: PreparedData | None = None, own_memory: OwnMemory | None = None
) -> ResourceEstimate:
    """Return the resource estimate of a run, from its config or also from its data.

    Args:
        plan: the model of the run; with `prepared`, completed with its encoder.
        prepared: its data; with None, tables with a vocabulary count as empty, and there are no rows and scores.
        own_memory: the memory of this process after the data was prepared; None measures it now.

    Raises:
        ConfigError: the requested device is missing or too small for the tables.
    """
    experiment, rows, scores = plan.experiment, 0, 0
    if prepared is not None:
        rows = max(_while_trained(experiment, prepared), memory_while_measured(experiment, prepared))
        scores = score_file_bytes(prepared)
    return ResourceEstimate(
        plan=plan,
        device=plan.device,
        rows=rows,
        own_memory=own_memory or machine.own_memory(),
        scores=scores,
        checkpoints=experiment.training.checkpoint.keep + 2,  # at most, while one is written: see `CheckpointWriter`
        at_least=prepared is None,
    )


def score_file_bytes(prepared: PreparedData) -> int:
    """Return the bytes of the score files of a run, before they are compressed."""
    return _scored_rows(prepared) * (ROW_OF_SCORES + PASSTHROUGH_VALUE * len(prepared.passthrough))


def _scored_rows(prepared: PreparedData) -> int:
    return sum(count_rows(groups) for name, groups in prepared.splits.items() if name != "train")


def _while_trained(experiment: Experiment, prepared: PreparedData) -> int:
    """Return the bytes of rows in memory while training: windows, slices encoded ahead, and the tensors of a step."""
    train, threads = prepared.splits["train"], experiment.training.threads
    rows, at_once = count_rows(train), _at_once(train)
    trained = rows if prepared.negatives is None else prepared.negatives.rows_per_epoch
    window = min(experiment.data.shuffle_rows + at_once, trained)
    ahead = min((threads + 1) * at_once, trained)
    raw = min(threads * at_once, rows) * prepared.row_bytes * WHILE_ENCODED
    return STEP + raw + encoded_row(prepared.encoder) * (WINDOWS * window + ahead)


def memory_while_measured(experiment: Experiment, prepared: PreparedData) -> int:
    """Return the bytes of rows in memory while scoring: slices, the sample of the training data, scores, the report."""
    scored = _scored_rows(prepared)
    encoded = encoded_row(prepared.encoder)
    at_once = max(_at_once(groups) for groups in prepared.splits.values())
    total = sum(map(count_rows, prepared.splits.values()))
    slices = min(SLICES_IN_MEMORY * at_once, total) * (encoded + prepared.row_bytes * WHILE_ENCODED // 2)
    sample = min(SAMPLE_ROWS, total) * (encoded + prepared.row_bytes)
    return STEP + REPORT + slices + sample + ROW_OF_METRICS * min(scored, experiment.report.max_exact_rows)


def _at_once(row_groups: list[RowGroup]) -> int:
    """Return the largest number of rows that are read at a time."""
    return max(8 * len(group.selected) if group.selected is not None else group.rows for group in row_groups)


def encoded_row(encoder: Encoder) -> int:
    """Return the bytes of an example of a batch."""
    return sum(math.prod(shape) * np.dtype(kind).itemsize for shape, kind in encoder.batch_spec.values())


def findings_of(estimate: ResourceEstimate, folder: Path) -> list[Finding]:
    """Return findings on whether memory, disk and device suffice for a run in `folder`."""
    return [*_memory(estimate), *_disk(estimate, folder), *_device(estimate)]


def check_fits(plan: ModelPlan, folder: Path, prepared: PreparedData | None = None) -> list[str]:
    """Check that the machine has enough memory and disk for a run, before anything is allocated; return warnings.

    Args:
        plan: the model of the run; with `prepared`, completed with its encoder.
        folder: the run folder.
        prepared: its data; None checks only what the config determines.

    Raises:
        ConfigError: memory, disk or device do not suffice.
    """
    own_memory = machine.own_memory()
    # an earlier peak needs no memory now
    estimate = estimate_resources(plan, prepared, own_memory._replace(peak=own_memory.current))
    findings = findings_of(estimate, folder)
    refuse_errors(findings)
    return [finding.sentence for finding in findings if finding.level == Level.WARNING]


def size(count: int) -> str:
    """Return a number of bytes with its unit.

    >>> size(3 * 2**30), size(5_000_000), size(10)
    ('3.0 GiB', '4.8 MiB', '0.0 KiB')
    """
    unit, name = next(((2**k, name) for k, name in ((30, "GiB"), (20, "MiB")) if count >= 2**k), (2**10, "KiB"))
    return f"{count / unit:,.1f} {name}"


def _memory(estimate: ResourceEstimate) -> Iterator[Finding]:
    free = machine.free_memory()
    free = None if free is None else free + estimate.own_memory.private
    message = f"memory: the run needs {'at least ' if estimate.at_least else ''}{size(estimate.memory)}"
    if free is None:
        yield Finding(Level.OK, "memory", f"{message}; free memory is unknown on this system")
    elif estimate.memory > free:
        yield Finding(Level.ERROR, "memory", f"{message}, but only {size(free)} is free.\n{_advice(estimate)}")
    elif estimate.at_most > free:
        message += f", and up to {size(estimate.at_most)} because TensorFlow keeps freed memory"
        yield Finding(Level.WARNING, "memory", f"{message}, but only {size(free)} is free.\n{_advice(estimate)}")
    else:
        yield Finding(Level.OK, "memory", f"{message}; {size(free)} is free")


def _advice(estimate: ResourceEstimate) -> str:
    """Return where the memory goes, and how to need less."""
    plan = estimate.plan
    largest = max(plan.tables, key=lambda table: table.weights + table.state, default=None)
    uses = [
        f"embedding tables {size(sum(table.weights for table in plan.tables))}",
        f"their optimizer state {size(sum(table.state for table in plan.tables))}",
        f"dense tower with optimizer state {size(plan.tower_bytes)}",
        f"a copy of these while a checkpoint is saved {size(estimate.checkpoint)}",
        *([f"rows {size(estimate.rows)}"] if estimate.rows else []),
        f"Python, TensorFlow and vocabularies {size(estimate.own_memory.current)}",
        *(
            [f"peak while features are fitted {size(estimate.own_memory.peak)}"]
            if estimate.own_memory.peak == estimate.memory
            else []
        ),
    ]
    if estimate.replicas > 1:
        uses.append(f"{estimate.replicas} replicas")
    use = f"Memory is used by: {', '.join(uses)}."
    if largest is None or plan.tower_bytes > plan.table_bytes:
        block, block_bytes = max(plan.blocks.items(), key=lambda item: item[1])
        return f"{use}\nThe largest block is {block!r} with {size(block_bytes)}. Use narrower layers."
    return (
        f"{use}\nThe largest table is {largest.name!r} with {size(largest.weights + largest.state)}: {largest.rows:,} "
        f"rows of dim {largest.dim}, {largest.optimizer}. Use a smaller `hash`, `identity` or `dim`, a larger "
        f"`min_count`, or an optimizer with less state (rowwise_adagrad)."
    )


def _disk(estimate: ResourceEstimate, folder: Path) -> Iterator[Finding]:
    free = machine.free_disk(folder)
    at_least = "at least " if estimate.at_least else ""
    checkpoints = f"{estimate.checkpoints} checkpoints of {size(estimate.checkpoint)}"
    scores = f", scores {size(estimate.scores)}" if estimate.scores else ""
    message = f"disk: {folder} needs {at_least}{size(estimate.disk)} ({checkpoints}{scores})"
    if estimate.checkpoint + estimate.scores > free:
        message += f", but only {size(free)} is free, too little for one checkpoint and the scores"
        yield Finding(Level.ERROR, "disk", f"{message}. Free some space, or choose another disk with --run.")
    elif estimate.disk > free:
        message += f", but only {size(free)} is free"
        yield Finding(Level.WARNING, "disk", f"{message}. Free some space, or choose another disk with --run.")
    else:
        yield Finding(Level.OK, "disk", f"{message}; {size(free)} is free")


def _device(estimate: ResourceEstimate) -> Iterator[Finding]:
    kind, gpus = estimate.device
    tables = size(estimate.plan.table_bytes)
    if gpus is None:
        yield Finding(Level.OK, "device", "device: CPU, set by `training.device`")
    elif not gpus:
        yield Finding(Level.OK, "device", "device: CPU; TensorFlow finds no GPU")
    elif kind == "gpu":
        yield Finding(
            Level.OK, "device", f"device: GPU with {size(gpus[0])}; embedding tables and optimizer state take {tables}"
        )
    else:
        message = (
            f"device: CPU, because embedding tables and optimizer state ({tables}) exceed the GPU's {size(gpus[0])}"
        )
        yield Finding(Level.WARNING, "device", f"{message}. Use smaller tables to train on the GPU.")
