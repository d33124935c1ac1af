"""Layer-wise normalization for towers: LAMB's, around any optimizer."""

from typing import TypeAlias

import tensorflow as tf
import tf_keras

from optimizers.adagrad import Adagrad
from optimizers.adam import UncorrectedAdam
from optimizers.dense import AdamW, Lion
from optimizers.dense_momentum import DenseMomentum
from optimizers.ema_momentum import EMAMomentum
from optimizers.regularized import Regularized
from optimizers.rmsprop_dense import DenseRMSProp
from optimizers.rmsprop_v2 import RMSPropV2
from optimizers.shadow import Shadow
from optimizers.wrapper import Wrapper

keras = tf_keras.optimizers
Optimizer: TypeAlias = tf_keras.optimizers.Optimizer
BLIND = (
    *(keras.Adam, keras.AdamW, keras.Adagrad, keras.RMSprop, keras.SGD, keras.Lion),
    *(AdamW, Lion, UncorrectedAdam, Adagrad, DenseRMSProp, DenseMomentum, EMAMomentum, RMSPropV2),
)
"""Optimizers whose `update_step` adds to a weight what depends on the gradient and the state alone."""


@tf_keras.utils.register_keras_serializable("ctr")
class LayerwiseNormalization(Wrapper):
    """Each matrix moves by a share of its own norm, in the direction of another optimizer's step; for towers only.

        u <- the step of base, divided by the rate
        w <- w - learning_rate * |w| / |u| * u,   |w| / |u| taken as 1 if either is 0

    The norms are of whole variables. Vectors (biases, scales and shifts of normalizations) take the step of base, as in
    `LAMB`, which this is around Adam without weight decay. Keras's decoupled decay (`adamw`, `lion`) is outside the
    ratio, one that is part of base's step is inside.

    Where the step of base does not depend on the weight, it is computed by itself and keeps all its digits: around
    `adam`, `adamw`, `amsgrad`, `adagrad`, `rmsprop`, `sgd`, `momentum`, `ema_momentum`, `lion` and `rmsprop_v2`, also
    inside `Regularized`. Around any other (`lamb`, `lars`, `amos`, `adafactor`, `fobos_group_lasso`, `rmsprop_v2` with
    `l2_gradient`, `weight_decay` or `max_norm`, a wrapper) it is the difference of the weights before and after, which
    is rounded to their spacing: the direction of a step of 1e-5 of the weights is off by about 0.3%, of 1e-7 by 20%,
    and one below 1e-8 is lost.

    Args:
        base: gives the direction, the rate and the weight decay.
        name: of the optimizer; None: `layerwise_normalization-<name of base>`.

    Source: You et al. 2020, arXiv 1904.00962, algorithm 2, phi the identity.

    >>> weight = tf.Variable([[3.0], [4.0]])
    >>> optimizer = LayerwiseNormalization(tf_keras.optimizers.SGD(0.1))
    >>> _ = optimizer.apply_gradients([(tf.constant([[0.0], [0.02]]), weight)])
    >>> print(weight.numpy().ravel())
    [3.  3.5]
    """

    label = "layerwise_normalization"
    moves_weights = True

    def wrapped_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """A step of base, made as long as the weights allow."""
        if variable.shape.rank < 2:
            self.base.update_step(gradient, variable)
            return
        before = tf.convert_to_tensor(variable)
        step = _step_of(self.base, gradient, variable)
        norm, length = tf.norm(before), tf.norm(step)
        wanted = tf.cast(self.learning_rate, step.dtype) * tf.math.divide_no_nan(norm, length)
        variable.assign(before + tf.where((norm > 0) & (length > 0), wanted, 1) * step)


def _step_of(optimizer: Optimizer, gradient: tf.Tensor, variable: tf.Variable) -> tf.Tensor:
    """Return what an optimizer adds to a variable; its state moves, and the variable itself may."""
    if isinstance(optimizer, Regularized):
        return _step_of(optimizer.base, optimizer.penalized(gradient, variable), variable)
    if _is_blind(optimizer):
        shadow = Shadow(variable, optimizer._var_key(variable))  # of all replicas together
        optimizer.update_step(gradient, shadow)
        return tf.convert_to_tensor(shadow)
    before = tf.convert_to_tensor(variable)
    optimizer.update_step(gradient, variable)
    return variable - before


def _is_blind(optimizer: Optimizer) -> bool:
    """Return True if the step does not depend on the weight."""
    reads = ("l2_gradient", "row_decay", "max_norm")  # of a `RowOptimizer`
    return type(optimizer) in BLIND and not any(getattr(optimizer, name, None) for name in reads)
