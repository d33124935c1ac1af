"""Amos for towers: learning rate and weight decay decrease by themselves, towards a target scale of the weights."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import Scalar, Schedule, State, Tensor, Updated
from optimizers.checks import check_above_0, check_decay_rates
from optimizers.dense_base import DenseOptimizer, total_weight

SMALLEST = 2.0**-125
"""Lower bound on v, so that an all-zero gradient causes no division by zero."""


@tf_keras.utils.register_keras_serializable("ctr")
class Amos(DenseOptimizer):
    """Amos, for dense variables only: it needs no schedule, because its steps shrink during training.

        h <- mean(g^2) over all axes but the last (over the whole of a vector)
        v <- beta v + (1 - beta) h,   V = v / (1 - beta^t)
        y <- learning_rate^2 * h / V / sqrt(1 + sqrt(learning_rate) b / 4)
        w <- w - (learning_rate * s * g / sqrt(V) + y / 2 * w) / (1 + sqrt(learning_rate * s) b / 4)
        b <- b + y (1 + b)

    s is the target scale of the weights: `scale` / sqrt(inputs) for a matrix, `scale` / 2 for a vector. Vectors
    (biases, and the scales and shifts of normalizations) do not decay: their term y / 2 * w is left out, unlike in the
    source.

    Args:
        learning_rate: learning rate, about 1 / sqrt(number of batches of the training data); a number or a
            Keras schedule. A larger value takes larger steps.
        beta: decay rate of v, 0 to below 1. A larger value averages squared gradients over more steps.
        scale: factor of the target scale s, above 0. A larger value lets weights grow larger and move faster.
        name: Keras name of the optimizer.

    Source: Tian and Parikh 2022, arXiv 2210.11693, and the authors' jestimator, without momentum.

    >>> weight = tf.Variable([1.0])
    >>> _ = Amos(learning_rate=0.1).apply_gradients([(tf.constant([2.0]), weight)])
    >>> print(weight.numpy().round(4))
    [0.95]
    """

    def __init__(
        self, learning_rate: float | Schedule = 0.01, beta: float = 0.999, scale: float = 1.0, name: str = "amos"
    ) -> None:
        super().__init__(learning_rate, name)
        check_decay_rates(beta=beta)
        check_above_0(scale=scale)
        self.beta, self.scale = beta, scale

    def state_shapes(self, shape: Sequence[int]) -> Mapping[str, Sequence[int]]:
        """Return one number per output for a matrix and one number for a vector."""
        reduced = [*[1] * (len(shape) - 1), shape[-1]] if len(shape) >= 2 else [1] * len(shape)
        return {"v": reduced, "b": reduced}

    def update(self, gradient: Tensor, weight: Tensor, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        shape = weight.shape.as_list()
        is_matrix = len(shape) >= 2
        scale = self.scale / math.sqrt(math.prod(shape[:-1])) if is_matrix else self.scale / 2
        axes = list(range(len(shape) - 1)) if is_matrix else None
        power = tf.reduce_mean(tf.square(gradient), axis=axes, keepdims=True)
        v, b = self.beta * state[0] + (1 - self.beta) * power, state[1]
        typical = tf.maximum(v, SMALLEST) / total_weight(self.beta, step)
        decay = tf.square(learning_rate) * power / typical / tf.sqrt(1 + tf.sqrt(learning_rate) * b / 4)
        move = learning_rate * scale * gradient / tf.sqrt(typical)
        if is_matrix:
            move += decay / 2 * weight
        return weight - move / (1 + tf.sqrt(learning_rate * scale) * b / 4), (v, b + decay * (1 + b))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta": self.beta, "scale": self.scale}
