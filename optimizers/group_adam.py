"""Group Adam: Adam's steps with penalties that leave exact zeros and zero rows."""

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
    """Adam with a group lasso on rows (Yue et al. 2021, arXiv 2107.14432, algorithm 1), on touched rows only.

        m  <- beta_1 m + (1 - beta_1) g,    M = m / (1 - beta_1^t)
        v  <- beta_2 v + (1 - beta_2) g^2,  V = v / (1 - beta_2^t)
        c' <- sqrt(V) + epsilon
        z  <- z + M - (c' - c) / a * w
        s   = soft(-z, l1),                 soft(x, l) = sign(x) max(|x| - l, 0)
        w  <- s max(0, 1 - l21 sqrt(d) / ||s||) / (c' / a + l2)

    with a = learning_rate, t the steps of the table, and c that of the row's last touch, 0 at first. Without penalties
    it is Adam, lazy: a row without a gradient keeps its weight and its moments, and a row's first touches in a table
    that is long in training are not corrected for their moments' start at zero. epsilon is added to the root of the
    corrected V, as in algorithm 1 of Adam's paper; `lazy_adam` and `adam`, as Keras, add it to the root of v and so
    divide by a larger epsilon at first: epsilon / sqrt(1 - beta_2^t). Unlike in FTRL, a start is evidence: at
    the first touch it is shrunk by the penalties, but not lost. A row at zero keeps its state and returns once ||s||
    exceeds l21 sqrt(d).

    The state `linear` holds a z, and a schedule moves the step alone, as in `FtrlProximal`: a change of rate moves no
    weight, and a rate of 0 is legal. A further state, one number a row, counts steps in the table's type for c: float32
    counts 16 million.

    Args:
        learning_rate: a, the rate of a step.
        beta_1: decay of the first moment, at a touch.
        beta_2: decay of the second moment, at a touch.
        epsilon: outside the root, of the corrected V.
        l1: proximal, on single weights.
        l21: proximal, on rows.
        l2: proximal, counted once; the paper counts it twice: halve it for the paper's.
        scale_sqrt_dim: whether l21 is scaled by sqrt(d), so that tables of all widths may share it.
        penalty_rate: as in `FtrlProximal`: the rate that penalties are scaled by.
        l2_gradient: lambda of an l2 term in the gradient.
        name: of the optimizer.

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
        # no decay and no bound of the norm: the state would give back at the next touch what they took
        super().__init__(learning_rate, l2_gradient, name=name)
        check_decay_rates(beta_1=beta_1, beta_2=beta_2)
        check_above_0(epsilon=epsilon)
        check_at_least_0(l1=l1, l21=l21, l2=l2)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.l1, self.l21, self.l2, self.scale_sqrt_dim = l1, l21, l2, scale_sqrt_dim
        self.penalty_rate = rate_of_penalties(penalty_rate, learning_rate)

    def update(self, gradient: Rows, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        momentum, velocity, linear, steps = state
        now = tf.ones_like(steps) * tf.cast(step + 1, steps.dtype)
        new_momentum = self.beta_1 * momentum + (1 - self.beta_1) * gradient
        new_velocity = self.beta_2 * velocity + (1 - self.beta_2) * tf.square(gradient)
        curvature = tf.where(steps > 0, self._curvature(velocity, steps), 0)
        new_curvature = self._curvature(new_velocity, now)
        move = learning_rate * new_momentum / powers(self.beta_1, now, complement=True)
        linear += move - (new_curvature - curvature) * weight
        soft = tf.sign(linear) * tf.minimum(self.penalty_rate * self.l1 - tf.abs(linear), 0)
        shrunk = shrink_rows(soft, group_radius(weight, self.penalty_rate * self.l21, self.scale_sqrt_dim))
        new_weight = shrunk / (new_curvature + self.penalty_rate * self.l2)
        return new_weight, (new_momentum, new_velocity, linear, now)

    def _curvature(self, velocity: Rows, steps: Rows) -> Rows:
        corrected = tf.math.divide_no_nan(velocity, powers(self.beta_2, steps, complement=True))
        return tf.sqrt(corrected) + self.epsilon

    def get_config(self) -> dict[str, Any]:
        own = ("beta_1", "beta_2", "epsilon", "l1", "l21", "l2", "scale_sqrt_dim", "penalty_rate")
        return {**super().get_config(), **{argument: getattr(self, argument) for argument in own}}
