"""The training loop: one compiled step, validation, early stopping, checkpoints.

An epoch is a row of steps, and each step is followed by the same events whether the run goes on undisturbed or begins
with a checkpoint of it:

    the step        weights, optimizer state and mean loss move, the batch is counted
                    here a signal saves and ends the run, also while the validation that follows is still measuring
    validation      if the step is one of `validate_every`: a line, the best or a miss, perhaps lower rates
                    here a checkpoint is saved, if the best was found or time is up, and the epoch goes on
    the epoch ends  after its last step or the early stop: a line, validation if the epoch is one of `validate_every`
                    here a checkpoint is saved, if the best was found, time is up, or this was the last epoch

So no checkpoint holds half of an event, and what follows a checkpoint is a function of it: of its variables and its
`Position`.
"""

import hashlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tf_keras

from ctr.config.experiment import Experiment
from ctr.config.training import EarlyStopping
from ctr.errors import Interrupted
from ctr.evaluation.scoring import Scored, Scorer
from ctr.evaluation.split_metrics import metrics_of
from ctr.evaluation.tower_losses import MeanLosses
from ctr.runs.run import Run
from ctr.runs.run_data import HASHES
from ctr.schema.report import Training
from ctr.training.checkpoint import CheckpointWriter, Position, load_best
from ctr.training.checkpoint_policy import CheckpointPolicy, Stopwatch
from ctr.training.divergence import LossWatch, explain_divergence
from ctr.training.progress import Progress
from ctr.training.step import compiled_step
from features import Batch, Reader, RowGroup, read_ahead
from models import CTRModel

