"""Adam for towers: tf_keras's own, made safe to run beside sparse optimizers."""

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

    On a table it would move every row it has seen at each step: the router refuses it there.

    Args:
        learning_rate: a number, or a Keras schedule.
        beta_1: decay of the first moment.
        beta_2: decay of the second moment.
        epsilon: outside the root, of v as it is: "epsilon hat" in the paper; `GroupAdam` adds it to that of the
            corrected v.
        amsgrad: divide by the root of the largest v so far (Reddi et al. 2018, arXiv 1904.09237).
        bias_correction: false leaves out the factor of the powers of beta; see `UncorrectedAdam`.
    """
    check_adam(learning_rate, beta_1, beta_2, epsilon)
    if not bias_correction:
        return UncorrectedAdam(learning_rate, beta_1, beta_2, epsilon, amsgrad)
    return tf_keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon, amsgrad=amsgrad, jit_compile=False)


def check_adam(learning_rate: float | Schedule, beta_1: float, beta_2: float, epsilon: float) -> None:
    """Raise ValueError that names an argument that Adam cannot have."""
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
        learning_rate: a number, or a Keras schedule.
        beta_1: decay of the first moment.
        beta_2: decay of the second moment.
        epsilon: outside the root.
        amsgrad: divide by the root of the largest v so far.
        name: of the optimizer.

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
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}
        return {**super().get_config(), **own}
