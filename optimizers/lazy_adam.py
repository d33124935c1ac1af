"""Lazy Adam: Adam whose moments move only where a row is touched."""

from typing import Any, Literal

import tensorflow as tf
import tf_keras

from optimizers.base import RowOptimizer, Rows, Scalar, Schedule, State, Updated
from optimizers.checks import check_above_0, check_decay_rates


@tf_keras.utils.register_keras_serializable("ctr")
class LazyAdam(RowOptimizer):
    """Adam (Kingma and Ba 2015) on touched rows.

        m <- beta_1 m + (1 - beta_1) g
        v <- beta_2 v + (1 - beta_2) g^2
        w <- w - learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)

    Adam proper lets both moments decay, and every row it has seen move, at each step; here a row rests between touches.
    So t has two readings. As the table's steps it is large when a rare row first occurs, whose moments then start from
    an uncorrected zero: its first step is learning_rate * (1 - beta_1) / sqrt(1 - beta_2), three rates by default. As
    the row's own touches each row is corrected as in Adam, and its first step is one rate.

    With beta_2 = "1 - 1/t", the AdamNC of Reddi et al. 2018, v forgets nothing: v <- v + (g^2 - v) / t. At t = 1 the
    decay is 0, so v has no start to be corrected for, and sqrt(1 - beta_2^t) is 1. As the row's own touches t makes v
    the mean of the row's squared gradients, so that steps keep the size of Adam's and a coordinate's large gradients,
    if rare, stay in sight, where a fixed decay forgets them and may not converge. As the table's steps, also where
    nothing is corrected, a touch weighs 1 / t however few the row has had: v of a row that first occurs at a late t
    starts at g^2 / t and fills slowly, and its first step is learning_rate * (1 - beta_1) * sqrt(t). AdamNC's bounds
    are for a rate that falls as 1 / sqrt(t), which undoes that.

    Args:
        learning_rate: a number, or a Keras schedule.
        beta_1: decay of the first moment, 0 to below 1.
        beta_2: decay of the second moment, 0 to below 1, or the text "1 - 1/t".
        epsilon: outside the root, of v as it is; `GroupAdam` adds it to that of the corrected v.
        bias_correction: what t counts. `table`: the steps so far, whatever they touched; `row`: the touches of the row,
            for two numbers more of state a row; None: no correction, the two factors that hold t are 1. Touches are
            counted, for "1 - 1/t", in the table's type: float32 counts 16 million.
        l2_gradient: lambda of the l2 term in the gradient.
        weight_decay: decoupled weight decay of touched rows.
        max_norm: bound on the norm of a touched row; None: no bound.
        name: of the optimizer.

    Source: D. Kingma, J. Ba, arXiv 1412.6980, the form before section 2.1; S. Reddi, S. Kale, S. Kumar, arXiv
    1904.09237, section 4, for AdamNC. Where every row is touched at every step, `table` and `row` are equal, and with a
    number as beta_2 equal `tf_keras.optimizers.Adam`.

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
        """Numbers of state that a row of width `dim` has, under the constructor's arguments."""
        return 2 * dim + (2 if bias_correction == "row" else 0)

    def update(self, gradient: Rows, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        m, v, *row_state = state
        m = self.beta_1 * m + (1 - self.beta_1) * gradient
        t, rate = step + 1, learning_rate
        if self.bias_correction == "row":
            # 1 - beta^t is the moment of a gradient that is always 1, and kept as one, which is zero at the start: the
            # last bit of tf.pow depends on a row's place in the array
            correction_1 = self.beta_1 * row_state[0] + (1 - self.beta_1)
            if isinstance(self.beta_2, str):
                t = row_state[1] + 1
                row_state, rate = [correction_1, t], learning_rate / correction_1
            else:
                correction_2 = self.beta_2 * row_state[1] + (1 - self.beta_2)
                row_state, rate = [correction_1, correction_2], learning_rate * tf.sqrt(correction_2) / correction_1
        elif self.bias_correction == "table":
            steps = tf.cast(t, tf.float64)  # in float32 1 - 0.999 is off by 1e-5 of itself
            root = 1.0 if isinstance(self.beta_2, str) else tf.sqrt(1 - self.beta_2**steps)
            rate = learning_rate * tf.cast(root / (1 - self.beta_1**steps), weight.dtype)
        square = tf.square(gradient)
        if isinstance(self.beta_2, str):
            v += (square - v) / tf.cast(t, v.dtype)
        else:
            v = self.beta_2 * v + (1 - self.beta_2) * square
        return weight - rate * m / (tf.sqrt(v) + self.epsilon), (m, v, *row_state)

    def get_config(self) -> dict[str, Any]:
        own = ("beta_1", "beta_2", "epsilon", "bias_correction")
        return {**super().get_config(), **{argument: getattr(self, argument) for argument in own}}