Placed: TypeAlias = tuple[Batch, dict[str, tf.Tensor]]
"""A batch, and its tensors on a device."""


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
        position: where to begin; the model's variables are those of its checkpoint.
        stop_requested: asked after every step.
        contents: returns the hashes of what was read so far, for the checkpoints.
    """

    experiment: Experiment
    model: CTRModel
    reader: Reader
    valid: list[RowGroup]
    run: Run
    progress: Progress
    callbacks: Sequence[tf_keras.callbacks.Callback] = ()
    position: Position = field(default_factory=Position)
    stop_requested: Callable[[], bool] = lambda: False
    contents: Callable[[], pa.Table] = HASHES.empty_table

    def __post_init__(self) -> None:
        settings = self.experiment.training
        self.every = settings.validate_every
        self.stopping = settings.early_stopping or EarlyStopping(patience=10**12)
        self.step = compiled_step(self.model, self.reader.encoder)
        self.losses = LossWatch(self.progress.warn)
        self.scorer = Scorer(
            self.model, self.reader.encoder, settings.batch_size, self.experiment.data.negative_sampling_rate
        )
        self.clock = Stopwatch(self.position.seconds)
        writer = CheckpointWriter(self.run.folder / "checkpoints", settings.checkpoint.keep, self.contents)
        saved_step = self.position.step or None
        self.checkpoints = CheckpointPolicy(self.model, writer, settings.checkpoint.every, self.clock, saved_step)
        self.model.stop_training = False
        self.callback_list = tf_keras.callbacks.CallbackList(list(self.callbacks), model=self.model)
        self._stepped = self.position  # as it was after the last step, before what follows a step

    def train(self) -> None:
        """Train to the last epoch or the early stop, then restore the best weights.

        Raises:
            Diverged: loss or gradients are no longer finite; the step is saved for `ctr replay`.
            Interrupted: it was asked to end; a checkpoint is saved.
            OSError: a checkpoint could not be written.
        """
        try:
            self.callback_list.on_train_begin()
            while self.position.batch or not self._is_over:
                epoch = self.position.epoch
                self.callback_list.on_epoch_begin(epoch)
                self._train_epoch(epoch)
                self.callback_list.on_epoch_end(epoch, self.position.logs)
            self._validate()  # a resumed run may have been asked for fewer epochs
            self._save_if_due()
            self.callback_list.on_train_end(self.position.logs)
            self.position.seconds = self.clock.seconds
            self.checkpoints.wait()
        finally:
            self.checkpoints.close()
        load_best(self.run, self.model)

    def summary(self) -> Training:
        """How far training went."""
        asked = self.experiment.training.epochs * self.reader.batches_per_epoch
        return {
            "epochs": self.position.epoch,
            "steps": self.position.step,
            "rows": self.position.rows,
            "stopped_early": self.position.step < asked,
        }

    def _train_epoch(self, epoch: int) -> None:
        position = self.position
        if position.batch == 0:
            self.model.reset_metrics()
            position.rows_before, position.seconds_before = position.rows, self.clock.seconds
        self.progress.start_epoch(epoch + 1, self.reader.batches_per_epoch, position.batch, position.rows)
        with closing(prefetch_to_device(self.reader.epoch(epoch, position.batch), self.model)) as batches:
            self._follow_step()
            while not self._must_stop and (placed := next(batches, None)) is not None:
                self._train_batch(*placed)
                self._follow_step()
        self._end_epoch()

    def _train_batch(self, batch: Batch, tensors: dict[str, tf.Tensor]) -> None:
        self.callback_list.on_train_batch_begin(self.position.step)
        outcome = self.step(tensors)
        if not outcome.is_finite:
            raise explain_divergence(self.model, self.reader.encoder, outcome.loss, batch, tensors, self.run)
        self.losses.see(self.position.step + 1, outcome.loss)
        self._count(batch)
        self.callback_list.on_train_batch_end(self.position.step - 1)
        self.progress.update(self.position.batch, self.position.rows, self._mean_loss)

    def _count(self, batch: Batch) -> None:
        position = self.position
        position.step += 1
        position.batch += 1
        position.rows += len(batch["label"])
        if position.epoch == 0:
            labels = batch["label"].astype(np.int8).tobytes()
            position.data_order = hashlib.sha256(bytes.fromhex(position.data_order) + labels).hexdigest()

    def _follow_step(self) -> None:
        """What comes after a step and before the next; a run that begins with a checkpoint does what it left undone."""
        self._stepped = replace(self.position)
        self._end_if_asked()
        if self.every.steps and self.position.step and self.position.step % self.every.steps == 0:
            self._validate()
        if self.position.batch < self.reader.batches_per_epoch and not self._must_stop:
            self._save_if_due()

    def _end_epoch(self) -> None:
        position = self.position
        position.epoch, position.batch = position.epoch + 1, 0
        position.logs = {**position.logs, **self._mean_losses()}
        seconds = self.clock.seconds - position.seconds_before
        self._write("train", position.rows - position.rows_before, position.logs, seconds)
        if self._is_over or (self.every.epochs and position.epoch % self.every.epochs == 0):
            self._validate()
        self._save_if_due()

    def _mean_loss(self) -> float:
        return float(self.model.mean_loss.result())

    def _mean_losses(self) -> dict[str, float]:
        """`loss`, and `loss/<name>` of each other term, over the epoch so far."""
        return {mean.name: float(mean.result()) for mean in self.model.metrics}

    def _validate(self) -> None:
        """Measure, and act on it: a better model becomes the best, a worse one counts towards the stop."""
        position = self.position
        if position.validated_at == position.step:
            return
        if not self.valid:
            position.validated_at = position.step
            self._take_as_best(None)
            return
        value = self._measure()[self.stopping.metric]
        best = position.best and position.best[self.stopping.metric]
        is_better = best is None or (value > best if self.stopping.metric == "auc" else value < best)
        self.progress.validated(position.epoch, position.step, position.logs, is_better)
        if is_better:
            position.misses = 0
            self._take_as_best(value)
        else:
            position.misses += 1
            if self.experiment.training.reduce_lr_on_plateau is not None:
                self.model.optimizer.scale_learning_rates(self.experiment.training.reduce_lr_on_plateau.factor)

    def _measure(self) -> dict[str, Any]:
        """Score the validation data and write its line; returns its metrics."""
        position, data, started = self.position, self.experiment.data, time.perf_counter()
        weighting = data.weight is not None, data.negative_sampling_rate
        losses = MeanLosses(*weighting)
        parts = losses.counted(self._until_asked(self.scorer.score(self.valid)))
        found = metrics_of(parts, *weighting).result()
        seconds = time.perf_counter() - started
        position.validated_at = position.step
        measured = {"loss": found["log_loss"], **losses.result(), "auc": found["auc"]}
        named = {f"val_{name}": value for name, value in measured.items() if value is not None}
        position.logs = {**position.logs, **named}
        self._write("valid", found["rows"], measured, seconds)
        return found

    def _take_as_best(self, value: float | None) -> None:
        position = self.position
        place = {"checkpoint": position.name, "epoch": position.epoch, "step": position.step}
        position.best = {**place, self.stopping.metric: value}
        self.checkpoints.found_best = True

    def _save_if_due(self) -> None:
        self.checkpoints.save_if_due(self.position, is_last=self._is_over and not self.position.batch)

    def _until_asked(self, parts: Iterable[Scored]) -> Iterator[Scored]:
        for part in parts:
            self._end_if_asked()
            yield part

    def _end_if_asked(self) -> None:
        """Save what the last step left, and end, if that is asked; what followed the step is done again on resume."""
        if self.stop_requested():
            self.checkpoints.save(self._stepped)
            self.checkpoints.wait()
            step = self._stepped.step
            raise Interrupted(f"{self.run.folder}: saved at step {step}; go on with `ctr train CONFIG --resume`")

    @property
    def _must_stop(self) -> bool:
        """By patience, or because a callback says so."""
        return self.position.misses >= self.stopping.patience or bool(self.model.stop_training)

    @property
    def _is_over(self) -> bool:
        return self._must_stop or self.position.epoch >= self.experiment.training.epochs

    def _write(self, kind: str, rows: int, measured: dict[str, Any], seconds: float) -> None:
        position = self.position
        place = {"kind": kind, "epoch": position.epoch, "step": position.step, "rows": rows}
        line = {**place, **measured, "learning_rate": self.model.optimizer.learning_rates}
        timing = {**place, "seconds": round(seconds, 4), "rows_per_second": round(rows / seconds)}
        written = {"metrics.jsonl": line, "timing.jsonl": timing}
        position.sizes = {file: self.run.append(file, one) for file, one in written.items()}


def prefetch_to_device(batches: Generator[Batch, None, None], model: CTRModel) -> Generator[Placed, None, None]:
    """Each batch, and its tensors on the model's device, copied by a thread before the step that uses them."""
    device = model.distribute_strategy.extended.worker_devices[0]

    def copied() -> Iterator[Placed]:
        with closing(batches):
            for batch in batches:
                with tf.device(device):
                    tensors = {key: tf.identity(array) for key, array in batch.items()}
                yield batch, tensors

    return read_ahead(copied(), depth=2)
