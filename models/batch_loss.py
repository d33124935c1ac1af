"""Losses of a tower that depend on means over the whole batch."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class BatchLoss:
    """Loss of a tower whose terms depend on other examples of the batch, such as a product of two mean losses."""

    terms: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    """Function from labels and sample weights, `[batch]` each, to the loss term per example, `[batch]`.

    For means over the batch, use `batch_mean`. In evaluation, a batch has at most as many examples as in training, and
    the mean over all batches is reported.
    """


def sum_over_replicas(x: tf.Tensor) -> tf.Tensor:
    """Return the sum of a tensor over the replicas that share a batch; with one replica, the tensor itself."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return context.all_reduce(tf.distribute.ReduceOp.SUM, x)


def batch_mean(values: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Return the weighted mean over the examples of a batch, over all replicas that share it; 0 without weight.

    Gradients pass through it.

    Args:
        values: number of each example, `[batch]`.
        weight: sample weights, `[batch]`.

    >>> float(batch_mean(tf.constant([1.0, 5.0]), tf.constant([3.0, 1.0])))
    2.0
    """
    total = sum_over_replicas(tf.reduce_sum(weight))
    return tf.math.divide_no_nan(sum_over_replicas(tf.reduce_sum(values * weight)), total)
