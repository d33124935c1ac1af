"""RMSProp for towers as tf_keras does not have it: with bias correction, or safely centered."""

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

    The max is not in tf_keras's, where a rounding below -epsilon makes the root of a negative number. A gradient that
    stays the same has no variance, and centered a step of learning_rate * g / sqrt(epsilon): keep epsilon well above 0.
    The first step of the centered and corrected form, which has met one gradient, is always of this size.

    Args:
        learning_rate: a number, or a Keras schedule.
        rho: decay of v and a.
        momentum: decay of m.
        epsilon: inside the root.
        centered: divide by the standard deviation.
        bias_correction: divide v and a by the weight that they have given out.
        name: of the optimizer.

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
        given_out = total_weight(self.rho, step) if self.bias_correction else 1.0
        v, *a, m = state
        v = self.rho * v + (1 - self.rho) * tf.square(gradient)
        u = v / given_out
        if self.centered:
            a = [self.rho * a[0] + (1 - self.rho) * gradient]
            u = tf.maximum(u - tf.square(a[0] / given_out), 0)
        m = self.momentum * m + learning_rate * gradient / tf.sqrt(u + self.epsilon)
        return weight - m, (v, *a, m)

    def get_config(self) -> dict[str, Any]:
        own = ("rho", "momentum", "epsilon", "centered", "bias_correction")
        return {**super().get_config(), **{argument: getattr(self, argument) for argument in own}}
