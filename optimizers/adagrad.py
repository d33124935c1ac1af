"""Adagrad: each weight's rate falls with the gradients that it has met."""

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import RowOptimizer, Rows, Scalar, Schedule, State, Updated
from optimizers.checks import check_above_0, check_at_least_0


@tf_keras.utils.register_keras_serializable("ctr")
class Adagrad(RowOptimizer):
    """Adagrad (Duchi et al. 2011) on touched rows, with a bound on its accumulator.

        n <- min(n + g^2, max_accumulator),    n = initial_accumulator at the start
        w <- w - learning_rate * g / sqrt(n + epsilon)

    Rare rows keep large steps, frequent ones slow down; a row that no batch holds loses nothing by it. Gradients here
    are those of a batch's mean loss: where their squares sum to much less than `initial_accumulator`, this is SGD with
    learning_rate / sqrt(initial_accumulator). Once n is at `max_accumulator`, it is SGD again, and keeps learning.

    Args:
        learning_rate: a number, or a Keras schedule.
        initial_accumulator: what n starts at; it bounds the first steps.
        epsilon: added to n inside the root.
        max_accumulator: what n never exceeds; None: no bound.
        l2_gradient: lambda of the l2 term in the gradient.
        weight_decay: decoupled weight decay of touched rows.
        max_norm: bound on the norm of a touched row; None: no bound.
        name: of the optimizer.

    Source: J. Duchi, E. Hazan, Y. Singer, JMLR 12 (2011), in the form of `tf_keras.optimizers.Adagrad`, which it equals
    without a bound. The bound is the project's.

    >>> table = tf.Variable([[1.0], [1.0]])
    >>> gradient = tf.IndexedSlices(tf.constant([[0.5], [0.5]]), tf.constant([1, 1]), tf.constant([2, 1]))
    >>> _ = Adagrad(learning_rate=0.1, initial_accumulator=3.0).apply_gradients([(gradient, table)])
    >>> print(table.numpy().ravel())
    [1.   0.95]
    """

    state_names = ("accumulator",)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        initial_accumulator: float = 0.1,
        epsilon: float = 1e-7,
        max_accumulator: float | None = None,
        l2_gradient: float = 0.0,
        weight_decay: float = 0.0,
        max_norm: float | None = None,
        name: str = "adagrad",
    ) -> None:
        super().__init__(learning_rate, l2_gradient, weight_decay, max_norm, name)
        check_at_least_0(initial_accumulator=initial_accumulator)
        check_above_0(epsilon=epsilon)
        if max_accumulator is not None and not max_accumulator >= initial_accumulator:
            raise ValueError(
                f"max_accumulator must be at least initial_accumulator, {initial_accumulator}. "
                f"Received: {max_accumulator}"
            )
        self.initial_accumulator, self.epsilon, self.max_accumulator = initial_accumulator, epsilon, max_accumulator

    def update(self, gradient: Rows, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        # states start at zero: this one is n less its start
        gathered = state[0] + tf.square(gradient)
        if self.max_accumulator is not None:
            gathered = tf.minimum(gathered, self.max_accumulator - self.initial_accumulator)
        root = tf.sqrt(self.initial_accumulator + gathered + self.epsilon)
        return weight - learning_rate * gradient / root, (gathered,)

    def get_config(self) -> dict[str, Any]:
        own = ("initial_accumulator", "epsilon", "max_accumulator")
        return {**super().get_config(), **{argument: getattr(self, argument) for argument in own}}
