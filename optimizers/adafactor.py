"""Adafactor for towers: second moments of rows and columns instead of elements."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import Scalar, Schedule, State, Tensor, Updated
from optimizers.checks import check_above_0
from optimizers.dense_base import DenseOptimizer


@tf_keras.utils.register_keras_serializable("ctr")
class Adafactor(DenseOptimizer):
    """Adafactor, for dense variables only: a matrix keeps one number a row and one a column.

        b <- 1 - t^-decay
        r <- b r + (1 - b) mean over columns of (g^2 + epsilon_1)
        c <- b c + (1 - b) mean over rows of (g^2 + epsilon_1)
        u <- g / (sqrt(r / mean(r)) sqrt(c))
        w <- w - min(learning_rate, 1 / sqrt(t)) * max(epsilon_2, rms(w)) * u / max(1, rms(u) / clip_threshold)

    The rate is relative to the weight. A vector keeps v <- b v + (1 - b) (g^2 + epsilon_1), u <- g / sqrt(v). More than
    two axes are a stack of matrices of the last two. tf_keras's own multiplies r and c before the root: where a row and
    a column of a gradient are zero (a dead unit and a missing input) float32 underflows and the weights become NaN; and
    it keeps the elements too.

    Args:
        learning_rate: largest rate relative to the weight; a number, or a Keras schedule.
        decay: how fast b tends to 1.
        epsilon_1: added to the squared gradient.
        epsilon_2: smallest scale of the weight.
        clip_threshold: bound on the root mean square of an update.
        name: of the optimizer.

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
        """Rows and columns of a matrix, elements of a vector."""
        if len(shape) < 2:
            return {"v": shape}
        return {"r": [*shape[:-1], 1], "c": [*shape[:-2], 1, shape[-1]]}

    def update(self, gradient: Tensor, weight: Tensor, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        share = tf.pow(step, -self.decay)  # 1 - b
        squared = tf.square(gradient) + self.epsilon_1
        if len(state) == 1:
            v = (1 - share) * state[0] + share * squared
            new_state: tuple[tf.Tensor, ...] = (v,)
            update = gradient / tf.sqrt(v)
        else:
            rows = (1 - share) * state[0] + share * tf.reduce_mean(squared, axis=-1, keepdims=True)
            columns = (1 - share) * state[1] + share * tf.reduce_mean(squared, axis=-2, keepdims=True)
            new_state = (rows, columns)
            update = gradient / tf.sqrt(rows) * tf.sqrt(tf.reduce_mean(rows, axis=-2, keepdims=True)) / tf.sqrt(columns)
        scale = tf.minimum(learning_rate, 1 / tf.sqrt(step)) * tf.maximum(self.epsilon_2, _rms(weight))
        return weight - scale * update / tf.maximum(1.0, _rms(update) / self.clip_threshold), new_state

    def get_config(self) -> dict[str, Any]:
        own = ("decay", "epsilon_1", "epsilon_2", "clip_threshold")
        return {**super().get_config(), **{key: getattr(self, key) for key in own}}


def _rms(values: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_mean(tf.square(values)))
