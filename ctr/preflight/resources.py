"""What a run needs of the machine, told before any of it is taken: memory, disk, a device."""

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

FREED_BUT_KEPT = 1.4  # by TensorFlow's allocator: a run of 4.8 GiB was seen to take 6.7
STEP = 100 << 20  # bytes that TensorFlow takes for its threads, kernels and what a step computes
REPORT = 150 << 20  # bytes of histograms, groups, plots and tables
WHILE_ENCODED = 3  # times the bytes of a slice: as it is read, cast, and in distinct values
SCORED_AT_ONCE = 4  # slices: one that is encoded, two that wait, one that is scored
ROW_OF_METRICS = 150  # bytes of memory, as `report.max_exact_rows` says
ROW_OF_SCORES = 17  # label, weight, logit and score, before they are compressed
KEPT_VALUE = 8  # bytes of a kept column's value, about
WINDOWS = 2  # of encoded rows in memory: one in use, and its parts or those of the next


@dataclass(frozen=True)
class ResourceEstimate:
    """Bytes that a run needs; `at_least` where sizes are not known before the data is read."""

    plan: ModelPlan
    device: Device
    """Where each replica has all tables and the tower: all on the same CPU, or each on a GPU of its own."""
    rows: int
    """Rows that wait to be trained on, or the rows and scores that metrics are computed of, whichever is more."""
    own: OwnMemory
    """Memory of this process before training: Python, TensorFlow, vocabularies, and the peak of fitting features."""
    scores: int
    """On disk."""
    checkpoints: int
    """That lie on disk at once, while one is written."""
    at_least: bool

    @property
    def checkpoint(self) -> int:
        """A checkpoint: tables, towers and all state."""
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
        return max(self.own.peak, self.own.now + self.model + self.rows)

    @property
    def at_most(self) -> int:
        """Bytes of machine memory for the whole process if TensorFlow keeps what it frees."""
        return max(self.own.peak, self.own.now + round(FREED_BUT_KEPT * self.model) + self.rows)

    @property
    def disk(self) -> int:
        """Of the run folder."""
        return self.checkpoint * self.checkpoints + self.scores


def estimate_resources(
    plan: ModelPlan, prepared: PreparedData | None = None, own: OwnMemory | None = None
) -> ResourceEstimate:
    """What a run needs, from the config alone, or from its data too.

    Args:
        plan: the model of the run; with `prepared`, completed with its encoder.
        prepared: its data; None: tables with a vocabulary count as empty, and rows and scores as none.
        own: the memory of this process once data was prepared; None: as it is now.

    Raises:
        ConfigError: the device that the config asks for is not there, or does not hold the tables.
    """
    experiment, rows, scores = plan.experiment, 0, 0
    if prepared is not None:
        scored = sum(count_rows(groups) for name, groups in prepared.sets.items() if name != "train")
        rows = max(_while_trained(experiment, prepared), _while_measured(experiment, prepared, scored))
        scores = scored * (ROW_OF_SCORES + KEPT_VALUE * len(prepared.kept))
    return ResourceEstimate(
        plan=plan,
        device=plan.device,
        rows=rows,
        own=own or machine.own_memory(),
        scores=scores,
        checkpoints=experiment.training.checkpoint.keep + 2,  # at most, while one is written: see `CheckpointWriter`
        at_least=prepared is None,
    )


def _while_trained(experiment: Experiment, prepared: PreparedData) -> int:
    """Bytes of rows in memory: windows, slices that are encoded ahead of them, and what a step computes."""
    train, threads = prepared.sets["train"], experiment.training.threads
    rows, at_once = count_rows(train), _at_once(train)
    window = min(experiment.data.shuffle_rows + at_once, rows)
    ahead = min((threads + 1) * at_once, rows)
    raw = min(threads * at_once, rows) * prepared.row_bytes * WHILE_ENCODED
    return STEP + raw + _encoded_row(prepared.encoder) * (WINDOWS * window + ahead)


