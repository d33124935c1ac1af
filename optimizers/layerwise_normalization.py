"""Layer-wise normalization for towers: LAMB's scaling of steps, around any optimizer."""

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
WEIGHT_INDEPENDENT = (
    *(keras.Adam, keras.AdamW, keras.Adagrad, keras.RMSprop, keras.SGD, keras.Lion),
    *(AdamW, Lion, UncorrectedAdam, Adagrad, DenseRMSProp, DenseMomentum, EMAMomentum, RMSPropV2),
)
"""Optimizers whose `update_step` changes a weight by an amount that depends only on the gradient and the state."""


@tf_keras.utils.register_keras_serializable("ctr")
class LayerwiseNormalization(Wrapper):
    """Wrapper that moves each matrix by a fraction of its own norm, in the direction of another optimizer's step.

        u <- the step of base, divided by the rate
        w <- w - learning_rate * |w| / |u| * u,   |w| / |u| taken as 1 if either is 0

    For towers only. The norms are of whole variables. Vectors (biases, and the scales and shifts of normalizations)
    take the unscaled step of `base`, as in `LAMB`, which equals this wrapper around Adam without weight decay. Keras's
    decoupled decay (`adamw`, `lion`) is outside the ratio; decay that is part of the step of `base` is inside.

    Where the step of `base` does not depend on the weights, it is computed by itself and keeps all its digits: around
    `adam`, `adamw`, `amsgrad`, `adagrad`, `rmsprop`, `sgd`, `momentum`, `ema_momentum`, `lion` and `rmsprop_v2`, also
    inside `Regularized`. Around any other optimizer (`lamb`, `lars`, `amos`, `adafactor`, `fobos_group_lasso`,
    `rmsprop_v2` with `l2_gradient`, `weight_decay` or `max_norm`, a wrapper) it is the difference of the weights before
    and after, which is rounded to their spacing: the direction of a step of 1e-5 of the weights is off by about 0.3%,
    of 1e-7 by 20%, and a step below 1e-8 is lost.

    Args:
        base: Keras optimizer that provides the direction, the learning rate and the weight decay.
        name: Keras name of the optimizer; None: `layerwise_normalization-<name of base>`.

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
        """Apply the step of `base`, rescaled to the norm of the weights."""
        if variable.shape.rank < 2:
            self.base.update_step(gradient, variable)
            return
        old_weight = tf.convert_to_tensor(variable)
        step = _step_of(self.base, gradient, variable)
        norm, length = tf.norm(old_weight), tf.norm(step)
        scale = tf.cast(self.learning_rate, step.dtype) * tf.math.divide_no_nan(norm, length)
        variable.assign(old_weight + tf.where((norm > 0) & (length > 0), scale, 1) * step)


def _step_of(optimizer: Optimizer, gradient: tf.Tensor, variable: tf.Variable) -> tf.Tensor:
    """Return the change that an optimizer makes to a variable; updates its state and possibly the variable itself."""
    if isinstance(optimizer, Regularized):
        return _step_of(optimizer.base, optimizer.penalized(gradient, variable), variable)
    if _ignores_weights(optimizer):
        shadow = Shadow(variable, optimizer._var_key(variable))  # one key for all replicas
        optimizer.update_step(gradient, shadow)
        return tf.convert_to_tensor(shadow)
    old_weight = tf.convert_to_tensor(variable)
    optimizer.update_step(gradient, variable)
    return variable - old_weight


def _ignores_weights(optimizer: Optimizer) -> bool:
    """Return True if the step does not depend on the weights."""
    settings = ("l2_gradient", "row_decay", "max_norm")  # of a `RowOptimizer`
    return type(optimizer) in WEIGHT_INDEPENDENT and not any(getattr(optimizer, name, None) for name in settings)
