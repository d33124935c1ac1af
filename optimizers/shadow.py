"""Stand-in for a variable that records an optimizer's step, not rounded by the size of the variable."""

from typing import Any

import tensorflow as tf


class Shadow:
    """Stand-in for a variable that starts at zero and holds only the step after an optimizer's `update_step`.

    A step measured on a variable, after minus before, is rounded to the spacing of the weights: at weights of 0.1, to
    multiples of 7e-9. Added to zero it keeps all of its digits. The shadow passes as the variable where an optimizer
    looks up the variable's state. It holds a tensor and is not a `tf.Variable`, so it takes no memory between steps and
    is in no checkpoint.

    Args:
        variable: variable that the shadow replaces during a step.
        key: key of the variable's state in an optimizer, its `_var_key`.

    >>> variable = tf.Variable([0.1])
    >>> shadow = Shadow(variable, "key")
    >>> shadow.assign_sub([1e-10])
    >>> print(tf.convert_to_tensor(shadow).numpy(), variable.numpy())
    [-1.e-10] [0.1]
    """

    def __init__(self, variable: tf.Variable, key: str) -> None:
        self.name, self.shape, self.dtype = variable.name, variable.shape, variable.dtype
        self._unique_id = key  # where Keras's `_var_key` reads it
        self._value = tf.zeros_like(variable)

    def assign(self, value: Any) -> None:
        """Set the value."""
        self._value = tf.convert_to_tensor(value, self.dtype)

    def assign_add(self, delta: Any) -> None:
        """Add to the value."""
        self._value += delta

    def assign_sub(self, delta: Any) -> None:
        """Subtract from the value."""
        self._value -= delta

    def __tf_tensor__(self, dtype: tf.DType | None = None, name: str | None = None) -> tf.Tensor:
        return tf.convert_to_tensor(self._value, dtype, name=name)
