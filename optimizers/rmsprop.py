"""RMSProp: steps divided by a moving root mean square of the gradient."""

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import RowOptimizer, Rows, Scalar, Schedule, State, Updated
from optimizers.checks import check_above_0, check_decay_rates


@tf_keras.utils.register_keras_serializable("ctr")
class RMSProp(RowOptimizer):
    """RMSProp (Tieleman and Hinton 2012) on touched rows.

        v <- rho * v + (1 - rho) * g^2
        w <- w - learning_rate * g / sqrt(v + epsilon)

    v holds at least (1 - rho) g^2, so no coordinate moves further than learning_rate / sqrt(1 - rho) in a step, which
    is also its first; where g is steady, the step tends to `learning_rate`. Keras decays the v of all rows at each
    step, here a row decays when it is touched.

    Args:
        learning_rate: the step of a coordinate whose gradient is steady.
        rho: what is kept of v at a touch, 0 to below 1.
        epsilon: added to v inside the root.
        l2_gradient: lambda of the l2 term in the gradient.
        weight_decay: decoupled weight decay of touched rows.
        max_norm: bound on the norm of a touched row; None: no bound.
        name: of the optimizer.

    Source: `tf_keras.optimizers.RMSprop` without momentum, which it equals where every row is touched at every step.

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
