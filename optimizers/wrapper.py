"""What optimizers around another optimizer share."""

from collections.abc import Sequence
from typing import Any, Self

import tensorflow as tf
import tf_keras

from optimizers.base import Schedule
from optimizers.checks import refuse_clipping
from optimizers.dense_base import refuse_sparse


class Wrapper(tf_keras.optimizers.Optimizer):
    """A Keras optimizer around another, for dense variables only: it lends its steps, rate and weight decay.

    A subclass defines `wrapped_step`; with state of its own also `build`. Wrappers may be wrapped.

    Args:
        base: takes the steps.
        name: of the optimizer; None: `<label>-<name of base>`.

    Raises:
        ValueError: base is no Keras optimizer, or clips gradients itself, which would have no effect here, or makes
            weights from its state (FTRL, Group Adam) where the wrapper moves them.
    """

    label: str
    """What the wrapper does, for names."""
    moves_weights = False
    """Whether it changes weights after the step of base."""

    def __init__(self, base: tf_keras.optimizers.Optimizer, name: str | None = None) -> None:
        if not isinstance(base, tf_keras.optimizers.Optimizer):
            raise ValueError(f"base must be a Keras optimizer. Received: {base}")
        refuse_clipping(base, self.label)
        stepping = innermost(base)
        if self.moves_weights and getattr(stepping, "weights_in_state", False):
            raise ValueError(
                f"{stepping.name} makes weights from its state and would undo {self.label} at the next step; "
                f"take another optimizer"
            )
        super().__init__(name=name or f"{self.label}-{base.name}", weight_decay=None, jit_compile=False)
        self.base = base
        self._base_steps = self._no_dependency([base.iterations])
        base.iterations = self.iterations  # at once: a schedule reads it before `build`

    def wrapped_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Apply a gradient by way of `base.update_step`."""
        raise TypeError(f"{type(self).__name__} must define wrapped_step")

    @property
    def starts_from_weight(self) -> bool:
        """As of base."""
        return getattr(self.base, "starts_from_weight", True)

    @property
    def iterations(self) -> tf.Variable:
        """The number of steps, which base shares."""
        return self._iterations

    @iterations.setter
    def iterations(self, variable: tf.Variable) -> None:
        tf_keras.optimizers.Optimizer.iterations.fset(self, variable)
        self.base.iterations = variable

    def exclude_from_weight_decay(self, *args: Any, **kwargs: Any) -> None:
        """As of base, which decays."""
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
        """Build base."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self.base.build(var_list)
        self._variables += [v for v in self.base.variables if v is not self._base_steps[0]]
        self._built = True

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Apply a gradient.

        Raises:
            ValueError: a sparse gradient.
        """
        refuse_sparse(self, gradient, variable)
        self.wrapped_step(gradient, variable)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, base as Keras serializes it; a subclass adds its own."""
        return {"name": self.name, "base": tf_keras.optimizers.serialize(self.base)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """The optimizer of a `get_config`."""
        return cls(**{**config, "base": tf_keras.optimizers.deserialize(config["base"], custom_objects)})

    def _compute_current_learning_rate(self) -> None:
        self.base._compute_current_learning_rate()

    def _apply_weight_decay(self, variables: Sequence[tf.Variable]) -> None:
        self.base._apply_weight_decay(variables)


def innermost(optimizer: tf_keras.optimizers.Optimizer) -> tf_keras.optimizers.Optimizer:
    """Return the optimizer inside all wrappers; one without a wrapper is its own."""
    while isinstance(optimizer, Wrapper):
        optimizer = optimizer.base
    return optimizer
