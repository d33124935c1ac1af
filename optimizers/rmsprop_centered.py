"""Centered RMSProp for towers: RMSProp by the standard deviation of the gradient."""

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import Scalar, Schedule, State, Tensor, Updated
from optimizers.dense_base import DenseOptimizer, check_above_0, check_decay_rates


@tf_keras.utils.register_keras_serializable("ctr")
class CenteredRMSProp(DenseOptimizer):
    """Centered RMSProp, for dense variables only.

        v <- rho v + (1 - rho) g^2
        a <- rho a + (1 - rho) g
        m <- momentum * m + learning_rate * g / sqrt(max(v - a^2, 0) + epsilon)
        w <- w - m

    The max is not in tf_keras's, where a rounding below -epsilon makes the root of a negative number. A gradient that
    stays the same has no variance, and a step of learning_rate * g / sqrt(epsilon): keep epsilon well above 0.

    Args:
        learning_rate: a number, or a Keras schedule.
        rho: decay of v and a.
        momentum: decay of m.
        epsilon: inside the root.
        name: of the optimizer.

    Source: Graves 2013, arXiv 1308.0850, with the momentum of tf_keras.

    >>> weight = tf.Variable([1.0])
    >>> _ = CenteredRMSProp(learning_rate=0.1, rho=0.5).apply_gradients([(tf.constant([2.0]), weight)])
    >>> print(weight.numpy().round(4))
    [0.8]
    """

    state_names = ("velocity", "average_gradient", "momentum")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-4,
        name: str = "centered_rmsprop",
    ) -> None:
        super().__init__(learning_rate, name)
        check_decay_rates(rho=rho, momentum=momentum)
        check_above_0(epsilon=epsilon)
        self.rho, self.momentum, self.epsilon = rho, momentum, epsilon

    def update(self, gradient: Tensor, weight: Tensor, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        v = self.rho * state[0] + (1 - self.rho) * tf.square(gradient)
        a = self.rho * state[1] + (1 - self.rho) * gradient
        deviation = tf.sqrt(tf.maximum(v - tf.square(a), 0) + self.epsilon)
        m = self.momentum * state[2] + learning_rate * gradient / deviation
        return weight - m, (v, a, m)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon}
