"""SGD, plain and with momentum."""

from typing import Any

import tf_keras

from optimizers.base import RowOptimizer, Rows, Scalar, Schedule, State, Updated
from optimizers.checks import check_decay_rates


@tf_keras.utils.register_keras_serializable("ctr")
class SGD(RowOptimizer):
    """Stochastic gradient descent on touched rows.

        w <- w - learning_rate * g

    It keeps no state, so a table takes no more memory than its weights. One rate serves frequent and rare rows alike:
    a row learns in proportion to how often it occurs.

    Args:
        learning_rate: a number, or a Keras schedule.
        l2_gradient: lambda of the l2 term in the gradient; here the same as `weight_decay`.
        weight_decay: decoupled weight decay of touched rows.
        max_norm: bound on the norm of a touched row; None: no bound.
        name: of the optimizer.

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
    """SGD with momentum (Polyak 1964), or Nesterov's, lazily: only a touched row has its velocity applied.

        m <- momentum * m - learning_rate * g
        w <- w + m                                     or, with `nesterov`,
        w <- w + momentum * m - learning_rate * g

    Keras's SGD lets every row it has seen glide on at each step. Here a row rests between touches and so does its
    velocity, which then carries the last touch's direction however long ago it was. The rate is inside the velocity, as
    in Keras: a change of rate acts on new gradients, and what the velocity holds goes on at the old rate. (PyTorch has
    it outside: m <- momentum * m + g, w <- w - learning_rate * m; at a steady rate both are the same.)

    Args:
        learning_rate: a number, or a Keras schedule; a steady gradient moves by learning_rate / (1 - momentum).
        momentum: what is kept of the velocity at a touch, 0 to below 1.
        nesterov: look one step of the velocity ahead.
        l2_gradient: lambda of the l2 term in the gradient.
        weight_decay: decoupled weight decay of touched rows.
        max_norm: bound on the norm of a touched row; None: no bound.
        name: of the optimizer.

    Source: `tf_keras.optimizers.SGD`, which it equals where every row is touched at every step.

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
