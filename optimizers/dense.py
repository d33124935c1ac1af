"""Optimizers for towers based on tf_keras's, with checked arguments and without XLA.

Weight decay excludes biases and the scales and shifts of normalizations, as is common in the field ("no bias decay", He
et al. 2019, arXiv 1812.01187). It applies to variables with two or more axes, whatever their names.
"""

import tensorflow as tf
import tf_keras

from optimizers.adagrad import Adagrad
from optimizers.adam import adam, check_adam
from optimizers.base import Schedule
from optimizers.checks import check_above_0, check_at_least_0, check_decay_rates, check_rate
from optimizers.rmsprop_dense import DenseRMSProp


class _MatrixDecay:
    """Decoupled weight decay that applies only to variables with two or more axes."""

    def _use_weight_decay(self, variable: tf.Variable) -> bool:
        # by shape, because `get_config` does not save `exclude_from_weight_decay`
        return variable.shape.rank >= 2 and super()._use_weight_decay(variable)  # type: ignore[misc]


@tf_keras.utils.register_keras_serializable("ctr")
class AdamW(_MatrixDecay, tf_keras.optimizers.AdamW):
    """tf_keras's AdamW without weight decay of vectors; see `adamw`."""


@tf_keras.utils.register_keras_serializable("ctr")
class Lion(_MatrixDecay, tf_keras.optimizers.Lion):
    """tf_keras's Lion without weight decay of vectors; see `lion`."""


