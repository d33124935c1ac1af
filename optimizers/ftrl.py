"""FTRL-Proximal: Adagrad's steps with an l1 penalty that leaves exact zeros."""

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import RowOptimizer, Rows, Scalar, Schedule, State, Updated
from optimizers.checks import check_at_least_0, is_schedule


@tf_keras.utils.register_keras_serializable("ctr")
class FtrlProximal(RowOptimizer):
    """FTRL-Proximal (McMahan et al. 2013, "Ad click prediction: a view from the trenches", algorithm 1).

        n' <- n + g^2
        z  <- z + g - (sqrt(n') - sqrt(n)) / a * w
        w  <- -soft(z, l1) / ((beta + sqrt(n')) / a + l2),    soft(z, l) = sign(z) max(|z| - l, 0)

    with a = learning_rate. l1 stands against the sum of all gradients that a weight has met, so it is a matter of the
    loss's scale (here the mean of the batch) and of the number of steps. A weight at zero returns once its sum of
    gradients exceeds l1. A gradient of zero leaves a touched row as it is, so rows that a batch does not hold lose
    nothing.

    The state `linear` holds a z, and a schedule moves the step alone: linear <- linear + rate * g - ..., while the
    penalties stay scaled by `penalty_rate`. So a change of rate moves no weight, and a rate of 0 is legal; at a tenth
    of the rate a new gradient counts a tenth, in the weight and against l1.

    Args:
        learning_rate: a, the rate of a step.
        beta: keeps the first steps small; 0 makes it Adagrad with a zero start, where there is no penalty.
        l1: proximal, counted once; above 0 it leaves exact zeros.
        l2: proximal, counted once as in the paper. TensorFlow's kernels count it twice: halve it for them.
        keep_initial_weights: a row begins with the state that explains its weight, so that its start is not lost at the
            first touch. None: where nothing penalizes it, l1 = 0; otherwise a weight begins at zero and has to earn its
            place. On a tower set it: weights that are all zero have no gradient. With beta = l2 = 0 it holds against no
            penalty.
        penalty_rate: the rate that penalties are scaled by; None: `learning_rate` as given here, of a schedule its
            initial rate.
        l2_shrinkage: lambda of an l2 term in the gradient that z alone sees, z <- z + g + l2_shrinkage * w - ..., while
            n, and so the size of the steps, does not; counted once, where TensorFlow's kernels count it twice. It acts
            at each touch, in step with the rate, as `l2_gradient` does.
        learning_rate_power: -p in n^p, which stands for sqrt(n) wherever that occurs; -0.5 to be as in the paper, 0 for
            a rate that does not fall. At most 0.
        l2_gradient: lambda of an l2 term in the gradient; unlike l2 it is not proximal.
        name: of the optimizer.

    Equals `tf.raw_ops.ResourceSparseApplyFtrlV2` with accum = linear = 0 at the start, lr = a, l1 = l1,
    l2 = (l2 + beta / a) / 2, l2_shrinkage = l2_shrinkage / 2 and lr_power = learning_rate_power, each row once.

    >>> table = tf.Variable([[0.0], [0.0]])
    >>> gradient = tf.IndexedSlices(tf.constant([[0.5], [0.5]]), tf.constant([1, 1]), tf.constant([2, 1]))
    >>> _ = FtrlProximal(learning_rate=0.1, l1=0.2).apply_gradients([(gradient, table)])
    >>> print(table.numpy().ravel())
    [ 0.   -0.04]
    """

    state_names = ("accumulator", "linear")
    weights_in_state = True

    def __init__(
        self,
        learning_rate: float | Schedule = 0.1,
        beta: float = 1.0,
        l1: float = 0.0,
        l2: float = 0.0,
        keep_initial_weights: bool | None = None,
        penalty_rate: float | None = None,
        l2_shrinkage: float = 0.0,
        learning_rate_power: float = -0.5,
        l2_gradient: float = 0.0,
        name: str = "ftrl",
    ) -> None:
        super().__init__(learning_rate, l2_gradient, name=name)
        check_at_least_0(beta=beta, l1=l1, l2=l2, l2_shrinkage=l2_shrinkage)
        if not float("-inf") < learning_rate_power <= 0:
            raise ValueError(f"learning_rate_power must be finite and at most 0. Received: {learning_rate_power}")
        self.beta, self.l1, self.l2 = beta, l1, l2
        self.l2_shrinkage, self.learning_rate_power = l2_shrinkage, learning_rate_power
        self.penalty_rate = rate_of_penalties(penalty_rate, learning_rate)
        self.keep_initial_weights = l1 == 0 if keep_initial_weights is None else keep_initial_weights

    @property
    def starts_from_weight(self) -> bool:
        """True with `keep_initial_weights`, unless a penalty meets no beta and no l2 that would hold the start."""
        return self.keep_initial_weights and (self.beta > 0 or self.l2 > 0 or not self._is_sparse)

    @property
    def _is_sparse(self) -> bool:
        """Whether penalties pull weights to exact zeros."""
        return self.l1 > 0

    def update(self, gradient: Rows, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        accumulator, linear = state
        square = tf.square(gradient)
        root, new_root = self._root(accumulator), self._root(accumulator + square)
        if self.keep_initial_weights:
            untouched = tf.reduce_all(accumulator == 0, axis=-1, keepdims=True)
            linear = tf.where(untouched, -self._grow(weight * self._curvature(root)), linear)
        growth = new_root - root
        if self.learning_rate_power == -0.5:  # the same without its cancellation
            growth = tf.math.divide_no_nan(square, new_root + root)
        if self.l2_shrinkage:
            gradient += self.l2_shrinkage * weight
        linear += learning_rate * gradient - growth * weight
        new_weight = tf.math.divide_no_nan(self._shrink(-linear), self._curvature(new_root))
        if self.keep_initial_weights and self.beta == 0:
            new_weight = tf.where(new_root == 0, weight, new_weight)  # no curvature yet: nothing pulls anywhere
        return new_weight, (accumulator + square, linear)

    def _root(self, accumulator: Rows) -> Rows:
        if self.learning_rate_power == -0.5:
            return tf.sqrt(accumulator)
        # not in float32: there the last bit of a power depends on a row's place in the array, and so on what is fused
        return tf.cast(tf.pow(tf.cast(accumulator, tf.float64), -self.learning_rate_power), accumulator.dtype)

    def _curvature(self, root: Rows) -> Rows:
        return self.beta + root + self.penalty_rate * self.l2

    def _shrink(self, rows: Rows) -> Rows:
        """Soft-threshold: what the penalties leave of rows."""
        return tf.sign(rows) * tf.maximum(tf.abs(rows) - self.penalty_rate * self.l1, 0)

    def _grow(self, rows: Rows) -> Rows:
        """The inverse of `_shrink` where it left something; zero for zero."""
        return rows + tf.sign(rows) * (self.penalty_rate * self.l1)

    def get_config(self) -> dict[str, Any]:
        own = ("beta", "l1", "l2", "keep_initial_weights", "penalty_rate", "l2_shrinkage", "learning_rate_power")
        return {**super().get_config(), **{argument: getattr(self, argument) for argument in own}}


def rate_of_penalties(penalty_rate: float | None, learning_rate: float | Schedule) -> float:
    """`penalty_rate`, of None the rate itself, of a schedule its initial one.

    Raises:
        ValueError: None with a schedule without an initial rate; a rate that is below 0 or not finite.
    """
    if penalty_rate is None:
        penalty_rate = getattr(learning_rate, "initial_learning_rate", learning_rate)
    if is_schedule(penalty_rate):
        raise ValueError(f"penalty_rate is needed with {type(penalty_rate).__name__}, which has no initial rate")
    check_at_least_0(penalty_rate=penalty_rate)
    return penalty_rate
