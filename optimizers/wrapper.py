"""Base class of optimizers that wrap another optimizer."""

from collections.abc import Sequence
from typing import Any, Self

import tensorflow as tf
import tf_keras

from optimizers.base import Schedule
from optimizers.checks import refuse_clipping
from optimizers.dense_base import refuse_sparse


class Wrapper(tf_keras.optimizers.Optimizer):
    """Keras optimizer around another one, for dense variables only; it uses the other's steps, learning rate and decay.

    A subclass defines `wrapped_step`, and `build` if it has its own state. A wrapper can wrap a wrapper.

    Args:
        base: Keras optimizer that takes the steps.
        name: Keras name of the optimizer; None: `<label>-<name of base>`.

    Raises:
        ValueError: `base` is not a Keras optimizer, clips gradients itself, which would have no effect here, or
            computes weights from its state (FTRL, Group Adam) although the wrapper changes them.
    """

    label: str
    """Name of what the wrapper does, used in the default optimizer name."""
    moves_weights = False
    """True if the wrapper changes weights after the step of `base`."""

    def __init__(self, base: tf_keras.optimizers.Optimizer, name: str | None = None) -> None:
        if not isinstance(base, tf_keras.optimizers.Optimizer):
            raise ValueError(f"base must be a Keras optimizer. Received: {base}")
        refuse_clipping(base, self.label)
        inner = innermost(base)
        if self.moves_weights and getattr(inner, "weights_in_state", False):
            raise ValueError(
                f"{inner.name} computes weights from its state, which would undo {self.label} at the next step. "
                f"Use a different optimizer."
            )
        super().__init__(name=name or f"{self.label}-{base.name}", weight_decay=None, jit_compile=False)
        self.base = base
        self._base_steps = self._no_dependency([base.iterations])
        base.iterations = self.iterations  # before `build`, because schedules read it earlier

    def wrapped_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Apply a gradient through `base.update_step`."""
        raise TypeError(f"{type(self).__name__} must define wrapped_step")

    @property
    def starts_from_weight(self) -> bool:
        """True if the first update of a row starts from its initial weights, as `base` decides."""
        return getattr(self.base, "starts_from_weight", True)

    @property
    def iterations(self) -> tf.Variable:
        """Number of steps, a variable shared with `base`."""
        return self._iterations

    @iterations.setter
    def iterations(self, variable: tf.Variable) -> None:
        tf_keras.optimizers.Optimizer.iterations.fset(self, variable)
        self.base.iterations = variable

    def exclude_from_weight_decay(self, *args: Any, **kwargs: Any) -> None:
        """Exclude variables from the weight decay of `base`."""
        self.base.exclude_from_weight_decay(*args, **kwargs)

    @property
    def _learning_rate(self) -> Any:
        return self.base._learning_rate

    @property
    def learning_rate(self) -> Any:
        return self.base.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: float | Schedule) -> None:
        self.base.learning_rate = learning_rate

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Build `base`."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self.base.build(var_list)
        self._variables += [v for v in self.base.variables if v is not self._base_steps[0]]
        self._built = True

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Apply a gradient.

        Raises:
            ValueError: the gradient is sparse.
        """
        refuse_sparse(self, gradient, variable)
        self.wrapped_step(gradient, variable)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, with `base` serialized by Keras; a subclass adds its own."""
        return {"name": self.name, "base": tf_keras.optimizers.serialize(self.base)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Create the optimizer from the result of `get_config`."""
        return cls(**{**config, "base": tf_keras.optimizers.deserialize(config["base"], custom_objects)})

    def _compute_current_learning_rate(self) -> None:
        self.base._compute_current_learning_rate()

    def _apply_weight_decay(self, variables: Sequence[tf.Variable]) -> None:
        self.base._apply_weight_decay(variables)


def innermost(optimizer: tf_keras.optimizers.Optimizer) -> tf_keras.optimizers.Optimizer:
    """Return the optimizer inside all wrappers, or the optimizer itself if it is not a wrapper."""
    while isinstance(optimizer, Wrapper):
        optimizer = optimizer.base
    return optimizer
