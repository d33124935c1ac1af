"""Group-lasso Adagrad: FTRL-Proximal that sets whole rows to exactly zero."""

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import Rows, Schedule
from optimizers.checks import check_at_least_0
from optimizers.ftrl import FtrlProximal


@tf_keras.utils.register_keras_serializable("ctr")
class GroupLassoAdagrad(FtrlProximal):
    """Adagrad with a group lasso on rows: an embedding stays exactly zero until its gradients outweigh the penalty.

        n' <- n + g^2
        z  <- z + g - (sqrt(n') - sqrt(n)) / a * w
        s  =  soft(-z, l1)
        w  <- s max(0, 1 - l21 sqrt(d) / ||s||) / ((beta + sqrt(n')) / a + l2)

    with a = learning_rate, d the width of a row and ||s|| the Euclidean norm of s. A zero row keeps its state and
    becomes nonzero once ||s|| exceeds l21 sqrt(d). Like l1, l21 is compared with the sum of all gradients of a row.
    Without penalties it is Adagrad with a zero start and with beta added to the root. In a kernel, a row is the weights
    that leave one input; a vector, such as a bias, is one row.

    Args:
        learning_rate: learning rate a of a step; a number or a Keras schedule. A larger value takes larger steps.
        beta: constant added to sqrt(n), at least 0. A larger value makes the first steps smaller.
        l1: strength of the proximal L1 penalty on single weights, at least 0. Above 0 it sets weights to exactly zero;
            a larger value zeroes more weights.
        l21: strength of the proximal penalty on row norms, at least 0, in units of the sum of all gradients of a row.
            Above 0 it sets whole rows to exactly zero; a larger value zeroes more rows. Scaled by sqrt(d); see
            `scale_sqrt_dim`.
        l2: strength of the proximal L2 penalty, at least 0, counted once; other implementations count it twice. A
            larger value pulls weights closer to zero.
        keep_initial_weights: True starts each row from its initial weights. False overwrites them at the first update.
            None: True if l1 = l21 = 0. Use True for a tower; see `FtrlProximal`.
        penalty_rate: learning rate that scales the penalties l1, l21 and l2, constant under a schedule. A larger value
            penalizes more. None: `learning_rate`, or the initial rate of a schedule.
        scale_sqrt_dim: True scales l21 by sqrt(d), d the row width, so that tables of all widths can share one value.
            With False, the threshold is l21 at any width.
        l2_shrinkage: lambda of an L2 term in the gradient that z includes and n does not, so it leaves the step size
            unchanged; see `FtrlProximal`. A larger value pulls weights closer to zero; 0 turns it off.
        learning_rate_power: exponent -p; n^p replaces sqrt(n) everywhere. At most 0: -0.5 is the paper's, and 0 keeps
            the learning rate constant.
        l2_gradient: lambda of L2 regularization: `lambda * w` is added to the gradient of each updated row, once a
            step. A larger value pulls weights closer to zero; 0 turns it off.
        name: Keras name of the optimizer.

    Source: Ni et al., CIKM 2019, in the public form of Facebook's GFtrl; the order of l1 and l21 is that of algorithm 1
    of Yue et al. 2021, arXiv 2107.14432.

    >>> table = tf.Variable([[0.0, 0.0], [0.0, 0.0]])
    >>> gradient = tf.IndexedSlices(tf.constant([[0.3, 0.4], [0.03, 0.04]]), tf.constant([0, 1]), tf.constant([2, 2]))
    >>> _ = GroupLassoAdagrad(learning_rate=0.1, beta=0.0, l21=0.1).apply_gradients([(gradient, table)])
    >>> print(table.numpy().round(4))
    [[-0.0717 -0.0717]
     [-0.     -0.    ]]
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.05,
        beta: float = 1.0,
        l1: float = 0.0,
        l21: float = 0.0,
        l2: float = 0.0,
        keep_initial_weights: bool | None = None,
        penalty_rate: float | None = None,
        scale_sqrt_dim: bool = True,
        l2_shrinkage: float = 0.0,
        learning_rate_power: float = -0.5,
        l2_gradient: float = 0.0,
        name: str = "group_lasso_adagrad",
    ) -> None:
        check_at_least_0(l21=l21)
        keep = l1 == l21 == 0 if keep_initial_weights is None else keep_initial_weights
        super().__init__(
            learning_rate, beta, l1, l2, keep, penalty_rate, l2_shrinkage, learning_rate_power, l2_gradient, name
        )
        self.l21, self.scale_sqrt_dim = l21, scale_sqrt_dim

    @property
    def _is_sparse(self) -> bool:
        return self.l1 > 0 or self.l21 > 0

    def _shrink(self, rows: Rows) -> Rows:
        return shrink_rows(super()._shrink(rows), self._radius(rows))

    def _grow(self, rows: Rows) -> Rows:
        return super()._grow(rows * (1 + tf.math.divide_no_nan(self._radius(rows), _norm(rows))))

    def _radius(self, rows: Rows) -> float:
        """Return the norm at or below which a row becomes zero."""
        return group_radius(rows, self.penalty_rate * self.l21, self.scale_sqrt_dim)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "l21": self.l21, "scale_sqrt_dim": self.scale_sqrt_dim}


def group_radius(rows: Rows, l21: float, scale_sqrt_dim: bool) -> float:
    """Return l21, multiplied by the square root of the rows' width if `scale_sqrt_dim` is True."""
    return l21 * float(rows.shape[-1]) ** 0.5 if scale_sqrt_dim else l21


def shrink_rows(rows: Rows, radius: Rows | float) -> Rows:
    """Shorten each row by `radius`, and set shorter rows to zero: the proximal operator of radius * ||row||."""
    norm = _norm(rows)
    return rows * tf.where(norm >= radius, 1 - tf.math.divide_no_nan(radius, norm), 0)  # radius 0 changes nothing


def _norm(rows: Rows) -> Rows:
    return tf.sqrt(tf.reduce_sum(tf.square(rows), axis=-1, keepdims=True))