def _while_measured(experiment: Experiment, prepared: PreparedData, scored: int) -> int:
    """Bytes of rows in memory: slices that are scored, the sample of the training data, scores, the report."""
    encoded = _encoded_row(prepared.encoder)
    at_once = max(_at_once(groups) for groups in prepared.sets.values())
    total = sum(map(count_rows, prepared.sets.values()))
    slices = min(SCORED_AT_ONCE * at_once, total) * (encoded + prepared.row_bytes * WHILE_ENCODED // 2)
    sample = min(SAMPLE_ROWS, total) * (encoded + prepared.row_bytes)
    return STEP + REPORT + slices + sample + ROW_OF_METRICS * min(scored, experiment.report.max_exact_rows)


def _at_once(row_groups: list[RowGroup]) -> int:
    """The most rows that are read at once."""
    return max(8 * len(group.selected) if group.selected is not None else group.rows for group in row_groups)


def _encoded_row(encoder: Encoder) -> int:
    """Bytes of a row of a batch."""
    return sum(math.prod(shape) * np.dtype(kind).itemsize for shape, kind in encoder.batch_spec.values())


def findings_of(needs: ResourceEstimate, folder: Path) -> list[Finding]:
    """Whether the machine has what a run in `folder` needs."""
    return [*_memory(needs), *_disk(needs, folder), *_device(needs)]


def check_fits(plan: ModelPlan, folder: Path, prepared: PreparedData | None = None) -> list[str]:
    """Find out before anything is allocated or written whether the machine has what a run needs; returns warnings.

    Args:
        plan: the model of the run; with `prepared`, completed with its encoder.
        folder: of the run.
        prepared: its data; None: as far as the config alone says.

    Raises:
        ConfigError: it has not.
    """
    own = machine.own_memory()
    needs = estimate_resources(plan, prepared, own._replace(peak=own.now))  # what is over needs no memory now
    findings = findings_of(needs, folder)
    refuse_errors(findings)
    return [finding.sentence for finding in findings if finding.level == Level.WARNING]


def size(count: int) -> str:
    """Bytes in words.

    >>> size(3 * 2**30), size(5_000_000), size(10)
    ('3.0 GiB', '4.8 MiB', '0.0 KiB')
    """
    unit, name = next(((2**k, name) for k, name in ((30, "GiB"), (20, "MiB")) if count >= 2**k), (2**10, "KiB"))
    return f"{count / unit:,.1f} {name}"


def _memory(needs: ResourceEstimate) -> Iterator[Finding]:
    free = machine.free_memory()
    free = None if free is None else free + needs.own.private
    told = f"memory: the run needs {'at least ' if needs.at_least else ''}{size(needs.memory)}"
    if free is None:
        yield Finding(Level.OK, "memory", f"{told}; this system does not say how much is free")
    elif needs.memory > free:
        yield Finding(Level.ERROR, "memory", f"{told}, but {size(free)} is free; {_parts(needs)}")
    elif needs.at_most > free:
        told += f", and up to {size(needs.at_most)} because TensorFlow keeps what it frees"
        yield Finding(Level.WARNING, "memory", f"{told}; {size(free)} is free; {_parts(needs)}")
    else:
        yield Finding(Level.OK, "memory", f"{told}; {size(free)} is free")


def _parts(needs: ResourceEstimate) -> str:
    """What the memory is for, and what would take less."""
    plan = needs.plan
    largest = max(plan.tables, key=lambda table: table.weights + table.state, default=None)
    parts = [
        f"tables {size(sum(table.weights for table in plan.tables))}",
        f"their optimizers' state {size(sum(table.state for table in plan.tables))}",
        f"towers {size(plan.tower_bytes)}",
        f"a copy of these while a checkpoint is saved {size(needs.checkpoint)}",
        *([f"rows {size(needs.rows)}"] if needs.rows else []),
        f"Python, TensorFlow and vocabularies {size(needs.own.now)}",
        *([f"while features are fitted {size(needs.own.peak)}"] if needs.own.peak == needs.memory else []),
    ]
    if needs.replicas > 1:
        parts.append(f"{needs.replicas} replicas")
    if largest is None or plan.tower_bytes > plan.table_bytes:
        block, of_block = max(plan.blocks.items(), key=lambda item: item[1])
        return f"{', '.join(parts)}. The largest block is {block!r}, {size(of_block)}: narrower layers take less"
    return (
        f"{', '.join(parts)}. The largest table is {largest.name!r}, {size(largest.weights + largest.state)}: "
        f"{largest.rows:,} rows of {largest.dim} with {largest.optimizer}; a smaller `hash`, `identity` or `dim`, a "
        f"larger `min_count`, or an optimizer with less state (rowwise_adagrad) takes less"
    )


def _disk(needs: ResourceEstimate, folder: Path) -> Iterator[Finding]:
    free = machine.free_disk(folder)
    least = "at least " if needs.at_least else ""
    told = (
        f"disk: {folder} needs {least}{size(needs.disk)} ({needs.checkpoints} checkpoints of {size(needs.checkpoint)}"
    )
    told += f", scores {size(needs.scores)})" if needs.scores else ")"
    if needs.checkpoint + needs.scores > free:
        yield Finding(
            Level.ERROR, "disk", f"{told}, but {size(free)} is free: not enough for one checkpoint and the scores"
        )
    elif needs.disk > free:
        yield Finding(Level.WARNING, "disk", f"{told}, but {size(free)} is free")
    else:
        yield Finding(Level.OK, "disk", f"{told}; {size(free)} is free")


def _device(needs: ResourceEstimate) -> Iterator[Finding]:
    kind, gpus = needs.device
    tables = size(needs.plan.table_bytes)
    if gpus is None:
        yield Finding(Level.OK, "device", "device: the CPU, as `training.device` says")
    elif not gpus:
        yield Finding(Level.OK, "device", "device: the CPU; TensorFlow sees no GPU")
    elif kind == "gpu":
        yield Finding(Level.OK, "device", f"device: a GPU with {size(gpus[0])}; tables and their state take {tables}")
    else:
        told = f"device: the CPU, because tables and their state, {tables}, do not fit the GPU with {size(gpus[0])}"
        yield Finding(Level.WARNING, "device", told)
