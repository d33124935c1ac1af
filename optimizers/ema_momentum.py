"""Momentum for towers as a moving average of gradients."""

from typing import Any

import tf_keras

from optimizers.base import Scalar, Schedule, State, Tensor, Updated
from optimizers.checks import check_decay_rates
from optimizers.dense_base import DenseOptimizer, total_weight


@tf_keras.utils.register_keras_serializable("ctr")
class EMAMomentum(DenseOptimizer):
    """Momentum by an exponential moving average, for dense variables only.

        v <- beta v + (1 - beta) g
        w <- w - learning_rate * v / (1 - beta^t);   without bias correction: w <- w - learning_rate * v

    The step is as long as that of plain gradient descent, whatever beta is. Without bias correction and at a constant
    learning rate it equals `DenseMomentum` with the rate learning_rate * (1 - beta).

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A larger value takes larger steps.
        beta: decay rate of v, 0 to below 1. A larger value averages gradients over more steps.
        bias_correction: True divides v by 1 - beta^t, the total weight of the gradients in the average.
        name: Keras name of the optimizer.

    Source: Kingma and Ba 2015, arXiv 1412.6980: Adam's first moment alone.

    >>> import tensorflow as tf
    >>> weight = tf.Variable([1.0])
    >>> _ = EMAMomentum(learning_rate=0.1).apply_gradients([(tf.constant([2.0]), weight)])
    >>> print(weight.numpy())
    [0.8]
    """

    state_names = ("velocity",)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        beta: float = 0.9,
        bias_correction: bool = True,
        name: str = "ema_momentum",
    ) -> None:
        super().__init__(learning_rate, name)
        check_decay_rates(beta=beta)
        self.beta, self.bias_correction = beta, bias_correction

    def update(self, gradient: Tensor, weight: Tensor, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        velocity = self.beta * state[0] + (1 - self.beta) * gradient
        if self.bias_correction:
            learning_rate /= total_weight(self.beta, step)
        return weight - learning_rate * velocity, (velocity,)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta": self.beta, "bias_correction": self.bias_correction}
