"""Lookahead for towers: slow weights that follow the weights of another optimizer."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.wrapper import Wrapper


@tf_keras.utils.register_keras_serializable("ctr")
class Lookahead(Wrapper):
    """Lookahead around another optimizer, for dense variables only.

        w <- the step of base
        every `every` steps: s <- s + alpha (w - s), w <- s;   s = w before the first step

    Args:
        base: Keras optimizer that takes the steps and provides the learning rate and the weight decay.
        every: number of steps of `base` per step of the slow weights, at least 1. A larger value lets the fast weights
            explore longer.
        alpha: fraction of the distance to the fast weights that the slow weights move, above 0 and at most 1. A larger
            value follows `base` more closely; 1 follows it exactly.
        name: Keras name of the optimizer; None: `lookahead-<name of base>`.

    Raises:
        ValueError: `every` or `alpha` is outside its range, or `base` cannot be wrapped (see `Wrapper`).

    Source: Zhang et al. 2019, arXiv 1907.08610, algorithm 1; the state of base is kept.

    >>> weight = tf.Variable([1.0])
    >>> optimizer = Lookahead(tf_keras.optimizers.SGD(0.5), every=2, alpha=0.25)
    >>> for _ in range(2):
    ...     _ = optimizer.apply_gradients([(tf.constant([1.0]), weight)])
    >>> print(weight.numpy())
    [0.75]
    """

    label = "lookahead"
    moves_weights = True

    def __init__(
        self, base: tf_keras.optimizers.Optimizer, every: int = 5, alpha: float = 0.5, name: str | None = None
    ) -> None:
        if not (isinstance(every, int) and every >= 1):
            raise ValueError(f"every must be an integer of at least 1. Received: {every}")
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha must be in (0, 1]. Received: {alpha}")
        super().__init__(base, name)
        self.every, self.alpha = every, alpha

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Build `base` and create the slow weights."""
        is_built = getattr(self, "_built", False)
        super().build(var_list)
        if not is_built:
            self._slow = [self.add_variable_from_reference(v, "slow", initial_value=v) for v in var_list]

    def wrapped_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Apply a step of `base`, and a step of the slow weights when it is due."""
        slow = self._slow[self._index_dict[self._var_key(variable)]]
        self.base.update_step(gradient, variable)
        fast, old_slow = tf.convert_to_tensor(variable), tf.convert_to_tensor(slow)
        is_due = tf.equal((self.iterations + 1) % self.every, 0)
        new_slow = old_slow + self.alpha * (fast - old_slow)
        slow.assign(tf.where(is_due, new_slow, old_slow))
        variable.assign(tf.where(is_due, new_slow, fast))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "every": self.every, "alpha": self.alpha}

    def _apply_weight_decay(self, variables: Sequence[tf.Variable]) -> None:
        for variable in variables:  # weights might have been loaded since `build`
            slow = self._slow[self._index_dict[self._var_key(variable)]]
            slow.assign(tf.where(tf.equal(self.iterations, 0), variable, slow))
        super()._apply_weight_decay(variables)
