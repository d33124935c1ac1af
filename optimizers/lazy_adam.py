"""Lazy Adam: Adam whose moments move only where a row is touched."""

from typing import Any, Literal

import tensorflow as tf
import tf_keras

from optimizers.base import RowOptimizer, Rows, Scalar, Schedule, State, Updated


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

    Args:
        learning_rate: a number, or a Keras schedule.
        beta_1: decay of the first moment, 0 to below 1.
        beta_2: decay of the second moment, 0 to below 1.
        epsilon: outside the root.
        bias_correction: what t counts. `table`: the steps so far, whatever they touched; `row`: the touches of the row,
            for two numbers more of state a row; None: no correction, the two factors that hold t are 1.
        l2_gradient: lambda of the l2 term in the gradient.
        weight_decay: decoupled weight decay of touched rows.
        max_norm: bound on the norm of a touched row; None: no bound.
        name: of the optimizer.

    Source: D. Kingma, J. Ba, arXiv 1412.6980, the form before section 2.1. Where every row is touched at every step,
    `table` and `row` equal `tf_keras.optimizers.Adam`.

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
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        bias_correction: Literal["table", "row"] | None = "table",
        l2_gradient: float = 0.0,
        weight_decay: float = 0.0,
        max_norm: float | None = None,
        name: str = "lazy_adam",
    ) -> None:
        super().__init__(learning_rate, l2_gradient, weight_decay, max_norm, name)
        for argument, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= beta < 1:
                raise ValueError(f"{argument} must be in [0, 1). Received: {beta}")
        if not epsilon > 0:
            raise ValueError(f"epsilon must be above 0. Received: {epsilon}")
        if bias_correction not in ("table", "row", None):
            raise ValueError(f"bias_correction must be 'table', 'row' or None. Received: {bias_correction!r}")
        self.beta_1, self.beta_2, self.epsilon, self.bias_correction = beta_1, beta_2, epsilon, bias_correction
        if bias_correction != "row":
            self.row_state_names = self._no_dependency(())

    @classmethod
    def state_floats(cls, dim: int, bias_correction: str | None = "table", **arguments: Any) -> int:
        """Numbers of state that a row of width `dim` has, under the constructor's arguments."""
        return 2 * dim + (2 if bias_correction == "row" else 0)

    def update(self, gradient: Rows, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        m, v, *corrections = state
        m = self.beta_1 * m + (1 - self.beta_1) * gradient
        v = self.beta_2 * v + (1 - self.beta_2) * tf.square(gradient)
        rate = learning_rate
        if self.bias_correction == "row":
            # 1 - beta^t is the moment of a gradient that is always 1, and kept as one, which is zero at the start: the
            # last bit of tf.pow depends on a row's place in the array
            betas = (self.beta_1, self.beta_2)
            corrections = [beta * c + (1 - beta) for beta, c in zip(betas, corrections, strict=True)]
            rate = learning_rate * tf.sqrt(corrections[1]) / corrections[0]
        elif self.bias_correction == "table":
            t = tf.cast(step + 1, tf.float64)  # in float32 1 - 0.999 is off by 1e-5 of itself
            rate = learning_rate * tf.cast(tf.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t), weight.dtype)
        return weight - rate * m / (tf.sqrt(v) + self.epsilon), (m, v, *corrections)

    def get_config(self) -> dict[str, Any]:
        own = ("beta_1", "beta_2", "epsilon", "bias_correction")
        return {**super().get_config(), **{argument: getattr(self, argument) for argument in own}}
