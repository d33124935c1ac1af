"""Momentum for towers as a fading sum of gradients, with the learning rate outside the velocity."""

from typing import Any

import tf_keras

from optimizers.base import Scalar, Schedule, State, Tensor, Updated
from optimizers.checks import check_decay_rates
from optimizers.dense_base import DenseOptimizer


@tf_keras.utils.register_keras_serializable("ctr")
class DenseMomentum(DenseOptimizer):
    """Heavy-ball momentum with the learning rate outside the velocity, for dense variables only.

        v <- momentum * v + g
        w <- w - learning_rate * v;   with nesterov: w <- w - learning_rate * (g + momentum * v)

    A new learning rate scales the whole velocity immediately, as in PyTorch. In `sgd_dense`, as in Keras, it affects
    old gradients only as they fade. At a constant learning rate both are the same.

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A larger value takes larger steps.
        momentum: decay rate of the velocity v, 0 to below 1. A larger value sums more past gradients.
        nesterov: True for Nesterov momentum, which evaluates the velocity one step ahead.
        name: Keras name of the optimizer.

    Source: Sutskever et al. 2013, with the rate moved out as in `torch.optim.SGD`.

    >>> import tensorflow as tf
    >>> weight = tf.Variable([1.0])
    >>> _ = DenseMomentum(learning_rate=0.1).apply_gradients([(tf.constant([2.0]), weight)])
    >>> print(weight.numpy())
    [0.8]
    """

    state_names = ("velocity",)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.9,
        nesterov: bool = False,
        name: str = "momentum",
    ) -> None:
        super().__init__(learning_rate, name)
        check_decay_rates(momentum=momentum)
        self.momentum, self.nesterov = momentum, nesterov

    def update(self, gradient: Tensor, weight: Tensor, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        velocity = self.momentum * state[0] + gradient
        ahead = gradient + self.momentum * velocity if self.nesterov else velocity
        return weight - learning_rate * ahead, (velocity,)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
