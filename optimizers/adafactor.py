"""Adafactor for towers: one second moment per row and per column instead of per weight."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import Scalar, Schedule, State, Tensor, Updated
from optimizers.checks import check_above_0
from optimizers.dense_base import DenseOptimizer


@tf_keras.utils.register_keras_serializable("ctr")
class Adafactor(DenseOptimizer):
    """Adafactor, for dense variables only: the state of a matrix is one number per row and one per column.

        b <- 1 - t^-decay
        r <- b r + (1 - b) mean over columns of (g^2 + epsilon_1)
        c <- b c + (1 - b) mean over rows of (g^2 + epsilon_1)
        u <- g / (sqrt(r / mean(r)) sqrt(c))
        w <- w - min(learning_rate, 1 / sqrt(t)) * max(epsilon_2, rms(w)) * u / max(1, rms(u) / clip_threshold)

    The rate is relative to the size of the weights. A vector keeps v <- b v + (1 - b) (g^2 + epsilon_1), u <- g /
    sqrt(v). A variable with more than two axes is a stack of matrices over its last two axes.

    tf_keras's Adafactor multiplies r and c before the root. Where a row and a column of a gradient are zero (a dead
    unit and a missing input), float32 underflows and the weights become NaN. It also keeps one number per weight.

    Args:
        learning_rate: upper bound on the learning rate relative to the weights' root mean square; a number or a Keras
            schedule. A larger value takes larger steps.
        decay: exponent of the decay rate b = 1 - t^-decay, above 0. With a larger value, b approaches 1 sooner and the
            moments average over more steps.
        epsilon_1: constant added to the squared gradient, above 0.
        epsilon_2: lower bound on the weight scale that multiplies the rate, above 0. A larger value lets small weights
            move faster.
        clip_threshold: upper bound on the root mean square of an update before scaling, above 0. A smaller value clips
            more.
        name: Keras name of the optimizer.

    Source: Shazeer and Stern 2018, arXiv 1804.04235, algorithms 4 and 5, without momentum.

    >>> weight = tf.Variable([[2.0, -2.0]])
    >>> _ = Adafactor(learning_rate=0.1).apply_gradients([(tf.constant([[0.5, 0.5]]), weight)])
    >>> print(weight.numpy())
    [[ 1.8 -2.2]]
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        decay: float = 0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 0.001,
        clip_threshold: float = 1.0,
        name: str = "adafactor",
    ) -> None:
        super().__init__(learning_rate, name)
        check_above_0(decay=decay, epsilon_1=epsilon_1, epsilon_2=epsilon_2, clip_threshold=clip_threshold)
        self.decay, self.epsilon_1, self.epsilon_2 = decay, epsilon_1, epsilon_2
        self.clip_threshold = clip_threshold

    def state_shapes(self, shape: Sequence[int]) -> Mapping[str, Sequence[int]]:
        """Return one number per row and per column for a matrix, one per element for a vector."""
        if len(shape) < 2:
            return {"v": shape}
        return {"r": [*shape[:-1], 1], "c": [*shape[:-2], 1, shape[-1]]}

    def update(self, gradient: Tensor, weight: Tensor, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        new_fraction = tf.pow(step, -self.decay)  # 1 - b
        squared = tf.square(gradient) + self.epsilon_1
        if len(state) == 1:
            v = (1 - new_fraction) * state[0] + new_fraction * squared
            new_state: tuple[tf.Tensor, ...] = (v,)
            update = gradient / tf.sqrt(v)
        else:
            row_means = tf.reduce_mean(squared, axis=-1, keepdims=True)
            column_means = tf.reduce_mean(squared, axis=-2, keepdims=True)
            rows = (1 - new_fraction) * state[0] + new_fraction * row_means
            columns = (1 - new_fraction) * state[1] + new_fraction * column_means
            new_state = (rows, columns)
            update = gradient / tf.sqrt(rows) * tf.sqrt(tf.reduce_mean(rows, axis=-2, keepdims=True)) / tf.sqrt(columns)
        scale = tf.minimum(learning_rate, 1 / tf.sqrt(step)) * tf.maximum(self.epsilon_2, _rms(weight))
        return weight - scale * update / tf.maximum(1.0, _rms(update) / self.clip_threshold), new_state

    def get_config(self) -> dict[str, Any]:
        arguments = ("decay", "epsilon_1", "epsilon_2", "clip_threshold")
        return {**super().get_config(), **{argument: getattr(self, argument) for argument in arguments}}


def _rms(values: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_mean(tf.square(values)))
