"""Base class of this project's dense optimizers: each optimizer is one pure function over a whole variable."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import Scalar, Schedule, State, Tensor, Updated
from optimizers.checks import check_rate


def total_weight(beta: float, step: tf.Tensor) -> tf.Tensor:
    """Return 1 - beta^step, the total weight of the gradients in a moving average that started at zero.

    The result is exact to the last bits of a float.

    >>> float(total_weight(0.5, tf.constant(2.0)))
    0.75
    """
    return -tf.math.expm1(step * math.log(beta)) if beta else tf.ones_like(step)


def trust_ratio(numerator: tf.Tensor, denominator: tf.Tensor) -> tf.Tensor:
    """Return numerator / denominator, or 1 if either is 0.

    >>> float(trust_ratio(tf.constant(3.0), tf.constant(2.0))), float(trust_ratio(tf.constant(0.0), tf.constant(2.0)))
    (1.5, 1.0)
    """
    ratio = tf.math.divide_no_nan(numerator, denominator)
    return tf.where(ratio > 0, ratio, tf.ones_like(ratio))


class DenseOptimizer(tf_keras.optimizers.Optimizer):
    """Keras optimizer defined by `update`, a pure function over a whole variable; for towers.

    A step costs O(size of the variable), so sparse gradients, which come from embedding tables, are rejected. XLA is
    never used. A subclass lists its state in `state_names` or `state_shapes` and defines `update`.

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A larger value takes larger steps.
        name: Keras name of the optimizer.
    """

    state_names: Sequence[str] = ()
    """Names of the state that has the variable's shape."""

    def __init__(self, learning_rate: float | Schedule, name: str = "dense_optimizer") -> None:
        check_rate(learning_rate)
        super().__init__(name=name, weight_decay=None, jit_compile=False)  # 0 would rewrite whole variables
        self._learning_rate = self._build_learning_rate(learning_rate)

    def state_shapes(self, shape: Sequence[int]) -> Mapping[str, Sequence[int]]:
        """Return the name and shape of each state of a variable of `shape`."""
        return dict.fromkeys(self.state_names, shape)

    def update(self, gradient: Tensor, weight: Tensor, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        """Return the new weights and state of a variable.

        Args:
            gradient: gradient with the variable's shape.
            weight: weights before the step.
            state: state before the step, in the order of `state_shapes`.
            learning_rate: learning rate of the step, a scalar.
            step: number of the step, a scalar of the weights' dtype, from 1.
        """
        raise TypeError(f"{type(self).__name__} must define update")

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Create the state of each variable, initialized to zero."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._states = [
            [
                self.add_variable_from_reference(variable, name, shape=list(shape))
                for name, shape in self.state_shapes(list(variable.shape)).items()
            ]
            for variable in var_list
        ]
        self._built = True

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Apply a gradient.

        Raises:
            ValueError: the gradient is sparse.
        """
        refuse_sparse(self, gradient, variable)
        states = self._states[self._index_dict[self._var_key(variable)]]
        weight, *state = (tf.convert_to_tensor(v) for v in (variable, *states))
        learning_rate = tf.convert_to_tensor(tf.cast(self.learning_rate, weight.dtype))
        step = tf.cast(self.iterations + 1, weight.dtype)
        new_weight, new_state = self.update(gradient, weight, tuple(state), learning_rate, step)
        for target, value in zip((variable, *states), (new_weight, *new_state), strict=True):
            target.assign(value)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; a subclass adds its own."""
        return {"name": self.name, "learning_rate": self._serialize_hyperparameter(self._learning_rate)}


def refuse_sparse(optimizer: tf_keras.optimizers.Optimizer, gradient: Any, variable: tf.Variable) -> None:
    """Raise ValueError if a gradient is sparse."""
    if isinstance(gradient, tf.IndexedSlices):
        raise ValueError(
            f"{optimizer.name} updates dense variables only. Use a sparse optimizer, such as RMSPropV2, for a table. "
            f"Received: a sparse gradient of {variable.name}"
        )