def adamw(
    learning_rate: float | Schedule = 0.001,
    weight_decay: float = 0.004,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    amsgrad: bool = False,
) -> tf_keras.optimizers.Optimizer:
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), for dense variables only.

        w <- w - learning_rate * weight_decay * w,   then the step of Adam

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A larger value takes larger steps.
        weight_decay: lambda of decoupled weight decay: at each step, matrices lose `learning_rate * lambda` of
            themselves; vectors do not decay. A larger value pulls weights closer to zero; 0 turns it off.
        beta_1: decay rate of the first moment (the moving average of gradients), 0 to below 1. A larger value averages
            over more steps.
        beta_2: decay rate of the second moment (the moving average of squared gradients), 0 to below 1. A larger value
            averages over more steps.
        epsilon: constant added to the root of the uncorrected v, above 0.
        amsgrad: True divides by the root of the largest v so far.

    >>> weight = tf.Variable([[1.0]])
    >>> _ = adamw(learning_rate=0.1, weight_decay=0.5).apply_gradients([(tf.constant([[0.0]]), weight)])
    >>> print(weight.numpy())
    [[0.95]]
    """
    check_adam(learning_rate, beta_1, beta_2, epsilon)
    check_at_least_0(weight_decay=weight_decay)
    if not weight_decay:
        return adam(learning_rate, beta_1, beta_2, epsilon, amsgrad)
    return AdamW(learning_rate, weight_decay, beta_1, beta_2, epsilon, amsgrad, jit_compile=False)


def amsgrad(
    learning_rate: float | Schedule = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8
) -> tf_keras.optimizers.Optimizer:
    """AMSGrad (Reddi et al. 2018, arXiv 1904.09237), for dense variables only: Adam divided by its largest v.

        m <- beta_1 m + (1 - beta_1) g
        v <- beta_2 v + (1 - beta_2) g^2
        u <- max(u, v)
        w <- w - learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(u) + epsilon)

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A larger value takes larger steps.
        beta_1: decay rate of the first moment (the moving average of gradients), 0 to below 1. A larger value averages
            over more steps.
        beta_2: decay rate of the second moment (the moving average of squared gradients), 0 to below 1. A larger value
            averages over more steps.
        epsilon: constant added to the root of the largest uncorrected v, above 0.

    >>> weight = tf.Variable([1.0])
    >>> _ = amsgrad(learning_rate=0.1).apply_gradients([(tf.constant([2.0]), weight)])
    >>> print(weight.numpy().round(4))
    [0.9]
    """
    return adam(learning_rate, beta_1, beta_2, epsilon, amsgrad=True)


def adagrad_dense(
    learning_rate: float | Schedule = 0.01,
    initial_accumulator: float = 0.1,
    epsilon: float = 1e-7,
    max_accumulator: float | None = None,
) -> tf_keras.optimizers.Optimizer:
    """Adagrad (Duchi et al. 2011), for dense variables.

        n <- min(n + g^2, max_accumulator),   n = initial_accumulator at the start
        w <- w - learning_rate * g / sqrt(n + epsilon)

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A larger value takes larger steps.
        initial_accumulator: initial value of n, at least 0. A larger value makes the first steps smaller.
        epsilon: constant added to n inside the root, above 0.
        max_accumulator: upper bound on n, at least `initial_accumulator`; it keeps the learning rate from falling
            further. None: no bound. See `Adagrad`.

    >>> weight = tf.Variable([1.0])
    >>> optimizer = adagrad_dense(learning_rate=0.1, initial_accumulator=0.0)
    >>> _ = optimizer.apply_gradients([(tf.constant([2.0]), weight)])
    >>> print(weight.numpy())
    [0.9]
    """
    check_rate(learning_rate)
    check_at_least_0(initial_accumulator=initial_accumulator)
    check_above_0(epsilon=epsilon)
    if max_accumulator is not None:
        return Adagrad(learning_rate, initial_accumulator, epsilon, max_accumulator)
    return tf_keras.optimizers.Adagrad(learning_rate, initial_accumulator, epsilon, jit_compile=False)


def rmsprop_dense(
    learning_rate: float | Schedule = 0.001,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    centered: bool = False,
    bias_correction: bool = False,
) -> tf_keras.optimizers.Optimizer:
    """RMSProp (Hinton 2012, lecture 6e), for dense variables only.

        v <- rho v + (1 - rho) g^2
        m <- momentum * m + learning_rate * g / sqrt(v + epsilon)
        w <- w - m

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A larger value takes larger steps.
        rho: decay rate of v, 0 to below 1. A larger value averages squared gradients over more steps.
        momentum: decay rate of the velocity m, 0 to below 1. A larger value sums more past steps; 0 turns it off.
        epsilon: constant added to v inside the root, above 0.
        centered: True divides by the standard deviation of the gradient instead of its root mean square; see
            `DenseRMSProp`.
        bias_correction: True divides v by 1 - rho^t. The first step is then learning_rate * sign(g); without the
            correction it is 1 / sqrt(1 - rho) times as long.

    >>> weight = tf.Variable([1.0])
    >>> _ = rmsprop_dense(learning_rate=0.1, rho=0.75).apply_gradients([(tf.constant([2.0]), weight)])
    >>> print(weight.numpy())
    [0.8]
    """
    check_rate(learning_rate)
    check_decay_rates(rho=rho, momentum=momentum)
    check_above_0(epsilon=epsilon)
    if centered or bias_correction:
        return DenseRMSProp(learning_rate, rho, momentum, epsilon, centered, bias_correction)
    return tf_keras.optimizers.RMSprop(learning_rate, rho, momentum, epsilon, jit_compile=False)


def sgd_dense(
    learning_rate: float | Schedule = 0.01, momentum: float = 0.0, nesterov: bool = False
) -> tf_keras.optimizers.Optimizer:
    """Gradient descent with the learning rate inside the velocity, for dense variables only.

        v <- momentum * v - learning_rate * g
        w <- w + v;   with nesterov: w <- w + momentum * v - learning_rate * g

    A new learning rate affects old gradients only as they fade. In `DenseMomentum` it scales them immediately.

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A larger value takes larger steps.
        momentum: decay rate of the velocity v, 0 to below 1. A larger value sums more past steps; 0 is plain
            gradient descent.
        nesterov: True for Nesterov momentum (Sutskever et al. 2013), which evaluates the velocity one step ahead; needs
            a momentum above 0.

    Raises:
        ValueError: an argument is outside its range, or `nesterov` is set without momentum.

    >>> weight = tf.Variable([1.0])
    >>> _ = sgd_dense(learning_rate=0.1).apply_gradients([(tf.constant([2.0]), weight)])
    >>> print(weight.numpy())
    [0.8]
    """
    check_rate(learning_rate)
    check_decay_rates(momentum=momentum)
    if nesterov and not momentum:
        raise ValueError(f"nesterov needs a momentum above 0. Set momentum. Received: {momentum}")
    return tf_keras.optimizers.SGD(learning_rate, momentum, nesterov, jit_compile=False)


def lion(
    learning_rate: float | Schedule = 0.0001, beta_1: float = 0.9, beta_2: float = 0.99, weight_decay: float = 0.0
) -> tf_keras.optimizers.Optimizer:
    """Lion (Chen et al. 2023, arXiv 2302.06675), for dense variables only: steps of equal size, by sign.

        w <- w - learning_rate * weight_decay * w
        w <- w - learning_rate * sign(beta_1 m + (1 - beta_1) g)
        m <- beta_2 m + (1 - beta_2) g

    A good learning rate is a third to a tenth of Adam's.

    Args:
        learning_rate: step of each coordinate; a number or a Keras schedule. A larger value takes larger steps.
        beta_1: weight of the momentum m in the step, above 0 and below 1. A larger value relies less on the current
            gradient.
        beta_2: decay rate of m, 0 to below 1. A larger value averages gradients over more steps.
        weight_decay: lambda of decoupled weight decay: at each step, matrices lose `learning_rate * lambda` of
            themselves; vectors do not decay. A larger value pulls weights closer to zero; 0 turns it off.

    >>> weight = tf.Variable([1.0, 1.0])
    >>> _ = lion(learning_rate=0.1).apply_gradients([(tf.constant([2.0, -0.01]), weight)])
    >>> print(weight.numpy())
    [0.9 1.1]
    """
    check_rate(learning_rate)
    check_above_0(beta_1=beta_1)
    check_decay_rates(beta_1=beta_1, beta_2=beta_2)
    check_at_least_0(weight_decay=weight_decay)
    # None, because a decay of 0 would still rewrite whole variables
    return Lion(learning_rate, beta_1, beta_2, weight_decay=weight_decay or None, jit_compile=False)
