"""Row-wise Adagrad: Adagrad with one number of state per row."""

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import RowOptimizer, Rows, Scalar, Schedule, State, Updated
from optimizers.checks import check_above_0


@tf_keras.utils.register_keras_serializable("ctr")
class RowWiseAdagrad(RowOptimizer):
    """Adagrad with one accumulator per row, so that a table with state is hardly larger than one without.

        n <- n + mean_i(g_i^2)
        w <- w - learning_rate * g / (sqrt(n) + epsilon)

    The state is one number per row, while Adagrad's is as wide as the row. All coordinates of a row share a rate, so a
    step points along the gradient, and its length is at most learning_rate * sqrt(dim). At width 1 it is Adagrad with a
    zero start. In a kernel, a row is the weights that leave one input; a vector, such as a bias, is one row.

    Args:
        learning_rate: largest root mean square of a row's step; a number or a Keras schedule. A larger value takes
            larger steps.
        epsilon: constant added outside the root, above 0. A larger value makes steps smaller where gradients are small.
        l2_gradient: lambda of L2 regularization: `lambda * w` is added to the gradient of each updated row, once a
            step. A larger value pulls weights closer to zero; 0 turns it off.
        weight_decay: lambda of decoupled weight decay: before its update, an updated row loses `learning_rate * lambda`
            of itself. Vectors, such as biases, do not decay. A larger value pulls weights closer to zero; 0 turns it
            off.
        max_norm: upper bound on the Euclidean norm of an updated row; a longer row is scaled down to it. None: no
            bound.
        name: Keras name of the optimizer.

    Source: FBGEMM's exact row-wise Adagrad, `EXACT_ROWWISE_ADAGRAD`. The class `RowWiseAdagrad` in TorchRec's
    `torchrec.optim` differs: it averages the gradient over the row first, n <- n + mean_i(g_i)^2, and moves all
    coordinates by this average.

    >>> table = tf.Variable([[1.0, 1.0], [0.0, 0.0]])
    >>> gradient = tf.IndexedSlices(tf.constant([[1.0, 7.0]]), tf.constant([1]), tf.constant([2, 2]))
    >>> _ = RowWiseAdagrad(learning_rate=0.1).apply_gradients([(gradient, table)])
    >>> print(table.numpy())
    [[ 1.    1.  ]
     [-0.02 -0.14]]
    """

    row_state_names = ("accumulator",)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        epsilon: float = 1e-8,
        l2_gradient: float = 0.0,
        weight_decay: float = 0.0,
        max_norm: float | None = None,
        name: str = "rowwise_adagrad",
    ) -> None:
        super().__init__(learning_rate, l2_gradient, weight_decay, max_norm, name)
        check_above_0(epsilon=epsilon)
        self.epsilon = epsilon

    def update(self, gradient: Rows, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        accumulator = state[0] + tf.reduce_mean(tf.square(gradient), axis=-1, keepdims=True)
        return weight - learning_rate * gradient / (tf.sqrt(accumulator) + self.epsilon), (accumulator,)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
