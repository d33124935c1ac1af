"""RMSProp for towers with two options that tf_keras lacks: bias correction, and centering without NaN."""

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import Scalar, Schedule, State, Tensor, Updated
from optimizers.checks import check_above_0, check_decay_rates
from optimizers.dense_base import DenseOptimizer, total_weight


@tf_keras.utils.register_keras_serializable("ctr")
class DenseRMSProp(DenseOptimizer):
    """RMSProp by the root mean square of the gradient or by its standard deviation, for dense variables only.

        v <- rho v + (1 - rho) g^2
        a <- rho a + (1 - rho) g;   with centered only
        u = v;   with bias_correction: u = v / (1 - rho^t), and a / (1 - rho^t) for a below
                 with centered: u = max(u - a^2, 0)
        m <- momentum * m + learning_rate * g / sqrt(u + epsilon)
        w <- w - m

    tf_keras's RMSprop lacks the max, so a rounding error below -epsilon takes the root of a negative number. A constant
    gradient has no variance, so a centered step is learning_rate * g / sqrt(epsilon): keep epsilon well above 0. The
    first step of the centered and corrected form, which has seen one gradient, always has this size.

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A larger value takes larger steps.
        rho: decay rate of v and a, 0 to below 1. A larger value averages over more steps.
        momentum: decay rate of the velocity m, 0 to below 1. A larger value sums more past steps; 0 turns it off.
        epsilon: constant added to u inside the root, above 0. A larger value makes steps smaller where gradients are
            small.
        centered: True divides by the standard deviation of the gradient instead of its root mean square.
        bias_correction: True divides v and a by 1 - rho^t, the total weight of the gradients in them.
        name: Keras name of the optimizer.

    Source: Hinton 2012, lecture 6e; centered: Graves 2013, arXiv 1308.0850; momentum as in tf_keras, the correction as
    in Adam (Kingma and Ba 2015, arXiv 1412.6980).

    >>> weight = tf.Variable([1.0])
    >>> optimizer = DenseRMSProp(learning_rate=0.1, rho=0.5, centered=True)
    >>> _ = optimizer.apply_gradients([(tf.constant([2.0]), weight)])
    >>> print(weight.numpy().round(4))
    [0.8]
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        bias_correction: bool = False,
        name: str = "dense_rmsprop",
    ) -> None:
        super().__init__(learning_rate, name)
        check_decay_rates(rho=rho, momentum=momentum)
        check_above_0(epsilon=epsilon)
        self.rho, self.momentum, self.epsilon = rho, momentum, epsilon
        self.centered, self.bias_correction = centered, bias_correction
        self.state_names = ("velocity", "average_gradient", "momentum") if centered else ("velocity", "momentum")

    def update(self, gradient: Tensor, weight: Tensor, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        weight_sum = total_weight(self.rho, step) if self.bias_correction else 1.0
        v, *a, m = state
        v = self.rho * v + (1 - self.rho) * tf.square(gradient)
        u = v / weight_sum
        if self.centered:
            a = [self.rho * a[0] + (1 - self.rho) * gradient]
            u = tf.maximum(u - tf.square(a[0] / weight_sum), 0)
        m = self.momentum * m + learning_rate * gradient / tf.sqrt(u + self.epsilon)
        return weight - m, (v, *a, m)

    def get_config(self) -> dict[str, Any]:
        arguments = ("rho", "momentum", "epsilon", "centered", "bias_correction")
        return {**super().get_config(), **{argument: getattr(self, argument) for argument in arguments}}
