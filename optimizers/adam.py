"""Adam for towers: tf_keras's Adam with checked arguments, and a form without bias correction."""

from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import Scalar, Schedule, State, Tensor, Updated
from optimizers.checks import check_above_0, check_decay_rates, check_rate
from optimizers.dense_base import DenseOptimizer


def adam(
    learning_rate: float | Schedule = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    amsgrad: bool = False,
    bias_correction: bool = True,
) -> tf_keras.optimizers.Optimizer:
    """Adam (Kingma and Ba 2015, arXiv 1412.6980, the form before section 2.1), for dense variables only.

        m <- beta_1 m + (1 - beta_1) g
        v <- beta_2 v + (1 - beta_2) g^2
        w <- w - learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)

    On an embedding table it would change every row it has seen at each step, so the router rejects it there.

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A larger value takes larger steps.
        beta_1: decay rate of the first moment (the moving average of gradients), 0 to below 1. A larger value averages
            over more steps.
        beta_2: decay rate of the second moment (the moving average of squared gradients), 0 to below 1. A larger value
            averages over more steps.
        epsilon: constant added to the root of the uncorrected v ("epsilon hat" in the paper), above 0. `GroupAdam` adds
            it to the root of the corrected v.
        amsgrad: True divides by the root of the largest v so far (Reddi et al. 2018, arXiv 1904.09237).
        bias_correction: False leaves out the factor sqrt(1 - beta_2^t) / (1 - beta_1^t); see `UncorrectedAdam`.

    Raises:
        ValueError: an argument is outside its range.

    >>> weight = tf.Variable([1.0])
    >>> _ = adam(learning_rate=0.1).apply_gradients([(tf.constant([2.0]), weight)])
    >>> print(weight.numpy().round(4))
    [0.9]
    """
    check_adam(learning_rate, beta_1, beta_2, epsilon)
    if not bias_correction:
        return UncorrectedAdam(learning_rate, beta_1, beta_2, epsilon, amsgrad)
    return tf_keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon, amsgrad=amsgrad, jit_compile=False)


def check_adam(learning_rate: float | Schedule, beta_1: float, beta_2: float, epsilon: float) -> None:
    """Raise ValueError, naming the argument, unless each argument is valid for Adam."""
    check_rate(learning_rate)
    check_decay_rates(beta_1=beta_1, beta_2=beta_2)
    check_above_0(epsilon=epsilon)


@tf_keras.utils.register_keras_serializable("ctr")
class UncorrectedAdam(DenseOptimizer):
    """Adam without bias correction, for dense variables only.

        m <- beta_1 m + (1 - beta_1) g
        v <- beta_2 v + (1 - beta_2) g^2
        w <- w - learning_rate * m / (sqrt(v) + epsilon)

    Its first step is (1 - beta_1) / sqrt(1 - beta_2) times Adam's: 3.2 times at the defaults.

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A larger value takes larger steps.
        beta_1: decay rate of the first moment (the moving average of gradients), 0 to below 1. A larger value averages
            over more steps.
        beta_2: decay rate of the second moment (the moving average of squared gradients), 0 to below 1. A larger value
            averages over more steps.
        epsilon: constant added to the root of v, above 0.
        amsgrad: True divides by the root of the largest v so far.
        name: Keras name of the optimizer.

    Source: Kingma and Ba 2015, arXiv 1412.6980; section 6.4 compares it with the corrected form.

    >>> weight = tf.Variable([1.0])
    >>> _ = UncorrectedAdam(learning_rate=0.1, beta_1=0.5, beta_2=0.75).apply_gradients([(tf.constant([2.0]), weight)])
    >>> print(weight.numpy())
    [0.9]
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        amsgrad: bool = False,
        name: str = "uncorrected_adam",
    ) -> None:
        check_adam(learning_rate, beta_1, beta_2, epsilon)
        super().__init__(learning_rate, name)
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad
        self.state_names = ("m", "v", "vhat") if amsgrad else ("m", "v")

    def update(self, gradient: Tensor, weight: Tensor, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        m = self.beta_1 * state[0] + (1 - self.beta_1) * gradient
        v = self.beta_2 * state[1] + (1 - self.beta_2) * tf.square(gradient)
        new_state = (m, v, tf.maximum(state[2], v)) if self.amsgrad else (m, v)
        return weight - learning_rate * m / (tf.sqrt(new_state[-1]) + self.epsilon), new_state

    def get_config(self) -> dict[str, Any]:
        arguments = ("beta_1", "beta_2", "epsilon", "amsgrad")
        return {**super().get_config(), **{argument: getattr(self, argument) for argument in arguments}}
