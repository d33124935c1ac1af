"""Layer-wise normalization for towers: LAMB's, around any optimizer."""

import tensorflow as tf
import tf_keras

from optimizers.wrapper import Wrapper


@tf_keras.utils.register_keras_serializable("ctr")
class LayerwiseNormalization(Wrapper):
    """Each matrix moves by a share of its own norm, in the direction of another optimizer's step; for towers only.

        u <- the step of base, divided by the rate
        w <- w - learning_rate * |w| / |u| * u,   |w| / |u| taken as 1 if either is 0

    The norms are of whole variables. Vectors (biases, scales and shifts of normalizations) take the step of base, as in
    `LAMB`, which this is around Adam without weight decay. Keras's decoupled decay (`adamw`, `lion`) is outside the
    ratio, one that is part of base's step is inside. The step is read off the weights before and after it: where base
    moves them by less than 1e-5 of themselves, its direction is known to two digits only, as around plain gradient
    descent with tiny gradients.

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
        before = tf.convert_to_tensor(variable)
        self.base.update_step(gradient, variable)
        if variable.shape.rank < 2:
            return
        step = variable - before
        norm, length = tf.norm(before), tf.norm(step)
        wanted = tf.cast(self.learning_rate, step.dtype) * tf.math.divide_no_nan(norm, length)
        variable.assign(before + tf.where((norm > 0) & (length > 0), wanted, 1) * step)
