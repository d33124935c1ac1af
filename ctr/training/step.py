"""Training step as a graph, which skips an update that is not finite."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf

from features import Encoder, batch_signature
from models import CTRModel

Tensors: TypeAlias = Mapping[str, tf.Tensor]
"""A batch on its device."""
LARGEST_NORM = 2.0**64  # largest gradient norm whose square fits in float32: 1.8e19


class Outcome(NamedTuple):
    """Outcome of a step."""

    loss: float
    """Loss of the batch, before the update."""
    is_finite: bool
    """True if loss, gradients, their squares and moving averages are finite; else the update was skipped."""


def compiled_step(model: CTRModel, encoder: Encoder) -> Callable[[Tensors], Outcome]:
    """Return a training step on a batch, as a graph that is traced once for all batch sizes; replicas split the batch.

    The step changes nothing if the loss, a moving average or a gradient is not finite: weights, optimizer state, moving
    averages, mean loss and step number keep their values. Gradients are checked after they are summed and clipped. The
    step also changes nothing if the squares of a variable's gradient have no finite sum in float32, because optimizers
    keep such squares in their state: a number above 1.8e19 is enough. A penalty that an optimizer adds to the gradient
    (`l2_gradient`) comes after this check.

    Args:
        model: compiled model.
        encoder: encoder of the batches.
    """
    strategy = model.distribute_strategy
    moved_by_forward = [variable for variable in model.non_trainable_variables if variable is not model.step]
    with tf.device("CPU:0"):
        # a variable, because TensorFlow rewrites a graph with results into one that rounds differently
        outcome = tf.Variable([0.0, 0.0])

    def forward_and_backward(batch: Tensors) -> tuple[tf.Tensor, tf.Tensor, list[Any]]:
        loss, gradients = model.loss_and_gradients(replica_batch(batch))
        is_finite = tf.reduce_all([_is_finite(array) for array in (loss, *moved_by_forward)])
        return loss, is_finite, model.optimizer.combine(gradients, model.trainable_variables)

    def update(gradients: Sequence[Any]) -> None:
        model.optimizer.apply_combined(gradients, model.trainable_variables)
        model.step.assign_add(1)

    def restore(values: Sequence[tf.Tensor]) -> None:
        for variable, value in zip(moved_by_forward, values, strict=True):
            variable.assign(value)

    def step(batch: Tensors) -> None:
        previous = strategy.run(lambda: [tf.identity(variable) for variable in moved_by_forward])
        loss, is_forward_finite, gradients = strategy.run(forward_and_backward, args=(batch,))
        # gradients are summed over replicas, so all replicas have the same
        applied = [strategy.experimental_local_results(gradient)[0] for gradient in gradients]
        is_finite = tf.reduce_all(
            [*strategy.experimental_local_results(is_forward_finite), _have_finite_squares(applied)]
        )
        tf.cond(
            is_finite,
            lambda: strategy.run(update, args=(gradients,)),
            lambda: strategy.run(restore, args=(previous,)),
        )
        total = tf.add_n(strategy.experimental_local_results(loss))
        outcome.assign([total, tf.cast(is_finite, tf.float32)])

    graph = tf.function(step, input_signature=[batch_signature(encoder)], autograph=False)

    def run(batch: Tensors) -> Outcome:
        graph(batch)
        loss, is_finite = outcome.numpy()
        return Outcome(float(loss), bool(is_finite))

    return run


def replica_batch(batch: Tensors) -> Tensors:
    """Return the current replica's examples of a batch: every n-th example for n replicas."""
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return batch
    return {key: array[context.replica_id_in_sync_group :: replicas] for key, array in batch.items()}


def _is_finite(array: tf.Tensor | tf.Variable) -> tf.Tensor:
    return tf.reduce_all(tf.math.is_finite(array))


def _have_finite_squares(gradients: Sequence[tf.Tensor | tf.IndexedSlices]) -> tf.Tensor:
    """Return True if each gradient has a finite sum of squares, which implies finite numbers and sums by row."""
    values = [gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient for gradient in gradients]
    # half of each sum, in one pass without temporaries, which is faster than checking each number
    halves = tf.stack([tf.nn.l2_loss(value) for value in values])
    return tf.reduce_all(tf.math.is_finite(2 * halves))
