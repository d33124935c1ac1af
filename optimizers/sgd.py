"""SGD, plain and with momentum, for embedding tables."""

from typing import Any

import tf_keras

from optimizers.base import RowOptimizer, Rows, Scalar, Schedule, State, Updated
from optimizers.checks import check_decay_rates


@tf_keras.utils.register_keras_serializable("ctr")
class SGD(RowOptimizer):
    """Stochastic gradient descent on the rows of a batch.

        w <- w - learning_rate * g

    It keeps no state, so a table takes no more memory than its weights. Frequent and rare rows share one learning rate,
    so a row learns in proportion to how often it occurs.

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A larger value takes larger steps.
        l2_gradient: lambda of L2 regularization: `lambda * w` is added to the gradient of each updated row, once a
            step; here the same as `weight_decay`. A larger value pulls weights closer to zero; 0 turns it off.
        weight_decay: lambda of decoupled weight decay: before its update, an updated row loses `learning_rate * lambda`
            of itself. Vectors, such as biases, do not decay. A larger value pulls weights closer to zero; 0 turns it
            off.
        max_norm: upper bound on the Euclidean norm of an updated row; a longer row is scaled down to it. None: no
            bound.
        name: Keras name of the optimizer.

    Source: `tf_keras.optimizers.SGD` with momentum 0, which it equals.

    >>> import tensorflow as tf
    >>> table = tf.Variable([[1.0], [1.0]])
    >>> gradient = tf.IndexedSlices(tf.constant([[0.5], [0.5]]), tf.constant([1, 1]), tf.constant([2, 1]))
    >>> _ = SGD(learning_rate=0.1).apply_gradients([(gradient, table)])
    >>> print(table.numpy().ravel())
    [1.  0.9]
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        l2_gradient: float = 0.0,
        weight_decay: float = 0.0,
        max_norm: float | None = None,
        name: str = "sgd",
    ) -> None:
        super().__init__(learning_rate, l2_gradient, weight_decay, max_norm, name)

    def update(self, gradient: Rows, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        return weight - learning_rate * gradient, ()


@tf_keras.utils.register_keras_serializable("ctr")
class Momentum(RowOptimizer):
    """SGD with Polyak's (1964) or Nesterov's momentum, applied lazily: the velocity moves only updated rows.

        m <- momentum * m - learning_rate * g
        w <- w + m                                     or, with `nesterov`,
        w <- w + momentum * m - learning_rate * g

    Keras's SGD moves every row it has seen by its velocity at each step. Here a row and its velocity rest between
    updates, so the velocity carries the direction of the last update, however long ago it was. The learning rate is
    inside the velocity, as in Keras: a change of the rate affects new gradients, and past gradients keep their old
    rate. (PyTorch has it outside: m <- momentum * m + g, w <- w - learning_rate * m; at a constant rate both are the
    same.)

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A steady gradient moves a weight by learning_rate /
            (1 - momentum) times the gradient. A larger value takes larger steps.
        momentum: decay rate of the velocity at an update, 0 to below 1. A larger value sums more past gradients.
        nesterov: True for Nesterov momentum, which evaluates the velocity one step ahead.
        l2_gradient: lambda of L2 regularization: `lambda * w` is added to the gradient of each updated row, once a
            step. A larger value pulls weights closer to zero; 0 turns it off.
        weight_decay: lambda of decoupled weight decay: before its update, an updated row loses `learning_rate * lambda`
            of itself. Vectors, such as biases, do not decay. A larger value pulls weights closer to zero; 0 turns it
            off.
        max_norm: upper bound on the Euclidean norm of an updated row; a longer row is scaled down to it. None: no
            bound.
        name: Keras name of the optimizer.

    Source: `tf_keras.optimizers.SGD`, which it equals if every row is updated at every step.

    >>> import tensorflow as tf
    >>> table, optimizer = tf.Variable([[1.0], [1.0]]), Momentum(learning_rate=0.1, momentum=0.5)
    >>> for row in (0, 1, 1):
    ...     gradient = tf.IndexedSlices(tf.constant([[1.0]]), tf.constant([row]), tf.constant([2, 1]))
    ...     _ = optimizer.apply_gradients([(gradient, table)])
    >>> print(table.numpy().ravel())
    [0.9  0.75]
    """

    state_names = ("velocity",)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.9,
        nesterov: bool = False,
        l2_gradient: float = 0.0,
        weight_decay: float = 0.0,
        max_norm: float | None = None,
        name: str = "momentum",
    ) -> None:
        super().__init__(learning_rate, l2_gradient, weight_decay, max_norm, name)
        check_decay_rates(momentum=momentum)
        self.momentum, self.nesterov = momentum, nesterov

    def update(self, gradient: Rows, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        velocity = self.momentum * state[0] - learning_rate * gradient
        move = self.momentum * velocity - learning_rate * gradient if self.nesterov else velocity
        return weight + move, (velocity,)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
