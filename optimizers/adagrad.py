"""Adagrad: the learning rate of each weight falls with the sum of its squared gradients."""

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import RowOptimizer, Rows, Scalar, Schedule, State, Updated
from optimizers.checks import check_above_0, check_at_least_0


@tf_keras.utils.register_keras_serializable("ctr")
class Adagrad(RowOptimizer):
    """Adagrad (Duchi et al. 2011) on the rows of a batch, with an optional bound on its accumulator.

        n <- min(n + g^2, max_accumulator),    n = initial_accumulator at the start
        w <- w - learning_rate * g / sqrt(n + epsilon)

    Rare rows keep large steps, frequent rows slow down, and rows outside the batch lose nothing. Gradients here are
    those of the batch's mean loss. Where their squares sum to much less than `initial_accumulator`, this is SGD with
    the rate learning_rate / sqrt(initial_accumulator). Once n reaches `max_accumulator`, it is SGD again and continues
    to learn.

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A larger value takes larger steps.
        initial_accumulator: initial value of n, at least 0. A larger value makes the first steps smaller.
        epsilon: constant added to n inside the root, above 0.
        max_accumulator: upper bound on n, at least `initial_accumulator`; it keeps the learning rate of frequent rows
            from falling further. None: no bound.
        l2_gradient: lambda of L2 regularization: `lambda * w` is added to the gradient of each updated row, once a
            step. A larger value pulls weights closer to zero; 0 turns it off.
        weight_decay: lambda of decoupled weight decay: before its update, an updated row loses `learning_rate * lambda`
            of itself. Vectors, such as biases, do not decay. A larger value pulls weights closer to zero; 0 turns it
            off.
        max_norm: upper bound on the Euclidean norm of an updated row; a longer row is scaled down to it. None: no
            bound.
        name: Keras name of the optimizer.

    Raises:
        ValueError: an argument is outside its range.

    Source: J. Duchi, E. Hazan, Y. Singer, JMLR 12 (2011), in the form of `tf_keras.optimizers.Adagrad`, which it equals
    without a bound. The bound is an addition of this project.

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
        # states start at zero, so this state is n - initial_accumulator
        growth = state[0] + tf.square(gradient)
        if self.max_accumulator is not None:
            growth = tf.minimum(growth, self.max_accumulator - self.initial_accumulator)
        root = tf.sqrt(self.initial_accumulator + growth + self.epsilon)
        return weight - learning_rate * gradient / root, (growth,)

    def get_config(self) -> dict[str, Any]:
        arguments = ("initial_accumulator", "epsilon", "max_accumulator")
        return {**super().get_config(), **{argument: getattr(self, argument) for argument in arguments}}
