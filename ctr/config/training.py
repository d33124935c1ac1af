"""The section `training`: batches, validation, checkpoints, machine and precision."""

import os
from typing import Literal

from pydantic import Field, PositiveFloat, model_validator

from ctr.config.registry_settings import EpochsOrSteps
from features import Count, Settings


def available_cpus() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class EarlyStopping(Settings):
    """Stop at the `patience`-th validation in a row without improvement."""

    metric: Literal["auc", "log_loss"] = "auc"
    """Also chooses the best checkpoint."""
    patience: Count = 3


class Plateau(Settings):
    """Multiply every learning rate at each validation without improvement."""

    factor: float = Field(0.1, gt=0, lt=1)


class StepsOrMinutes(Settings):
    """So many steps of training, or so many minutes."""

    steps: Count | None = None
    minutes: PositiveFloat | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "StepsOrMinutes":
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("needs `steps` or `minutes`, one of them")
        return self


class Checkpointing(Settings):
    """When a checkpoint is saved, beside at the best validation and at the end, and how many are kept."""

    every: StepsOrMinutes = StepsOrMinutes(minutes=10)
    keep: Count = 2
    """The number of last checkpoints that stay; the best that each of them names stays with it."""


class WarmStart(Settings):
    """Begin with what a trained run has learned."""

    run: str
    """Its folder, relative to the working directory."""
    optimizer_state: Literal["keep", "reset"] = "keep"
    """Of the optimizers: it goes on from the run's, or begins anew."""


class Training(Settings):
    """The training loop."""

    batch_size: Count = 4096
    last_batch: Literal["keep", "drop"] = "keep"
    """The rows of an epoch that do not fill a batch: train on them as a smaller batch, or leave them out."""
    epochs: int = Field(10, gt=0, le=10**6)
    validate_every: EpochsOrSteps = EpochsOrSteps(epochs=1)
    early_stopping: EarlyStopping | None = EarlyStopping()
    reduce_lr_on_plateau: Plateau | None = None
    checkpoint: Checkpointing = Checkpointing()
    """What a run goes on from with `--resume`."""
    warm_start: WarmStart | None = None
    """Vocabularies grow, old ids keep their rows."""
    threads: int = Field(default_factory=available_cpus, gt=0, le=1024)
    """CPU threads of TensorFlow; results are a function of it. Default: the CPUs of the machine that began the run."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """`auto` takes a GPU if there is one."""
    replicas: int = Field(1, gt=0, le=1024)
    """GPUs of one machine that train together, each with a copy of everything, on its share of every batch."""
    precision: Literal["float32", "tf32", "mixed_bfloat16"] = "float32"
    """What towers compute in; tables, all weights and their state, and the logit stay float32."""
    deterministic: bool = True
    """The same command gives the same bytes. A CPU always does; a GPU then uses slower kernels."""
