"""The training loop: one compiled step, validation, early stopping, checkpoints.

An epoch is a sequence of steps. The same events follow each step, whether a run is undisturbed or resumed:

    step            Update weights, optimizer state and mean loss, and count the batch.
                    A signal saves and stops the run here, also while the following validation is still running.
    validation      If `validate_every` is due at this step: write a line, record a new best or a miss, lower rates.
                    A checkpoint is saved here if there is a new best or one is due, unless the epoch ends.
    end of epoch    After the last step or early stopping: write a line, and validate if `validate_every` is due.
                    A checkpoint is saved here if there is a new best, one is due, or this was the last epoch.

No checkpoint is saved in the middle of an event. So everything after a checkpoint depends only on its variables and its
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
from ctr.evaluation.split_metrics import gauc_of, metrics_of
from ctr.evaluation.tower_losses import MeanLosses
from ctr.metrics import MONITORS
from ctr.runs.run import Run
from ctr.runs.run_data import HASHES
from ctr.schema.report import Training
from ctr.training.checkpoint import CheckpointWriter, Position, load_best
from ctr.training.checkpoint_policy import CheckpointPolicy, Stopwatch
from ctr.training.divergence import LossWatch, explain_divergence
from ctr.training.progress import Progress
from ctr.training.step import compiled_step
from features import Batch, DataError, Reader, RowGroup, read_ahead
from models import CTRModel

Placed: TypeAlias = tuple[Batch, dict[str, tf.Tensor]]
"""A batch and its tensors on a device."""


@dataclass
class Trainer:
    """Trains a compiled model on the batches of a reader, validates it, and writes checkpoints and metrics to a run.

    Args:
        experiment: experiment with the training settings.
        model: model compiled with a `Router`.
        reader: reader of the training data.
        valid: validation data; if it is empty, the last weights are the best.
        run: run that receives metrics.jsonl, timing.jsonl and checkpoints.
        progress: output for progress.
        callbacks: tf_keras callbacks. Their `logs` have `loss`, and after a validation `val_auc` and `val_loss`.
        position: position to start from; the model's variables must be those of its checkpoint.
        stop_requested: function that is called after every step and returns True to save and stop.
        contents: function that returns the hashes of the data that was read so far, for the checkpoints.
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
        self.stopping = settings.early_stopping or EarlyStopping()
        self.monitor = MONITORS[self.stopping.metric]
        self.step = compiled_step(self.model, self.reader.encoder)
        self.losses = LossWatch(self.progress.warn)
        self.scorer = Scorer(
            self.model, self.reader.encoder, settings.batch_size, self.experiment.data.trained_negatives
        )
        self.clock = Stopwatch(self.position.seconds)
        writer = CheckpointWriter(self.run.folder / "checkpoints", settings.checkpoint.keep, self.contents)
        saved_step = self.position.step or None
        self.checkpoints = CheckpointPolicy(self.model, writer, settings.checkpoint.every, self.clock, saved_step)
        self.model.stop_training = False
        self.callback_list = tf_keras.callbacks.CallbackList(list(self.callbacks), model=self.model)
        self._stepped = self.position  # position after the last step, before the events that follow it

    def train(self) -> None:
        """Train until the last epoch or early stopping, then restore the best weights.

        Raises:
            Diverged: loss or gradients are no longer finite; the step is saved for `ctr replay`.
            Interrupted: a stop was requested; a checkpoint is saved.
            OSError: a checkpoint could not be written.
        """
        try:
            self.callback_list.on_train_begin()
            while self.position.batch or not self._is_over:
                epoch = self.position.epoch
                self.callback_list.on_epoch_begin(epoch)
                self._train_epoch(epoch)
                self.callback_list.on_epoch_end(epoch, self.position.logs)
            self._validate()  # a resumed run can have fewer epochs than before
            self._save_if_due()
            self.callback_list.on_train_end(self.position.logs)
            self.position.seconds = self.clock.seconds
            self.checkpoints.wait()
        finally:
            self.checkpoints.close()
        load_best(self.run, self.model)

    def summary(self) -> Training:
        """Return epochs, steps and examples of the training so far."""
        planned = self.experiment.training.epochs * self.reader.batches_per_epoch
        summary: Training = {
            "epochs": self.position.epoch,
            "steps": self.position.step,
            "rows": self.position.rows,
            "stopped_early": self.position.step < planned,
        }
        if (negatives := self.reader.negatives) is not None:
            summary["negatives"] = {"kept": negatives.kept, "all": negatives.all_negatives}
        return summary

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
        """Run the events between two steps; a resumed run starts with those that its checkpoint left undone."""
        self._stepped = replace(self.position)
        self._stop_if_requested()
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
        if not self.valid or position.validated_at != position.step:
            self.progress.epoch_ended(position.epoch, position.step, self._mean_losses())
        self._save_if_due()

    def _mean_loss(self) -> float:
        return float(self.model.mean_loss.result())

    def _mean_losses(self) -> dict[str, float]:
        """Return `loss`, and `loss/<name>` of each additional loss, averaged over the epoch so far."""
        return {mean.name: float(mean.result()) for mean in self.model.metrics}

    def _validate(self) -> None:
        """Validate: a better model becomes the best, any other counts towards early stopping."""
        position = self.position
        if position.validated_at == position.step:
            return
        if not self.valid:
            position.validated_at = position.step
            self._take_as_best(None)
            return
        value = self.monitor.value(self._measure())
        if value is None:
            raise DataError(
                f"valid: the monitor `{self.monitor.key}` is undefined. Use data where it is defined, or another "
                f"training.early_stopping.metric."
            )
        best = None if position.best is None else position.best[self.monitor.key]
        is_better = best is None or self.monitor.sign * value > self.monitor.sign * best
        self.progress.validated(position.epoch, position.step, position.logs, is_better)
        if is_better:
            position.misses = 0
            self._take_as_best(value)
        else:
            position.misses += 1
            if self.experiment.training.reduce_lr_on_plateau is not None:
                self.model.optimizer.scale_learning_rates(self.experiment.training.reduce_lr_on_plateau.factor)

    def _measure(self) -> dict[str, Any]:
        """Score the validation data, write a line of metrics, and return the metrics."""
        position, data, started = self.position, self.experiment.data, time.perf_counter()
        weighting = data.weight is not None, data.negative_sampling_rate
        losses = MeanLosses(*weighting)
        group = self.experiment.report.group if self.stopping.needs_groups else None
        scored = self.scorer.score(self.valid, [] if group is None else [group])
        state = metrics_of(losses.counted(self._until_stopped(scored)), *weighting, group)
        metrics = state.result()
        seconds = time.perf_counter() - started
        position.validated_at = position.step
        line = {"loss": metrics["log_loss"], **losses.result(), "auc": metrics["auc"]}
        if group is not None:
            line["gauc"] = metrics["gauc"] = gauc_of(state)
        logs = {f"val_{name}": value for name, value in line.items() if value is not None}
        position.logs = {**position.logs, **logs}
        self._write("valid", metrics["rows"], line, seconds)
        return metrics

    def _take_as_best(self, value: float | None) -> None:
        position = self.position
        checkpoint = {"checkpoint": position.name, "epoch": position.epoch, "step": position.step}
        position.best = {**checkpoint, self.monitor.key: value}
        self.checkpoints.found_best = True

    def _save_if_due(self) -> None:
        self.checkpoints.save_if_due(self.position, is_last=self._is_over and not self.position.batch)

    def _until_stopped(self, chunks: Iterable[Scored]) -> Iterator[Scored]:
        for chunk in chunks:
            self._stop_if_requested()
            yield chunk

    def _stop_if_requested(self) -> None:
        """Save the state after the last step and stop, if requested; a resumed run repeats the events after it."""
        if self.stop_requested():
            self.checkpoints.save(self._stepped)
            self.checkpoints.wait()
            step = self._stepped.step
            raise Interrupted(
                f"{self.run.folder}: saved at step {step}. To continue, repeat the command with --resume."
            )

    @property
    def _must_stop(self) -> bool:
        """True if patience is exhausted, or a callback has stopped training."""
        is_out_of_patience = self.position.is_out_of_patience(self.experiment.training)
        return is_out_of_patience or bool(self.model.stop_training)

    @property
    def _is_over(self) -> bool:
        return self._must_stop or self.position.epoch >= self.experiment.training.epochs

    def _write(self, kind: str, rows: int, metrics: dict[str, Any], seconds: float) -> None:
        position = self.position
        event = {"kind": kind, "epoch": position.epoch, "step": position.step, "rows": rows}
        metrics_line = {**event, **metrics, "learning_rate": self.model.optimizer.learning_rates}
        timing_line = {**event, "seconds": round(seconds, 4), "rows_per_second": round(rows / seconds)}
        lines = {"metrics.jsonl": metrics_line, "timing.jsonl": timing_line}
        position.sizes = {file: self.run.append(file, line) for file, line in lines.items()}


def prefetch_to_device(batches: Generator[Batch, None, None], model: CTRModel) -> Generator[Placed, None, None]:
    """Yield each batch with its tensors on the model's device; a thread copies them before the step needs them."""
    device = model.distribute_strategy.extended.worker_devices[0]

    def placed_batches() -> Iterator[Placed]:
        with closing(batches):
            for batch in batches:
                with tf.device(device):
                    tensors = {key: tf.identity(array) for key, array in batch.items()}
                yield batch, tensors

    return read_ahead(placed_batches(), depth=2)
