"""CTR model: embedding tables and a tower as a `tfrs.Model` that works with plain `compile` and `fit`."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras

from models import self_ensemble as ensemble
from models.batch_loss import sum_over_replicas
from models.inputs import Inputs
from models.recording import recorded_below
from models.tables import EmbeddingTables
from models.tower import Tower, TowerOutput, as_output

Batch = Mapping[str, tf.Tensor]


class CTRModel(tfrs.Model):
    """Click-through-rate model: fused embedding tables, then a tower that computes one logit per example.

    All variables exist after construction. The loss is binary cross-entropy in nats, as the batch's mean weighted by
    sample weights, plus that mean of each loss of the tower. `fit` reports as `loss` the mean cross-entropy over the
    epoch so far, as `loss/<name>` that of each other term, and the metrics of `compile`. `predict` returns logits.

    With `self_ensemble`, training calls the tower twice on one lookup of the tables, with different dropout masks. Then
    `loss` is the cross-entropy of the mean probability of both passes, and the metrics of `compile` are of that
    probability too. `models.self_ensemble` adds `loss/self_ensemble`, which pulls both passes toward the mean. Losses
    of the tower are means over the passes. Both passes update the moving averages of batch normalization, the first
    pass before the second. Evaluation and `predict` use one pass.

    Args:
        inputs: layout of the batches. The tower adds its own tables, and tables that no field reads are left out.
        tower: tower, such as `DCNV2`.
        stddev: standard deviation of the normal distribution of initial embeddings.
        seed: seed of the initial embeddings.
        grouping: table -> group; tables with one width and one group share a variable. None: by width alone.
        base_logit: bias of the logit before training; None: 0. With the log-odds of the training labels, the loss
            starts near that of a constant prediction, however rare positives are.
        self_ensemble: True trains with the self-ensemble loss, for a tower with dropout.

    Raises:
        ValueError: the tower cannot use the inputs, or has a loss with a name of the model's.

    >>> from models import DCNV2, Field, Inputs, Table
    >>> inputs = Inputs((Table("user", 10, 4),), (Field("user", "user", column=0),), ("age",), (0,))
    >>> model = CTRModel(inputs, DCNV2(hidden=[8]))
    >>> model({"ids": tf.constant([[3], [4]]), "numerics": tf.constant([[0.5], [1.0]])}).shape
    TensorShape([2])
    """

    def __init__(
        self,
        inputs: Inputs,
        tower: Tower,
        stddev: float = 0.01,
        seed: int = 0,
        grouping: Mapping[str, str] | None = None,
        base_logit: float | None = None,
        self_ensemble: bool = False,
    ) -> None:
        super().__init__(name="ctr_model", autocast=False)  # numerics and labels stay float32
        inputs = tower.extend(inputs).trimmed()
        tower.connect(inputs)
        self.fit_metrics: Sequence[tf_keras.metrics.Metric] = ()
        self.tables = EmbeddingTables(inputs, stddev, seed, grouping)
        self.tower = tower
        aggregation = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step", aggregation=aggregation)
        self.mean_loss = tf_keras.metrics.Mean(name="loss", dtype="float64")
        self.mean_self_ensemble = _mean_of_loss(ensemble.NAME) if self_ensemble else None
        self(self.tables.inputs.empty_batch())
        self.mean_losses = self._means_of_losses()
        if base_logit is not None:
            tower.start_at(base_logit)

    def compile(
        self, optimizer: Any = "rmsprop", metrics: Sequence[tf_keras.metrics.Metric] = (), **arguments: Any
    ) -> None:
        """Set the optimizer and the metrics of `fit` and `evaluate`.

        Args:
            optimizer: optimizer of all variables, such as a `Router`.
            metrics: metrics of label and probability, weighted by sample weights, such as `[models.AUC()]`.
            arguments: other arguments of `tf_keras.Model.compile`, except for the loss, which the model has.

        Raises:
            ValueError: a metric is not a `tf_keras` metric, or an argument would have no effect.
        """
        for name in ("loss", "loss_weights", "weighted_metrics"):
            if arguments.get(name) is not None:
                raise ValueError(
                    f"compile: {name} has no effect: the model has its loss, and weights all `metrics`. Remove it."
                )
        for metric in metrics:
            if not isinstance(metric, tf_keras.metrics.Metric):
                raise ValueError(
                    f"compile: metrics must be tf_keras metrics, such as models.AUC(). Received: {metric!r}"
                )
        super().compile(optimizer=optimizer, **arguments)
        self.fit_metrics = tuple(metrics)

    @property
    def logical_variables(self) -> list[tuple[str, list[str]]]:
        """`("table", names of its tables)` or `("tower", [name of its block])` of each of `trainable_variables`."""
        groups = self.tables.groups
        owner = {id(self.tables.fused[key]): ("table", [table.name for table in groups[key]]) for key in groups}
        for block, layers in self.tower.blocks.items():
            owner |= {id(variable): ("tower", [block]) for layer in layers for variable in layer.trainable_variables}
        if stray := [variable.name for variable in self.trainable_variables if id(variable) not in owner]:
            raise ValueError(
                f"{type(self.tower).__name__}: the layer of {stray[0]} must be in one of its blocks. "
                f"Add it to `blocks`."
            )
        return [owner[id(variable)] for variable in self.trainable_variables]

    @property
    def metrics(self) -> list[tf_keras.metrics.Metric]:
        """Mean losses and metrics of the epoch so far, reset by Keras at the start of each epoch."""
        in_training = [] if self.mean_self_ensemble is None else [self.mean_self_ensemble]
        return [self.mean_loss, *self.mean_losses.values(), *in_training, *self.fit_metrics]

    def call(self, batch: Batch, training: bool = False) -> tf.Tensor:
        """Return the logits, float32 `[batch]`."""
        return self.output(batch, training).logit

    def output(self, batch: Batch, training: bool = False) -> TowerOutput:
        """Return the logits and the losses of the tower in one pass."""
        return self._outputs(batch, training, passes=1)[0]

    def _outputs(self, batch: Batch, training: bool, passes: int) -> list[TowerOutput]:
        """Return the output of each pass of the tower, with dropout masks of its own, on one lookup of the tables."""
        branches = self.tables(batch)
        x0, outputs = branches.pop("deep"), []
        for number in range(passes):
            with recorded_below(f"pass {number + 1}") if number else nullcontext():
                step = ensemble.step_of_pass(self.step, number)
                output = self.tower(x0, step=step, training=training, **branches)
            outputs.append(as_output(output))
        return outputs

    def compute_loss(self, batch: Batch, training: bool = False) -> tf.Tensor:
        """Return the weighted mean loss of a batch, all terms together, and update the metrics of the epoch.

        If replicas share a batch, each returns its part of that mean: the parts add up, as gradients do.

        Raises:
            ValueError: the batch has no label, or the losses of the tower have changed.
        """
        if "label" not in batch:
            raise ValueError("batch: no label, which a loss needs. Use `predict`, or an encoder with the label.")
        is_ensemble = training and self.mean_self_ensemble is not None
        outputs = self._outputs(batch, training, ensemble.PASSES if is_ensemble else 1)
        logits = [output.logit for output in outputs]
        terms = ensemble.mean_losses(outputs, batch["label"], batch["weight"])
        if terms.keys() != self.mean_losses.keys():
            expected, received = (", ".join(names) or "none" for names in (self.mean_losses, terms))
            raise ValueError(
                f"{self.tower.name}: the losses must be the same at every call, {expected}. Received: {received}"
            )
        means = dict(self.mean_losses)
        if is_ensemble:
            losses = ensemble.cross_entropy_of_mean(batch["label"], logits)
            terms[ensemble.NAME], means[ensemble.NAME] = ensemble.self_ensemble_loss(logits), self.mean_self_ensemble
        else:
            losses = tf.nn.sigmoid_cross_entropy_with_logits(batch["label"], logits[0])
        total, loss = tf.reduce_sum(batch["weight"]), tf.reduce_sum(losses * batch["weight"])
        self.mean_loss.update_state(tf.math.divide_no_nan(loss, total), sample_weight=total)
        for name, mean in means.items():
            term = tf.reduce_sum(terms[name] * batch["weight"])
            mean.update_state(tf.math.divide_no_nan(term, total), sample_weight=total)
            loss += term
        for metric in self.fit_metrics:
            probability = ensemble.mean_probability(logits)
            metric.update_state(batch["label"][:, None], probability[:, None], sample_weight=batch["weight"])
        return tf.math.divide_no_nan(loss, sum_over_replicas(total))

    def loss_and_gradients(self, batch: Batch) -> tuple[tf.Tensor, list[tf.Tensor | tf.IndexedSlices]]:
        """Return the training loss of a batch and its gradients in the order of `trainable_variables`."""
        with tf.GradientTape() as tape:
            loss = self.compute_loss(batch, training=True)
        return loss, tape.gradient(loss, self.trainable_variables)

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Take one gradient step and return the metrics of the epoch."""
        loss, gradients = self.loss_and_gradients(batch)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        with tf.control_dependencies([loss]):  # the end of the data computes no loss and must not count as a step
            self.step.assign_add(1)
        return {mean.name: mean.result() for mean in self.metrics}

    def test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Compute the loss of a batch in evaluation mode and return the metrics of the epoch."""
        self.compute_loss(batch)
        return {mean.name: mean.result() for mean in self.metrics if mean is not self.mean_self_ensemble}

    def _means_of_losses(self) -> dict[str, tf_keras.metrics.Mean]:
        """Return a mean over the epoch for each loss of the tower.

        Raises:
            ValueError: a loss does not have one number per example, or has a name of the model's.
        """
        two = {key: tf.concat([array, array], axis=0) for key, array in self.tables.inputs.empty_batch().items()}
        output = self.output(two)
        if not isinstance(output.losses, Mapping):
            raise ValueError(f"{self.tower.name}: losses must be a dictionary. Received: {output.losses!r}")
        losses = output.losses_of(tf.zeros([2]))
        if self.mean_self_ensemble is not None and ensemble.NAME in losses:
            raise ValueError(
                f"{self.tower.name}: the loss {ensemble.NAME!r} has the name of the self-ensemble loss. Rename it."
            )
        for name, loss in losses.items():
            shape = tf.convert_to_tensor(loss).shape
            if not shape.is_compatible_with([2]):
                raise ValueError(
                    f"{self.tower.name}: the loss {name!r} must be [batch], one number per example. "
                    f"Received, for 2 examples: {shape.as_list()}"
                )
        return {name: _mean_of_loss(name) for name in losses}


def _mean_of_loss(name: str) -> tf_keras.metrics.Mean:
    return tf_keras.metrics.Mean(name=f"loss/{name}", dtype="float64")
