"""L1 and L2 regularization of towers, around any optimizer."""

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.checks import check_at_least_0
from optimizers.wrapper import Wrapper


@tf_keras.utils.register_keras_serializable("ctr")
class Regularized(Wrapper):
    """Wrapper that adds the gradient of l1 |w| + l2 / 2 |w|^2 to that of the loss, for dense variables only.

        g <- g + l1_gradient * sign(w) + l2_gradient * w

    Only matrices are regularized; biases, and the scales and shifts of normalizations, are not. The penalty is part of
    the gradient that `base` receives, so Adam divides it by the root of v like the rest; `adamw` decays outside that
    division. An L1 term in the gradient makes weights small; only a proximal one (`ftrl`) makes them exactly zero.

    Args:
        base: Keras optimizer that takes the steps and provides the learning rate and the weight decay.
        l1_gradient: lambda of L1 regularization: `lambda * sign(w)` is added to the gradient of matrices. A larger
            value pulls weights closer to zero; 0 turns it off.
        l2_gradient: lambda of L2 regularization: `lambda * w` is added to the gradient of matrices. A larger value
            pulls weights closer to zero; 0 turns it off. For a penalty written lambda |w|^2, as in Keras, use 2 lambda.
        name: Keras name of the optimizer; None: `regularized-<name of base>`.

    >>> weight = tf.Variable([[1.0, -2.0]])
    >>> optimizer = Regularized(tf_keras.optimizers.SGD(0.1), l1_gradient=1.0, l2_gradient=0.5)
    >>> _ = optimizer.apply_gradients([(tf.constant([[0.0, 0.0]]), weight)])
    >>> print(weight.numpy())
    [[ 0.85 -1.8 ]]
    """

    label = "regularized"

    def __init__(
        self,
        base: tf_keras.optimizers.Optimizer,
        l1_gradient: float = 0.0,
        l2_gradient: float = 0.0,
        name: str | None = None,
    ) -> None:
        check_at_least_0(l1_gradient=l1_gradient, l2_gradient=l2_gradient)
        super().__init__(base, name)
        self.l1_gradient, self.l2_gradient = l1_gradient, l2_gradient

    def wrapped_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Apply a step of `base` on the gradient of loss and penalty."""
        self.base.update_step(self.penalized(gradient, variable), variable)

    def penalized(self, gradient: tf.Tensor, variable: tf.Variable) -> tf.Tensor:
        """Return the gradient of loss and penalty."""
        if variable.shape.rank < 2:
            return gradient
        weight = tf.convert_to_tensor(variable)
        return gradient + (self.l1_gradient * tf.sign(weight) + self.l2_gradient * weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "l1_gradient": self.l1_gradient, "l2_gradient": self.l2_gradient}
