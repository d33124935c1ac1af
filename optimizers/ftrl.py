"""FTRL-Proximal: Adagrad's steps with an L1 penalty that sets weights to exactly zero."""

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

    with a = learning_rate. The penalty l1 is compared with the sum of all gradients of a weight. A good value therefore
    depends on the scale of the loss (here the batch mean) and on the number of steps. A zero weight becomes nonzero
    once its gradient sum exceeds l1. A zero gradient does not change a row, so skipping rows outside the batch loses
    nothing.

    The state `linear` holds a z. A schedule scales only the step: linear <- linear + rate * g - ..., while the
    penalties stay scaled by `penalty_rate`. So a change of the learning rate changes no weight, and a rate of 0 is
    allowed. At a tenth of the rate, a new gradient counts a tenth, in the weight and against l1.

    Args:
        learning_rate: learning rate a of a step; a number or a Keras schedule. A larger value takes larger steps.
        beta: constant added to sqrt(n), at least 0. A larger value makes the first steps smaller; without a penalty, 0
            makes it Adagrad with a zero start.
        l1: strength of the proximal L1 penalty, at least 0, counted once. Above 0 it sets weights to exactly zero; a
            larger value zeroes more weights.
        l2: strength of the proximal L2 penalty, at least 0, counted once as in the paper. A larger value pulls weights
            closer to zero. TensorFlow's kernels count it twice: pass them half.
        keep_initial_weights: True starts each row from its initial weights, by deriving its first state from them.
            False starts the state at zero, so the first update overwrites the initial weights. None: True if l1 = 0;
            otherwise False, and a weight stays at zero until its gradient sum exceeds the penalty. Use True for a
            tower, because all-zero weights have no gradient. With beta = l2 = 0, it cannot protect the initial weights
            from a penalty.
        penalty_rate: learning rate that scales the penalties l1 and l2, constant under a schedule. A larger value
            penalizes more. None: `learning_rate`, or the initial rate of a schedule.
        l2_shrinkage: lambda of an L2 term in the gradient that only z includes, z <- z + g + l2_shrinkage * w - ...,
            and n does not, so it leaves the step size unchanged. Counted once, where TensorFlow's kernels count it
            twice. It acts at each update, scaled by the learning rate, like `l2_gradient`. A larger value pulls weights
            closer to zero; 0 turns it off.
        learning_rate_power: exponent -p; n^p replaces sqrt(n) everywhere. At most 0: -0.5 is the paper's, and 0 keeps
            the learning rate constant.
        l2_gradient: lambda of L2 regularization: `lambda * w` is added to the gradient of each updated row, once a
            step; unlike `l2` it is not proximal. A larger value pulls weights closer to zero; 0 turns it off.
        name: Keras name of the optimizer.

    Raises:
        ValueError: an argument is outside its range, or a schedule without an initial rate needs a `penalty_rate`.

    Equals `tf.raw_ops.ResourceSparseApplyFtrlV2` with accum = linear = 0 at the start, lr = a, l1 = l1, l2 = (l2 + beta
    / a) / 2, l2_shrinkage = l2_shrinkage / 2 and lr_power = learning_rate_power, if each row occurs once.

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
        """True with `keep_initial_weights`, unless a penalty discards the initial weights because beta and l2 are 0."""
        return self.keep_initial_weights and (self.beta > 0 or self.l2 > 0 or not self._is_sparse)

    @property
    def _is_sparse(self) -> bool:
        """True if penalties set weights to exactly zero."""
        return self.l1 > 0

    def update(self, gradient: Rows, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        accumulator, linear = state
        square = tf.square(gradient)
        root, new_root = self._root(accumulator), self._root(accumulator + square)
        if self.keep_initial_weights:
            is_new = tf.reduce_all(accumulator == 0, axis=-1, keepdims=True)
            linear = tf.where(is_new, -self._grow(weight * self._curvature(root)), linear)
        growth = new_root - root
        if self.learning_rate_power == -0.5:  # the same difference without cancellation
            growth = tf.math.divide_no_nan(square, new_root + root)
        if self.l2_shrinkage:
            gradient += self.l2_shrinkage * weight
        linear += learning_rate * gradient - growth * weight
        new_weight = tf.math.divide_no_nan(self._shrink(-linear), self._curvature(new_root))
        if self.keep_initial_weights and self.beta == 0:
            new_weight = tf.where(new_root == 0, weight, new_weight)  # no gradient so far
        return new_weight, (accumulator + square, linear)

    def _root(self, accumulator: Rows) -> Rows:
        if self.learning_rate_power == -0.5:
            return tf.sqrt(accumulator)
        # float64, because the last bit of a float32 power depends on the row's position in the array
        return tf.cast(tf.pow(tf.cast(accumulator, tf.float64), -self.learning_rate_power), accumulator.dtype)

    def _curvature(self, root: Rows) -> Rows:
        return self.beta + root + self.penalty_rate * self.l2

    def _shrink(self, rows: Rows) -> Rows:
        """Return rows soft-thresholded by the penalties."""
        return tf.sign(rows) * tf.maximum(tf.abs(rows) - self.penalty_rate * self.l1, 0)

    def _grow(self, rows: Rows) -> Rows:
        """Return the inverse of `_shrink` where its result is nonzero, and zero for zero."""
        return rows + tf.sign(rows) * (self.penalty_rate * self.l1)

    def get_config(self) -> dict[str, Any]:
        arguments = ("beta", "l1", "l2", "keep_initial_weights", "penalty_rate", "l2_shrinkage", "learning_rate_power")
        return {**super().get_config(), **{argument: getattr(self, argument) for argument in arguments}}


def rate_of_penalties(penalty_rate: float | None, learning_rate: float | Schedule) -> float:
    """Return `penalty_rate`; for None, the learning rate or a schedule's initial rate.

    Raises:
        ValueError: a schedule without an initial rate needs a `penalty_rate`, or the rate is negative or not finite.
    """
    if penalty_rate is None:
        penalty_rate = getattr(learning_rate, "initial_learning_rate", learning_rate)
    if is_schedule(penalty_rate):
        raise ValueError(
            f"penalty_rate must be a number with the schedule {type(penalty_rate).__name__}, which does not have an "
            f"initial rate. Set penalty_rate. Received: None"
        )
    check_at_least_0(penalty_rate=penalty_rate)
    return penalty_rate
