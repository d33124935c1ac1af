"""RMSProp: steps divided by a moving root mean square of the gradient."""

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import RowOptimizer, Rows, Scalar, Schedule, State, Updated
from optimizers.checks import check_above_0, check_decay_rates


@tf_keras.utils.register_keras_serializable("ctr")
class RMSProp(RowOptimizer):
    """RMSProp (Tieleman and Hinton 2012) on the rows of a batch.

        v <- rho * v + (1 - rho) * g^2
        w <- w - learning_rate * g / sqrt(v + epsilon)

    v is at least (1 - rho) g^2, so no coordinate moves further than learning_rate / sqrt(1 - rho) in a step, which is
    also its first step. For a steady gradient, the step tends to `learning_rate`. Keras decays v of all rows at each
    step; here v of a row decays when the row is updated.

    Args:
        learning_rate: step of a coordinate whose gradient is steady; a number or a Keras schedule. A larger value takes
            larger steps.
        rho: decay rate of v at an update, 0 to below 1. A larger value averages squared gradients over more updates.
        epsilon: constant added to v inside the root, above 0. A larger value makes steps smaller where gradients are
            small.
        l2_gradient: lambda of L2 regularization: `lambda * w` is added to the gradient of each updated row, once a
            step. A larger value pulls weights closer to zero; 0 turns it off.
        weight_decay: lambda of decoupled weight decay: before its update, an updated row loses `learning_rate * lambda`
            of itself. Vectors, such as biases, do not decay. A larger value pulls weights closer to zero; 0 turns it
            off.
        max_norm: upper bound on the Euclidean norm of an updated row; a longer row is scaled down to it. None: no
            bound.
        name: Keras name of the optimizer.

    Source: `tf_keras.optimizers.RMSprop` without momentum, which it equals if every row is updated at every step.

    >>> table = tf.Variable([[1.0], [1.0]])
    >>> gradient = tf.IndexedSlices(tf.constant([[0.5], [0.5]]), tf.constant([1, 1]), tf.constant([2, 1]))
    >>> _ = RMSProp(learning_rate=0.1, rho=0.75).apply_gradients([(gradient, table)])
    >>> print(table.numpy().ravel().round(4))
    [1.  0.8]
    """

    state_names = ("accumulator",)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        rho: float = 0.9,
        epsilon: float = 1e-7,
        l2_gradient: float = 0.0,
        weight_decay: float = 0.0,
        max_norm: float | None = None,
        name: str = "rmsprop",
    ) -> None:
        super().__init__(learning_rate, l2_gradient, weight_decay, max_norm, name)
        check_decay_rates(rho=rho)
        check_above_0(epsilon=epsilon)
        self.rho, self.epsilon = rho, epsilon

    def update(self, gradient: Rows, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        accumulator = self.rho * state[0] + (1 - self.rho) * tf.square(gradient)
        return weight - learning_rate * gradient / tf.sqrt(accumulator + self.epsilon), (accumulator,)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}
