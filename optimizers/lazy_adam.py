"""Lazy Adam: Adam whose moments change only when a row is updated."""

from typing import Any, Literal

import tensorflow as tf
import tf_keras

from optimizers.base import RowOptimizer, Rows, Scalar, Schedule, State, Updated
from optimizers.checks import check_above_0, check_decay_rates


@tf_keras.utils.register_keras_serializable("ctr")
class LazyAdam(RowOptimizer):
    """Adam (Kingma and Ba 2015) on the rows of a batch.

        m <- beta_1 m + (1 - beta_1) g
        v <- beta_2 v + (1 - beta_2) g^2
        w <- w - learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)

    Adam itself decays both moments, and moves every row it has seen, at each step. Here a row changes only when it is
    updated, so t can count two things (`bias_correction`):

    - the table's steps. When a rare row first occurs, t is large, so its moments start from an uncorrected zero. Its
      first step is learning_rate * (1 - beta_1) / sqrt(1 - beta_2): about three times the learning rate by default.
    - the row's own updates. Each row is corrected as in Adam, and its first step equals the learning rate.

    With beta_2 = "1 - 1/t", the AdamNC of Reddi et al. 2018, v forgets nothing: v <- v + (g^2 - v) / t. At t = 1 the
    decay is 0, so v needs no correction for its start, and sqrt(1 - beta_2^t) is 1.

    - If t counts the row's own updates, v is the mean of the row's squared gradients. Steps keep the size of Adam's,
      and rare large gradients of a coordinate are remembered. A fixed decay forgets them and might not converge.
    - If t counts the table's steps, also without bias correction, an update weighs 1 / t however few updates the row
      has had. If a row first occurs at a late t, its v starts at g^2 / t and fills slowly. Its first step is
      learning_rate * (1 - beta_1) * sqrt(t). AdamNC's bounds assume a learning rate that falls as 1 / sqrt(t), which
      cancels the root.

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A larger value takes larger steps.
        beta_1: decay rate of the first moment at an update, 0 to below 1. A larger value averages over more updates.
        beta_2: decay rate of the second moment at an update, 0 to below 1, or the text "1 - 1/t". A larger value
            averages over more updates.
        epsilon: constant added to the root of the uncorrected v, above 0; `GroupAdam` adds it to the root of the
            corrected v. A larger value makes steps smaller where gradients are small.
        bias_correction: meaning of t. `table`: steps of the table so far. `row`: updates of the row,
            for two more numbers of state per row. None: no correction; both factors that contain t are 1. For "1 -
            1/t", updates are counted in the table's dtype: float32 counts 16 million.
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

    Source: D. Kingma, J. Ba, arXiv 1412.6980, the form before section 2.1; S. Reddi, S. Kale, S. Kumar, arXiv
    1904.09237, section 4, for AdamNC. If every row is updated at every step, `table` and `row` are equal, and with a
    number as beta_2 both equal `tf_keras.optimizers.Adam`.

    >>> table = tf.Variable([[1.0], [1.0]])
    >>> gradient = tf.IndexedSlices(tf.constant([[0.5], [0.5]]), tf.constant([1, 1]), tf.constant([2, 1]))
    >>> _ = LazyAdam(learning_rate=0.1).apply_gradients([(gradient, table)])
    >>> print(table.numpy().ravel().round(4))
    [1.  0.9]
    """

    state_names = ("m", "v")
    row_state_names = ("correction_1", "correction_2")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float | Literal["1 - 1/t"] = 0.999,
        epsilon: float = 1e-8,
        bias_correction: Literal["table", "row"] | None = "table",
        l2_gradient: float = 0.0,
        weight_decay: float = 0.0,
        max_norm: float | None = None,
        name: str = "lazy_adam",
    ) -> None:
        super().__init__(learning_rate, l2_gradient, weight_decay, max_norm, name)
        check_decay_rates(beta_1=beta_1)
        if beta_2 != "1 - 1/t" and (isinstance(beta_2, str) or not 0 <= beta_2 < 1):
            raise ValueError(f"beta_2 must be in [0, 1) or '1 - 1/t'. Received: {beta_2!r}")
        check_above_0(epsilon=epsilon)
        if bias_correction not in ("table", "row", None):
            raise ValueError(f"bias_correction must be 'table', 'row' or None. Received: {bias_correction!r}")
        self.beta_1, self.beta_2, self.epsilon, self.bias_correction = beta_1, beta_2, epsilon, bias_correction
        if bias_correction != "row":
            self.row_state_names = self._no_dependency(())
        elif beta_2 == "1 - 1/t":
            self.row_state_names = self._no_dependency(("correction_1", "touches"))

    @classmethod
    def state_floats(cls, dim: int, bias_correction: str | None = "table", **arguments: Any) -> int:
        """Return the number of state values per row of width `dim` for the constructor's arguments."""
        return 2 * dim + (2 if bias_correction == "row" else 0)

    def update(self, gradient: Rows, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        m, v, *row_state = state
        m = self.beta_1 * m + (1 - self.beta_1) * gradient
        t, rate = step + 1, learning_rate
        if self.bias_correction == "row":
            # 1 - beta^t is stored as the moment of a gradient that is always 1, starting at zero, because the last bit
            # of tf.pow depends on the row's position in the array
            correction_1 = self.beta_1 * row_state[0] + (1 - self.beta_1)
            if isinstance(self.beta_2, str):
                t = row_state[1] + 1
                row_state, rate = [correction_1, t], learning_rate / correction_1
            else:
                correction_2 = self.beta_2 * row_state[1] + (1 - self.beta_2)
                row_state, rate = [correction_1, correction_2], learning_rate * tf.sqrt(correction_2) / correction_1
        elif self.bias_correction == "table":
            steps = tf.cast(t, tf.float64)  # in float32, 1 - 0.999 has a relative error of 1e-5
            root = 1.0 if isinstance(self.beta_2, str) else tf.sqrt(1 - self.beta_2**steps)
            rate = learning_rate * tf.cast(root / (1 - self.beta_1**steps), weight.dtype)
        square = tf.square(gradient)
        if isinstance(self.beta_2, str):
            v += (square - v) / tf.cast(t, v.dtype)
        else:
            v = self.beta_2 * v + (1 - self.beta_2) * square
        return weight - rate * m / (tf.sqrt(v) + self.epsilon), (m, v, *row_state)

    def get_config(self) -> dict[str, Any]:
        arguments = ("beta_1", "beta_2", "epsilon", "bias_correction")
        return {**super().get_config(), **{argument: getattr(self, argument) for argument in arguments}}
