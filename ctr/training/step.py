"""One training step as a graph; an update of which a number is not finite is not made."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf

from features import Encoder, batch_signature
from models import CTRModel

Tensors: TypeAlias = Mapping[str, tf.Tensor]
"""A batch on its device."""
LARGEST_NORM = 2.0**64  # of a gradient whose squares float32 can sum: 1.8e19


class Outcome(NamedTuple):
    """What a step says of itself."""

    loss: float
    """Of the batch, before the update."""
    is_finite: bool
    """True if loss, gradients, their squares and moving averages are finite; if not, no update was made."""


def compiled_step(model: CTRModel, encoder: Encoder) -> Callable[[Tensors], Outcome]:
    """One training step on a batch as a graph that is traced once, whatever the batch size; replicas share its rows.

    Where the loss, a moving average or a number of the gradients, summed and clipped as they would be applied, is not
    finite, the step leaves no trace: weights, optimizer state, moving averages, mean loss and step number stay as they
    were. The same holds where the squares of a variable's gradient have no finite sum in float32, because optimizers
    keep such squares in their state: a number above 1.8e19 is enough. A penalty that an optimizer adds to the gradient
    (`l2_gradient`) comes after this check.
    """
    strategy = model.distribute_strategy
    moved_by_forward = [variable for variable in model.non_trainable_variables if variable is not model.step]
    with tf.device("CPU:0"):
        # a variable, because a graph with results is rewritten by TensorFlow into one that rounds otherwise
        outcome = tf.Variable([0.0, 0.0])

    def forward_and_backward(batch: Tensors) -> tuple[tf.Tensor, tf.Tensor, list[Any]]:
        loss, gradients = model.loss_and_gradients(share_of(batch))
        is_finite = tf.reduce_all([_is_finite(array) for array in (loss, *moved_by_forward)])
        return loss, is_finite, model.optimizer.combine(gradients, model.trainable_variables)

    def update(gradients: Sequence[Any]) -> None:
        model.optimizer.apply_combined(gradients, model.trainable_variables)
        model.step.assign_add(1)

    def restore(values: Sequence[tf.Tensor]) -> None:
        for variable, value in zip(moved_by_forward, values, strict=True):
            variable.assign(value)

    def step(batch: Tensors) -> None:
        before = strategy.run(lambda: [tf.identity(variable) for variable in moved_by_forward])
        loss, is_forward_finite, gradients = strategy.run(forward_and_backward, args=(batch,))
        # gradients have been summed over replicas: all have the same
        applied = [strategy.experimental_local_results(gradient)[0] for gradient in gradients]
        is_finite = tf.reduce_all(
            [*strategy.experimental_local_results(is_forward_finite), _have_finite_squares(applied)]
        )
        tf.cond(
            is_finite,
            lambda: strategy.run(update, args=(gradients,)),
            lambda: strategy.run(restore, args=(before,)),
        )
        total = tf.add_n(strategy.experimental_local_results(loss))
        outcome.assign([total, tf.cast(is_finite, tf.float32)])

    graph = tf.function(step, input_signature=[batch_signature(encoder)], autograph=False)

    def run(batch: Tensors) -> Outcome:
        graph(batch)
        loss, is_finite = outcome.numpy()
        return Outcome(float(loss), bool(is_finite))

    return run


def share_of(batch: Tensors) -> Tensors:
    """The rows of a batch that the replica at work takes: of n replicas, each every n-th."""
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return batch
    return {key: array[context.replica_id_in_sync_group :: replicas] for key, array in batch.items()}


def _is_finite(array: tf.Tensor | tf.Variable) -> tf.Tensor:
    return tf.reduce_all(tf.math.is_finite(array))


def _have_finite_squares(gradients: Sequence[tf.Tensor | tf.IndexedSlices]) -> tf.Tensor:
    """Return True if each gradient has a finite sum of squares, and so finite numbers and finite sums by row."""
    values = [gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient for gradient in gradients]
    # half of each sum, in one pass without temporaries, which takes less time than looking at each number
    halves = tf.stack([tf.nn.l2_loss(one) for one in values])
    return tf.reduce_all(tf.math.is_finite(2 * halves))
