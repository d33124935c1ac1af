"""FOBOS with a group lasso: rows shrink towards zero at each touch, with one number of state a row."""

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

    with d the width of the row and ||v|| its Euclidean norm. The state is one number a row, two with `catch_up`. A row
    at zero returns with one batch whose gradient has a norm above l21 sqrt(d): l21 stands against one gradient, where
    that of `GroupLassoAdagrad` stands against their sum, so the two have not the same good values. A start needs
    nothing of its own.

    A row is shrunk when it is touched, so rare rows are shrunk less. `catch_up` makes good for it, still at the touch:
    before its step a row is shrunk once for each of the k steps that passed it by,

        w <- w max(0, 1 - k eta l21 sqrt(d) / ||w||),    eta from the old h

    which is exactly what k touches without a gradient do, and without `l2_gradient`, `weight_decay` or a change of
    rate: the present rate counts for all of them. Between its touches a row is read as it was left. Steps are
    remembered in the table's type: float32 counts 16 million.

    Args:
        learning_rate: the largest step of a coordinate is learning_rate / (beta + sqrt(initial_accumulator + h)).
        beta: keeps the first steps small.
        initial_accumulator: h of a row at the start, so that beta may be 0.
        l21: proximal, on rows, counted once.
        scale_sqrt_dim: whether l21 is scaled by sqrt(d), as in `GroupLassoAdagrad`, so that tables of all widths may
            share it; Monolith does not scale.
        catch_up: shrink a row for the steps at which it was not touched.
        l2_gradient: lambda of an l2 term in the gradient.
        weight_decay: decoupled weight decay of touched rows.
        max_norm: bound on the norm of a touched row; None: no bound.
        name: of the optimizer.

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
        """Numbers of state that a row of width `dim` has, under the constructor's arguments."""
        return super().state_floats(dim) + catch_up

    def state_of_new_rows(self, step: int) -> dict[str, float]:
        """The steps before they joined passed them by without shrinking them."""
        return {"steps": step} if self.catch_up else {}

    def caught_up(self, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Rows:
        if not self.catch_up:
            return weight
        accumulator, steps = state  # `steps` were done after the last touch
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
        own = ("beta", "initial_accumulator", "l21", "scale_sqrt_dim", "catch_up")
        return {**super().get_config(), **{argument: getattr(self, argument) for argument in own}}
