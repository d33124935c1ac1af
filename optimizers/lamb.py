"""LAMB for towers: Adam whose step is proportional to the norm of the weights."""

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.adam import check_adam
from optimizers.base import Scalar, Schedule, State, Tensor, Updated
from optimizers.checks import check_at_least_0
from optimizers.dense_base import DenseOptimizer, total_weight, trust_ratio


@tf_keras.utils.register_keras_serializable("ctr")
class LAMB(DenseOptimizer):
    """LAMB, for dense variables only: each matrix moves by a fraction of its own norm.

        m <- beta_1 m + (1 - beta_1) g
        v <- beta_2 v + (1 - beta_2) g^2
        u <- m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon) + weight_decay * w
        w <- w - learning_rate * |w| / |u| * u,   |w| / |u| taken as 1 if either is 0

    The norms are of whole variables. Vectors (biases, and the scales and shifts of normalizations) have neither decay
    nor ratio, as in the authors' code: a bias that starts at zero would hardly leave it.

    Args:
        learning_rate: step relative to the norm of the weights; a number or a Keras schedule. A larger value takes
            larger steps.
        beta_1: decay rate of the first moment (the moving average of gradients), 0 to below 1. A larger value averages
            over more steps.
        beta_2: decay rate of the second moment (the moving average of squared gradients), 0 to below 1. A larger value
            averages over more steps.
        epsilon: constant added to the root of the corrected v, above 0.
        weight_decay: lambda of weight decay inside the ratio, for matrices only. A larger value pulls weights closer to
            zero; 0 turns it off.
        name: Keras name of the optimizer.

    Source: You et al. 2020, arXiv 1904.00962, algorithm 2, phi the identity.

    >>> weight = tf.Variable([[3.0], [4.0]])
    >>> _ = LAMB(learning_rate=0.1).apply_gradients([(tf.constant([[0.0], [2.0]]), weight)])
    >>> print(weight.numpy().ravel())
    [3.  3.5]
    """

    state_names = ("m", "v")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        weight_decay: float = 0.0,
        name: str = "lamb",
    ) -> None:
        check_adam(learning_rate, beta_1, beta_2, epsilon)
        check_at_least_0(weight_decay=weight_decay)
        super().__init__(learning_rate, name)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.decay = weight_decay  # Keras would apply an attribute named `weight_decay` again

    def update(self, gradient: Tensor, weight: Tensor, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        m = self.beta_1 * state[0] + (1 - self.beta_1) * gradient
        v = self.beta_2 * state[1] + (1 - self.beta_2) * tf.square(gradient)
        corrected = m / total_weight(self.beta_1, step), v / total_weight(self.beta_2, step)
        direction = corrected[0] / (tf.sqrt(corrected[1]) + self.epsilon)
        if weight.shape.rank >= 2:
            direction += self.decay * weight
            learning_rate *= trust_ratio(tf.norm(weight), tf.norm(direction))
        return weight - learning_rate * direction, (m, v)

    def get_config(self) -> dict[str, Any]:
        arguments = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "weight_decay": self.decay}
        return {**super().get_config(), **arguments}
