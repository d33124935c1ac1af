"""LARS for towers: momentum with a learning rate per layer, set by the norms of its weights and gradient."""

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import Scalar, Schedule, State, Tensor, Updated
from optimizers.checks import check_above_0, check_at_least_0, check_decay_rates
from optimizers.dense_base import DenseOptimizer, trust_ratio


@tf_keras.utils.register_keras_serializable("ctr")
class LARS(DenseOptimizer):
    """LARS, for dense variables only: each matrix has its own learning rate.

        r <- trust * |w| / (|g| + weight_decay |w|),   1 if either part is 0
        v <- momentum * v + learning_rate * r * (g + weight_decay * w)
        w <- w - v

    The norms are of whole variables. Vectors (biases, and the scales and shifts of normalizations) have neither decay
    nor r, as is common: their rate is `learning_rate` itself.

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A larger value takes larger steps.
        momentum: decay rate of the velocity v, 0 to below 1. A larger value sums more past steps.
        trust: fraction of its norm that a matrix moves at a learning rate of 1, above 0; eta in the paper (0.001, with
            rates above 1). A larger value takes larger steps.
        weight_decay: lambda of weight decay in the gradient, for matrices only. A larger value pulls weights closer to
            zero; 0 turns it off.
        name: Keras name of the optimizer.

    Source: You et al. 2017, arXiv 1708.03888, algorithm 1.

    >>> weight = tf.Variable([[3.0], [4.0]])
    >>> _ = LARS(learning_rate=1.0, trust=0.1).apply_gradients([(tf.constant([[0.0], [2.0]]), weight)])
    >>> print(weight.numpy().ravel())
    [3.  3.5]
    """

    state_names = ("velocity",)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.1,
        momentum: float = 0.9,
        trust: float = 0.01,
        weight_decay: float = 0.0,
        name: str = "lars",
    ) -> None:
        super().__init__(learning_rate, name)
        check_decay_rates(momentum=momentum)
        check_above_0(trust=trust)
        check_at_least_0(weight_decay=weight_decay)
        self.momentum, self.trust = momentum, trust
        self.decay = weight_decay  # Keras would apply an attribute named `weight_decay` again

    def update(self, gradient: Tensor, weight: Tensor, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        if weight.shape.rank >= 2:
            norm = tf.norm(weight)
            learning_rate *= trust_ratio(self.trust * norm, tf.norm(gradient) + self.decay * norm)
            gradient += self.decay * weight
        velocity = self.momentum * state[0] + learning_rate * gradient
        return weight - velocity, (velocity,)

    def get_config(self) -> dict[str, Any]:
        arguments = {"momentum": self.momentum, "trust": self.trust, "weight_decay": self.decay}
        return {**super().get_config(), **arguments}
