"""Group Adam: Adam's steps with penalties that set weights and whole rows to exactly zero."""

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import RowOptimizer, Rows, Scalar, Schedule, State, Updated
from optimizers.checks import check_above_0, check_at_least_0, check_decay_rates
from optimizers.ftrl import rate_of_penalties
from optimizers.group_lasso import group_radius, shrink_rows
from optimizers.powers import powers


@tf_keras.utils.register_keras_serializable("ctr")
class GroupAdam(RowOptimizer):
    """Adam with a group lasso on rows (Yue et al. 2021, arXiv 2107.14432, algorithm 1), for the rows of a batch only.

        m  <- beta_1 m + (1 - beta_1) g,    M = m / (1 - beta_1^t)
        v  <- beta_2 v + (1 - beta_2) g^2,  V = v / (1 - beta_2^t)
        c' <- sqrt(V) + epsilon
        z  <- z + M - (c' - c) / a * w
        s   = soft(-z, l1),                 soft(x, l) = sign(x) max(|x| - l, 0)
        w  <- s max(0, 1 - l21 sqrt(d) / ||s||) / (c' / a + l2)

    with a = learning_rate, t the steps of the table, and c the value of c' at the row's last update, initially 0.
    Without penalties it is lazy Adam: a row without a gradient keeps its weights and moments. Because t counts the
    table's steps, a row that first occurs late in training has moments that are not corrected for their start at zero.

    epsilon is added to the root of the corrected V, as in algorithm 1 of the Adam paper. `lazy_adam` and `adam`, like
    Keras, add it to the root of v, which amounts to a larger epsilon at first: epsilon / sqrt(1 - beta_2^t).

    Unlike in FTRL, initial weights count as evidence: the first update shrinks them by the penalties but does not
    discard them. A zero row keeps its state and becomes nonzero once ||s|| exceeds l21 sqrt(d).

    The state `linear` holds a z. As in `FtrlProximal`, a schedule scales only the step: a change of the learning rate
    changes no weight, and a rate of 0 is allowed. One more number of state per row counts steps for c in the table's
    dtype: float32 counts 16 million.

    Args:
        learning_rate: learning rate a of a step; a number or a Keras schedule. A larger value takes larger steps.
        beta_1: decay rate of the first moment at an update, 0 to below 1. A larger value averages over more updates.
        beta_2: decay rate of the second moment at an update, 0 to below 1. A larger value averages over more updates.
        epsilon: constant added to the root of the corrected V, above 0. A larger value makes steps smaller where
            gradients are small.
        l1: strength of the proximal L1 penalty on single weights, at least 0. Above 0 it sets weights to exactly zero;
            a larger value zeroes more weights.
        l21: strength of the proximal penalty on row norms, at least 0. Above 0 it sets whole rows to exactly zero; a
            larger value zeroes more rows.
        l2: strength of the proximal L2 penalty, at least 0, counted once. The paper counts it twice: use half of the
            paper's value here. A larger value pulls weights closer to zero.
        scale_sqrt_dim: True scales l21 by sqrt(d), d the row width, so that tables of all widths can share one value.
            With False, the threshold is l21 at any width.
        penalty_rate: learning rate that scales the penalties l1, l21 and l2, constant under a schedule. A larger value
            penalizes more. None: `learning_rate`, or the initial rate of a schedule.
        l2_gradient: lambda of L2 regularization: `lambda * w` is added to the gradient of each updated row, once a
            step. A larger value pulls weights closer to zero; 0 turns it off.
        name: Keras name of the optimizer.

    >>> table = tf.Variable([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    >>> gradient = tf.IndexedSlices(tf.constant([[0.3, 0.3], [0.01, 0.01]]), tf.constant([0, 1]), tf.constant([3, 2]))
    >>> _ = GroupAdam(learning_rate=0.1, l21=0.2).apply_gradients([(gradient, table)])
    >>> print(table.numpy().round(4))
    [[0.8333 0.8333]
     [0.     0.    ]
     [1.     1.    ]]
    """

    state_names = ("momentum", "velocity", "linear")
    weights_in_state = True
    row_state_names = ("steps",)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        l1: float = 0.0,
        l21: float = 0.0,
        l2: float = 0.0,
        scale_sqrt_dim: bool = True,
        penalty_rate: float | None = None,
        l2_gradient: float = 0.0,
        name: str = "group_adam",
    ) -> None:
        # no weight decay and no `max_norm`: weights come from the state, which would undo both at the next update
        super().__init__(learning_rate, l2_gradient, name=name)
        check_decay_rates(beta_1=beta_1, beta_2=beta_2)
        check_above_0(epsilon=epsilon)
        check_at_least_0(l1=l1, l21=l21, l2=l2)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.l1, self.l21, self.l2, self.scale_sqrt_dim = l1, l21, l2, scale_sqrt_dim
        self.penalty_rate = rate_of_penalties(penalty_rate, learning_rate)

    def update(self, gradient: Rows, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        momentum, velocity, linear, steps = state
        new_steps = tf.ones_like(steps) * tf.cast(step + 1, steps.dtype)
        new_momentum = self.beta_1 * momentum + (1 - self.beta_1) * gradient
        new_velocity = self.beta_2 * velocity + (1 - self.beta_2) * tf.square(gradient)
        curvature = tf.where(steps > 0, self._curvature(velocity, steps), 0)
        new_curvature = self._curvature(new_velocity, new_steps)
        move = learning_rate * new_momentum / powers(self.beta_1, new_steps, complement=True)
        linear += move - (new_curvature - curvature) * weight
        soft = tf.sign(linear) * tf.minimum(self.penalty_rate * self.l1 - tf.abs(linear), 0)
        shrunk = shrink_rows(soft, group_radius(weight, self.penalty_rate * self.l21, self.scale_sqrt_dim))
        new_weight = shrunk / (new_curvature + self.penalty_rate * self.l2)
        return new_weight, (new_momentum, new_velocity, linear, new_steps)

    def _curvature(self, velocity: Rows, steps: Rows) -> Rows:
        corrected = tf.math.divide_no_nan(velocity, powers(self.beta_2, steps, complement=True))
        return tf.sqrt(corrected) + self.epsilon

    def get_config(self) -> dict[str, Any]:
        arguments = ("beta_1", "beta_2", "epsilon", "l1", "l21", "l2", "scale_sqrt_dim", "penalty_rate")
        return {**super().get_config(), **{argument: getattr(self, argument) for argument in arguments}}
