"""FOBOS with a group lasso: rows shrink towards zero at each update, with one number of state per row."""

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import RowOptimizer, Rows, Scalar, Schedule, State, Updated
from optimizers.checks import check_at_least_0
from optimizers.group_lasso import group_radius, shrink_rows


@tf_keras.utils.register_keras_serializable("ctr")
class FobosGroupLasso(RowOptimizer):
    """A step of row-wise Adagrad, then the proximal operator of the rows' norms: FOBOS (Duchi and Singer 2009).

        h  <- h + max_i g_i^2
        eta = learning_rate / (beta + sqrt(initial_accumulator + h))
        v   = w - eta g
        w  <- v max(0, 1 - eta l21 sqrt(d) / ||v||)

    with d the width of a row and ||v|| the Euclidean norm of v. The state is one number per row, or two with
    `catch_up`. A zero row becomes nonzero in one batch if the norm of its gradient exceeds l21 sqrt(d). Here l21 is
    compared with one gradient, in `GroupLassoAdagrad` with the sum of all gradients, so good values differ between the
    two. Rows start from their initial weights without a setting.

    A row shrinks only when it is updated, so rare rows shrink less. `catch_up` compensates for this at the next update:
    before its step, a row shrinks once for each of the k steps since its last update,

        w <- w max(0, 1 - k eta l21 sqrt(d) / ||w||),    eta from the old h

    which equals exactly k updates with a zero gradient if there is no `l2_gradient`, no `weight_decay` and no change of
    the learning rate. The current rate is used for all k steps. Between updates, a row is read without this shrinkage.
    Steps are counted in the table's dtype: float32 counts 16 million.

    Args:
        learning_rate: largest step of a coordinate before shrinkage; a number or a Keras schedule. A larger value takes
            larger steps.
        beta: constant in the denominator of eta, at least 0. A larger value makes the first steps smaller.
        initial_accumulator: initial value of h, at least 0; above 0 it allows beta = 0. A larger value makes the first
            steps smaller.
        l21: strength of the proximal penalty on row norms, at least 0, counted once, in units of a single gradient, so
            values of `GroupLassoAdagrad` do not carry over. Above 0 it sets whole rows to exactly zero; a larger value
            zeroes more rows.
        scale_sqrt_dim: True scales l21 by sqrt(d), as in `GroupLassoAdagrad`, so that tables of all widths can share
            one value. Monolith does not scale.
        catch_up: True also shrinks a row for the steps in which it was not updated, for one more number of state per
            row.
        l2_gradient: lambda of L2 regularization: `lambda * w` is added to the gradient of each updated row, once a
            step. A larger value pulls weights closer to zero; 0 turns it off.
        weight_decay: lambda of decoupled weight decay: before its update, an updated row loses `learning_rate * lambda`
            of itself. Vectors, such as biases, do not decay. A larger value pulls weights closer to zero; 0 turns it
            off.
        max_norm: upper bound on the Euclidean norm of an updated row; a longer row is scaled down to it. None: no
            bound.
        name: Keras name of the optimizer.

    Source: Monolith's GroupAdaGrad (Liu et al. 2022, arXiv 2209.07663), whose u = g - w / eta is -v / eta.

    >>> table = tf.Variable([[0.0, 0.0], [0.0, 0.0]])
    >>> gradient = tf.IndexedSlices(tf.constant([[0.3, 0.4], [0.03, 0.04]]), tf.constant([0, 1]), tf.constant([2, 2]))
    >>> optimizer = FobosGroupLasso(learning_rate=0.1, initial_accumulator=0.0, l21=0.1, scale_sqrt_dim=False)
    >>> _ = optimizer.apply_gradients([(gradient, table)])
    >>> print(table.numpy().round(4))
    [[-0.06 -0.08]
     [-0.   -0.  ]]
    """

    row_state_names = ("accumulator",)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        beta: float = 0.0,
        initial_accumulator: float = 0.1,
        l21: float = 0.0,
        scale_sqrt_dim: bool = True,
        catch_up: bool = False,
        l2_gradient: float = 0.0,
        weight_decay: float = 0.0,
        max_norm: float | None = None,
        name: str = "fobos_group_lasso",
    ) -> None:
        super().__init__(learning_rate, l2_gradient, weight_decay, max_norm, name)
        check_at_least_0(beta=beta, initial_accumulator=initial_accumulator, l21=l21)
        self.beta, self.initial_accumulator, self.l21 = beta, initial_accumulator, l21
        self.scale_sqrt_dim, self.catch_up = scale_sqrt_dim, catch_up
        if catch_up:
            self.row_state_names = self._no_dependency((*type(self).row_state_names, "steps"))

    @classmethod
    def state_floats(cls, dim: int, catch_up: bool = False, **others: Any) -> int:
        """Return the number of state values per row of width `dim` for the constructor's arguments."""
        return super().state_floats(dim) + catch_up

    def state_of_new_rows(self, step: int) -> dict[str, float]:
        """Return the step at which rows join, so that the steps before do not shrink them."""
        return {"steps": step} if self.catch_up else {}

    def caught_up(self, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Rows:
        if not self.catch_up:
            return weight
        accumulator, steps = state  # `steps`: steps of the table completed at the row's last update
        missed = tf.cast(step, weight.dtype) - steps
        return shrink_rows(weight, missed * self._eta(accumulator, learning_rate) * self._radius(weight))

    def update(self, gradient: Rows, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        accumulator = state[0] + tf.reduce_max(tf.square(gradient), axis=-1, keepdims=True)
        eta = self._eta(accumulator, learning_rate)
        new_weight = shrink_rows(weight - eta * gradient, eta * self._radius(weight))
        steps = [tf.ones_like(last) * tf.cast(step + 1, last.dtype) for last in state[1:]]
        return new_weight, (accumulator, *steps)

    def _eta(self, accumulator: Rows, learning_rate: tf.Tensor) -> Rows:
        root = tf.sqrt(self.initial_accumulator + accumulator)
        return tf.math.divide_no_nan(learning_rate, self.beta + root)

    def _radius(self, rows: Rows) -> float:
        return group_radius(rows, self.l21, self.scale_sqrt_dim)

    def get_config(self) -> dict[str, Any]:
        arguments = ("beta", "initial_accumulator", "l21", "scale_sqrt_dim", "catch_up")
        return {**super().get_config(), **{argument: getattr(self, argument) for argument in arguments}}
