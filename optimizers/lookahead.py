"""Lookahead for towers: slow weights that follow those of another optimizer."""

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
        base: takes the steps; it lends its rate and its weight decay.
        every: steps of base to one of the slow weights.
        alpha: share of the way that the slow weights go.
        name: of the optimizer; None: `lookahead-<name of base>`.

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
            raise ValueError(f"every must be a whole number of at least 1. Received: {every}")
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha must be in (0, 1]. Received: {alpha}")
        super().__init__(base, name)
        self.every, self.alpha = every, alpha

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Build base, and slow weights beside it."""
        is_built = getattr(self, "_built", False)
        super().build(var_list)
        if not is_built:
            self._slow = [self.add_variable_from_reference(v, "slow", initial_value=v) for v in var_list]

    def wrapped_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """A step of base, and one of the slow weights when it is due."""
        slow = self._slow[self._index_dict[self._var_key(variable)]]
        self.base.update_step(gradient, variable)
        fast, before = tf.convert_to_tensor(variable), tf.convert_to_tensor(slow)
        meets = tf.equal((self.iterations + 1) % self.every, 0)
        met = before + self.alpha * (fast - before)
        slow.assign(tf.where(meets, met, before))
        variable.assign(tf.where(meets, met, fast))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "every": self.every, "alpha": self.alpha}

    def _apply_weight_decay(self, variables: Sequence[tf.Variable]) -> None:
        for variable in variables:  # weights may have been loaded since `build`
            slow = self._slow[self._index_dict[self._var_key(variable)]]
            slow.assign(tf.where(tf.equal(self.iterations, 0), variable, slow))
        super()._apply_weight_decay(variables)
