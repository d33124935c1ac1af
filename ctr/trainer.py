"""The training loop: one compiled step, validation, early stopping, the best checkpoint."""

import hashlib
import math
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
import tf_keras

from ctr.checkpoint import load_best, save_best
from ctr.evaluation.scoring import Diverged, Scorer
from ctr.evaluation.sets import metrics_of
from ctr.experiment import EarlyStopping, Experiment
from ctr.progress import Progress
from ctr.run import Run
from features import Batch, Encoder, Reader, RowGroup, batch_signature, read_ahead
from models import CTRModel

Placed: TypeAlias = tuple[Batch, dict[str, tf.Tensor]]
"""A batch, and its tensors on a device."""
REFRESH_SECONDS = 0.5  # of the progress bar; reading the loss waits for the device


@dataclass
class Position:
    """Where training is, and how validation has gone."""

    epoch: int = 0  # that have ended
    step: int = 0
    rows: int = 0
    best: float | None = None
    misses: int = 0  # validations in a row without improvement


@dataclass
class Trainer:
    """Trains a compiled model on a reader's batches, validating on `valid`, writing to `run`.

    Args:
        experiment: for its training settings.
        model: compiled with a `Router`.
        reader: of the training data.
        valid: validation data; empty for none, then the last weights are the best.
        run: gets metrics.jsonl, timing.jsonl and checkpoints.
        progress: where progress is shown.
        callbacks: tf_keras callbacks; `logs` holds `loss`, and `val_auc` and `val_loss` where there was a validation.
    """

    experiment: Experiment
    model: CTRModel
    reader: Reader
    valid: list[RowGroup]
    run: Run
    progress: Progress
    callbacks: Sequence[tf_keras.callbacks.Callback] = ()
    position: Position = field(default_factory=Position)

    def __post_init__(self) -> None:
        settings = self.experiment.training
        self.every = settings.validate_every
        self.stopping = settings.early_stopping or EarlyStopping(patience=1 << 62)
        self.step = compiled_step(self.model, self.reader.encoder)
        self.scorer = Scorer(
            self.model, self.reader.encoder, settings.batch_size, self.experiment.data.negative_sampling_rate
        )
        self.order = hashlib.sha256()  # of the labels of the first epoch, in the order of training
        self.model.stop_training = False
        self.followers = tf_keras.callbacks.CallbackList(list(self.callbacks), model=self.model)
        self.logs: dict[str, float] = {}
        self._validated_at = -1

    def train(self) -> None:
        """Train to the last epoch or the early stop, then restore the best weights.

        Raises:
            Diverged: the loss is no longer finite.
        """
        self.followers.on_train_begin()
        for epoch in range(self.experiment.training.epochs):
            self.followers.on_epoch_begin(epoch)
            self._train_epoch(epoch)
            self.followers.on_epoch_end(epoch, self.logs)
            if self._must_stop:
                break
        self.followers.on_train_end(self.logs)
        load_best(self.run.folder / "checkpoints", self.model)

    def summary(self) -> dict[str, Any]:
        """How far training went."""
        asked = self.experiment.training.epochs * self.reader.batches_per_epoch
        return {
            "epochs": self.position.epoch,
            "steps": self.position.step,
            "rows": self.position.rows,
            "stopped_early": self.position.step < asked,
        }

    def _train_epoch(self, epoch: int) -> None:
        self.model.reset_metrics()
        self.progress.start_epoch(epoch + 1, self.reader.batches_per_epoch, self.position.step)
        started = refreshed = time.perf_counter()
        rows_before = self.position.rows
        batches = copied_ahead(self.reader.epoch(epoch), self.model)
        try:
            for batch, tensors in batches:
                self.followers.on_train_batch_begin(self.position.step)
                self.step(tensors)
                self._count(batch, epoch)
                self.followers.on_train_batch_end(self.position.step - 1)
                if time.perf_counter() - refreshed > REFRESH_SECONDS:
                    refreshed = time.perf_counter()
                    rate = (self.position.rows - rows_before) / (refreshed - started)
                    self.progress.update(self.position.step, self._mean_loss(), rate)
                if self.every.steps and self.position.step % self.every.steps == 0:
                    self._validate()
                    if self._must_stop:
                        break
        finally:
            batches.close()
        seconds = time.perf_counter() - started
        self.position.epoch += 1
        self.logs["loss"] = self._mean_loss()
        self._write("train", self.position.rows - rows_before, self.logs, seconds)
        is_last = self.position.epoch == self.experiment.training.epochs or self._must_stop
        if is_last or (self.every.epochs and self.position.epoch % self.every.epochs == 0):
            self._validate()

    def _count(self, batch: Batch, epoch: int) -> None:
        self.position.step += 1
        self.position.rows += len(batch["label"])
        if epoch == 0:
            self.order.update(batch["label"].astype(np.int8).tobytes())

    def _mean_loss(self) -> float:
        loss = float(self.model.mean_loss.result())
        if not math.isfinite(loss):
            raise Diverged(
                f"the loss is {loss} at step {self.position.step}: lower the learning rate, or set clip_norm"
            )
        return loss

    def _validate(self) -> None:
        """Measure, and act on it: a better model becomes the checkpoint, a worse one counts towards the stop."""
        if self._validated_at == self.position.step:
            return
        self._validated_at = self.position.step
        if not self.valid:
            self._keep_as_best(None)
            return
        started = time.perf_counter()
        data = self.experiment.data
        found = metrics_of(self.scorer.score(self.valid), data.weight is not None, data.negative_sampling_rate).result()
        seconds = time.perf_counter() - started
        measured = {"loss": found["log_loss"], "auc": found["auc"]}
        self.logs |= {f"val_{name}": value for name, value in measured.items() if value is not None}
        self._write("valid", found["rows"], measured, seconds)
        metric = self.stopping.metric
        value = found[metric] if metric == "auc" else -found[metric]
        is_better = self.position.best is None or value > self.position.best
        self.progress.validated(self.position.epoch, self.position.step, self.logs, is_better)
        if is_better:
            self.position.misses = 0
            self._keep_as_best(value)
        else:
            self.position.misses += 1
            if self.experiment.training.plateau is not None:
                self.model.optimizer.scale_learning_rates(self.experiment.training.plateau.factor)

    def _keep_as_best(self, value: float | None) -> None:
        self.position.best = value
        described = {
            "epoch": self.position.epoch,
            "step": self.position.step,
            self.stopping.metric: value and abs(value),
        }
        save_best(self.run.folder / "checkpoints", self.model, described)

    @property
    def _must_stop(self) -> bool:
        """By patience, or because a callback says so."""
        return self.position.misses >= self.stopping.patience or bool(self.model.stop_training)

    def _write(self, kind: str, rows: int, measured: dict[str, Any], seconds: float) -> None:
        place = {"kind": kind, "epoch": self.position.epoch, "step": self.position.step, "rows": rows}
        self.run.append("metrics.jsonl", {**place, **measured, "learning_rate": self.model.optimizer.learning_rates})
        self.run.append(
            "timing.jsonl", {**place, "seconds": round(seconds, 4), "rows_per_second": round(rows / seconds)}
        )


def copied_ahead(batches: Generator[Batch, None, None], model: CTRModel) -> Generator[Placed, None, None]:
    """Each batch, and its tensors on the model's device, copied by a thread before the step that uses them."""
    device = model.distribute_strategy.extended.worker_devices[0]

    def copied() -> Iterator[Placed]:
        with closing(batches):
            for batch in batches:
                with tf.device(device):
                    tensors = {key: tf.identity(array) for key, array in batch.items()}
                yield batch, tensors

    return read_ahead(copied(), depth=2)


def compiled_step(model: CTRModel, encoder: Encoder) -> Any:
    """One training step on a batch as a graph that is traced once, whatever the batch size; replicas share its rows."""
    strategy = model.distribute_strategy
    replicas = strategy.num_replicas_in_sync

    def train_on_share(batch: dict[str, tf.Tensor]) -> None:
        if replicas > 1:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            batch = {key: array[replica::replicas] for key, array in batch.items()}
        model.train_step(batch)

    def step(batch: dict[str, tf.Tensor]) -> None:
        strategy.run(train_on_share, args=(batch,))

    return tf.function(step, input_signature=[batch_signature(encoder)], autograph=False)
