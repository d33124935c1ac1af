"""Group-lasso Adagrad: FTRL-Proximal that zeroes whole rows."""

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import Rows, Schedule
from optimizers.checks import check_at_least_0
from optimizers.ftrl import FtrlProximal


@tf_keras.utils.register_keras_serializable("ctr")
class GroupLassoAdagrad(FtrlProximal):
    """Adagrad with a group lasso on rows: an embedding that does not earn its place becomes exactly zero.

        n' <- n + g^2
        z  <- z + g - (sqrt(n') - sqrt(n)) / a * w
        s  =  soft(-z, l1)
        w  <- s max(0, 1 - l21 sqrt(d) / ||s||) / ((beta + sqrt(n')) / a + l2)

    with a = learning_rate, d the width of the row and ||s|| its Euclidean norm. A row at zero keeps its state and
    returns once ||s|| exceeds l21 sqrt(d). Like l1, l21 stands against the sum of all gradients that a row has met.
    Without penalties it is Adagrad with a zero start and beta beside the root. In a kernel a row is the weights that
    leave one input; a vector, such as a bias, is one row.

    Args:
        learning_rate: a, the rate of a step.
        beta: keeps the first steps small.
        l1: proximal, on single weights.
        l21: proximal, on rows; scaled by sqrt(d), so that tables of all widths may share it, see `scale_sqrt_dim`.
        l2: proximal, counted once; other implementations count it twice.
        keep_initial_weights: as in `FtrlProximal`; None: where nothing penalizes the start, l1 = l21 = 0.
        penalty_rate: as in `FtrlProximal`: the rate that penalties are scaled by.
        scale_sqrt_dim: whether l21 is scaled by sqrt(d); without it a row's radius is l21 in tables of all widths.
        l2_shrinkage: as in `FtrlProximal`.
        learning_rate_power: as in `FtrlProximal`.
        l2_gradient: lambda of an l2 term in the gradient.
        name: of the optimizer.

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
        preserve = l1 == l21 == 0 if keep_initial_weights is None else keep_initial_weights
        super().__init__(
            learning_rate, beta, l1, l2, preserve, penalty_rate, l2_shrinkage, learning_rate_power, l2_gradient, name
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
        """The norm at which a row becomes zero."""
        return group_radius(rows, self.penalty_rate * self.l21, self.scale_sqrt_dim)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "l21": self.l21, "scale_sqrt_dim": self.scale_sqrt_dim}


def group_radius(rows: Rows, l21: float, scale_sqrt_dim: bool) -> float:
    """l21, times the root of the rows' width if they are to share it with rows of other widths."""
    return l21 * float(rows.shape[-1]) ** 0.5 if scale_sqrt_dim else l21


def shrink_rows(rows: Rows, radius: Rows | float) -> Rows:
    """Each row shorter by `radius`, a shorter one zero: the proximal operator of radius * ||row||."""
    norm = _norm(rows)
    return rows * tf.where(norm >= radius, 1 - tf.math.divide_no_nan(radius, norm), 0)  # radius 0: all of it stays


def _norm(rows: Rows) -> Rows:
    return tf.sqrt(tf.reduce_sum(tf.square(rows), axis=-1, keepdims=True))
