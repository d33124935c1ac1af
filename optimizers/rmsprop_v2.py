"""RMSPropV2: RMSProp whose accumulator sums instead of averaging."""

from typing import Any, Literal

import tensorflow as tf
import tf_keras

from optimizers.base import RowOptimizer, Rows, Scalar, Schedule, State, Updated
from optimizers.checks import check_above_0, check_decay_rates
from optimizers.powers import powers


@tf_keras.utils.register_keras_serializable("ctr")
class RMSPropV2(RowOptimizer):
    """RMSPropV2 on the rows of a batch: Adagrad with a window.

        g <- g + l2_gradient * w
        v <- beta * v + g^2
        w <- w - learning_rate * g / sqrt(v + epsilon)

    v is at least g^2, so no coordinate moves further than `learning_rate` in a step. For a steady gradient, the step
    tends to learning_rate * sqrt(1 - beta). beta = 1 is Adagrad. From v = 0 it equals RMSProp with the rate
    learning_rate * sqrt(1 - beta) and epsilon * (1 - beta).

    While v is far below epsilon, the step is that of gradient descent with the rate learning_rate / sqrt(epsilon), and
    shrinks with the gradient. This holds at a row's first updates if gradients are below sqrt(epsilon), 1e-4 by
    default, and always if they stay below sqrt(epsilon * (1 - beta)), 1e-5. For steps near `learning_rate` at such
    gradients, lower `epsilon` or set `epsilon_inside=False`.

    With `momentum`, the step is a decaying sum, applied only when a row is updated:

        m <- momentum * m + learning_rate * g / sqrt(v + epsilon)
        w <- w - m

    No coordinate then moves further than learning_rate / (1 - momentum).

    Args:
        learning_rate: largest step of a coordinate, without momentum; a number or a Keras schedule. A larger value
            takes larger steps.
        beta: decay rate of v at an update, or in a step with `decay: time`; 0 to 1. A larger value sums squared
            gradients over more updates; 1 is Adagrad.
        epsilon: constant added to v inside the root, above 0. Where it exceeds v, the step is that of gradient descent;
            a larger value makes steps smaller where gradients are small.
        epsilon_inside: False adds epsilon outside the root instead: sqrt(v) + epsilon.
        momentum: decay rate of the last step, 0 to below 1. A larger value sums more past steps; above 0 it needs a
            second state as wide as the row.
        decay: time scale of beta. `touch`: v <- beta * v + g^2 at each update of a row. `time`: v <- beta^k * v + g^2,
            k the steps since the row's last update, as if they had zero gradients. `time` needs one number per row,
            which counts steps in the table's dtype: float32 counts 16 million.
        l2_gradient: lambda of L2 regularization: `lambda * w` is added to the gradient of each updated row, once a
            step. A larger value pulls weights closer to zero; 0 turns it off.
        weight_decay: lambda of decoupled weight decay: before its update, an updated row loses `learning_rate * lambda`
            of itself. Vectors, such as biases, do not decay. A larger value pulls weights closer to zero; 0 turns it
            off.
        max_norm: upper bound on the Euclidean norm of an updated row; a longer row is scaled down to it. None: no
            bound.
        name: Keras name of the optimizer.

    Source: Monolith's `use_v2` RMSProp (Liu et al. 2022, arXiv 2209.07663), with epsilon inside the root; its dense op
    corresponds to `epsilon_inside=False`.

    >>> table = tf.Variable([[1.0], [1.0]])
    >>> gradient = tf.IndexedSlices(tf.constant([[0.5], [0.5]]), tf.constant([1, 1]), tf.constant([2, 1]))
    >>> _ = RMSPropV2(learning_rate=0.1).apply_gradients([(gradient, table)])
    >>> print(table.numpy().ravel())
    [1.  0.9]
    """

    state_names = ("accumulator",)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        beta: float = 0.99,
        epsilon: float = 1e-8,
        epsilon_inside: bool = True,
        momentum: float = 0.0,
        decay: Literal["touch", "time"] = "touch",
        l2_gradient: float = 0.0,
        weight_decay: float = 0.0,
        max_norm: float | None = None,
        name: str = "rmsprop_v2",
    ) -> None:
        super().__init__(learning_rate, l2_gradient, weight_decay, max_norm, name)
        if not 0 <= beta <= 1:
            raise ValueError(f"beta must be in [0, 1]. Received: {beta}")
        check_above_0(epsilon=epsilon)
        check_decay_rates(momentum=momentum)
        if decay not in ("touch", "time"):
            raise ValueError(f"decay must be 'touch' or 'time'. Received: {decay!r}")
        self.beta, self.epsilon, self.epsilon_inside = beta, epsilon, epsilon_inside
        self.momentum, self.decay = momentum, decay
        if momentum:
            self.state_names = self._no_dependency(("accumulator", "momentum"))
        if decay == "time":
            self.row_state_names = self._no_dependency(("steps",))

    @classmethod
    def state_floats(cls, dim: int, momentum: float = 0.0, decay: str = "touch", **others: Any) -> int:
        """Return the number of state values per row of width `dim` for the constructor's arguments."""
        return super().state_floats(dim) + (dim if momentum else 0) + (decay == "time")

    def update(self, gradient: Rows, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        old, rest = state[0], state[1:]
        new_rest: list[Rows] = []
        beta = self.beta
        if self.decay == "time":
            steps = rest[-1]  # steps of the table completed at the row's last update
            new_steps = tf.ones_like(steps) * tf.cast(step + 1, steps.dtype)
            beta = powers(self.beta, new_steps - steps)
            new_rest = [new_steps]
        accumulator = beta * old + tf.square(gradient)
        # not rsqrt, because its last bit on a CPU depends on the row's position in the array
        if self.epsilon_inside:
            move = learning_rate * gradient / tf.sqrt(accumulator + self.epsilon)
        else:
            move = learning_rate * gradient / (tf.sqrt(accumulator) + self.epsilon)
        if self.momentum:
            move += self.momentum * rest[0]
            new_rest = [move, *new_rest]
        return weight - move, (accumulator, *new_rest)

    def get_config(self) -> dict[str, Any]:
        arguments = ("beta", "epsilon", "epsilon_inside", "momentum", "decay")
        return {**super().get_config(), **{argument: getattr(self, argument) for argument in arguments}}
