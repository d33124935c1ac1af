"""The section `training`: batches, validation, checkpoints, devices and precision."""

import math
import os
from typing import Literal

from pydantic import Field

from ctr.config.lengths import EpochsOrSteps, StepsOrMinutes
from features import Count, Settings


def available_cpus() -> int:
    """Return the number of CPUs that this process can use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class EarlyStopping(Settings):
    """The end of training after `patience` validations in a row without improvement."""

    metric: Literal["auc", "log_loss", "auc - log_loss", "auc + gauc"] = "auc"
    """Monitor: the validation metric, or sum of metrics, that must improve. It also selects the best checkpoint. After
    the learning rate falls, AUC can rise while log loss gets worse: `auc - log_loss` weighs both. `auc + gauc` also
    ranks within the groups of `report.group`, which it needs."""
    patience: Count = 3
    """Validations in a row without improvement after which training stops."""

    @property
    def needs_groups(self) -> bool:
        """True if the monitor needs `report.group`."""
        return "gauc" in self.metric


class Plateau(Settings):
    """A lower learning rate after each validation without improvement."""

    factor: float = Field(0.1, gt=0, lt=1)
    """Factor that multiplies every learning rate, at each validation without improvement."""


class Checkpointing(Settings):
    """Interval and number of checkpoints."""

    every: StepsOrMinutes = StepsOrMinutes(minutes=10)
    """Interval between checkpoints, `{steps: N}` or `{minutes: M}`. A checkpoint is also saved at each best validation,
    at the end and on a signal."""
    keep: Count = 2
    """Number of most recent checkpoints that are kept, together with the best checkpoint that each of them
    names."""


class WarmStart(Settings):
    """Initial weights from a finished run."""

    run: str
    """Folder of the finished run to start from, relative to the working directory."""
    optimizer_state: Literal["keep", "reset"] = "keep"
    """Treatment of the optimizer state: `keep` continues with the state of that run, `reset` starts without it."""


class Training(Settings):
    """The training loop."""

    batch_size: Count = 4096
    """Examples per step."""
    last_batch: Literal["keep", "drop"] = "keep"
    """Treatment of the examples at the end of an epoch that do not fill a batch: `keep` trains on them as a smaller
    batch, `drop` leaves them out."""
    epochs: int = Field(10, gt=0, le=10**6)
    """Maximum number of passes over the training data."""
    self_ensemble: bool = False
    """If true, each step passes the batch through the dense tower twice, with different dropout masks. The mean of both
    probabilities learns from the label, and each pass from that mean. The model needs dropout. In metrics.jsonl, `loss`
    is the log loss of the mean, and `loss/self_ensemble` is the sum of each pass's cross-entropy with it. Both passes
    update the moving averages of batch normalization, the first pass before the second. Validation and scores use one
    pass without dropout."""
    validate_every: EpochsOrSteps = EpochsOrSteps(epochs=1)
    """Interval between validations, `{epochs: N}` or `{steps: N}`. The end of training is always validated."""
    early_stopping: EarlyStopping | None = EarlyStopping()
    """Early stopping. `null`: training runs for all epochs, and the validation AUC selects the best checkpoint."""
    reduce_lr_on_plateau: Plateau | None = None
    """Reduction of the learning rates at validations without improvement. `null`: no reduction."""
    checkpoint: Checkpointing = Checkpointing()
    """Checkpoints, from which `ctr train --resume` continues."""
    warm_start: WarmStart | None = None
    """Start from the weights of a finished run; vocabularies grow."""
    threads: int = Field(default_factory=available_cpus, gt=0, le=1024)
    """CPU threads of TensorFlow. Results depend on it, so a resumed run keeps its number."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Device that trains. `auto` uses a GPU if TensorFlow sees one and the tables fit into its memory, otherwise the
    CPU."""
    replicas: int = Field(1, gt=0, le=1024)
    """Number of GPUs of one machine that train together. Each holds a copy of the model and gets a share of every
    batch."""
    precision: Literal["float32", "tf32", "mixed_bfloat16"] = "float32"
    """Number format. With `mixed_bfloat16` the dense tower computes in bfloat16; weights, optimizer state and the logit
    stay float32. With `tf32` a GPU can round the inputs of matrix products to TensorFloat-32."""
    deterministic: bool = True
    """If true, a GPU uses slower kernels that always sum in the same order. On a CPU, the same command always gives the
    same bytes."""

    @property
    def patience(self) -> float:
        """Validations in a row without improvement after which training stops; infinity without early stopping."""
        return math.inf if self.early_stopping is None else self.early_stopping.patience
