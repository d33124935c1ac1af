"""Base class of the sparse optimizers: each optimizer is one pure function over rows."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import tensorflow as tf
import tf_keras

from optimizers.checks import check_above_0, check_at_least_0, check_rate
from optimizers.row_store import RowStore, VariableRows

Tensor: TypeAlias = tf.Tensor
Rows: TypeAlias = tf.Tensor
Scalar: TypeAlias = tf.Tensor
State: TypeAlias = tuple[tf.Tensor, ...]
Updated: TypeAlias = tuple[tf.Tensor, State]
"""Weights and state after a step."""
Schedule: TypeAlias = tf_keras.optimizers.schedules.LearningRateSchedule


class RowOptimizer(tf_keras.optimizers.Optimizer):
    """Keras optimizer defined by `update`, a pure function over rows `[rows, dim]`; for embedding tables and towers.

    For a sparse gradient (`tf.IndexedSlices`), `update_step` gathers the weights and state of the rows in the gradient,
    calls `update`, and writes the results back. A step costs O(rows in the batch), and no other row changes. A dense
    gradient updates all rows. XLA is never used, because it would recompile for each new number of rows.

    A subclass lists its state in `state_names` and `row_state_names` and defines `update`. Keras's own weight decay and
    moving averages are turned off, because they would change rows outside the batch.

    Args:
        learning_rate: learning rate; a number or a Keras schedule. A larger value takes larger steps.
        l2_gradient: lambda of L2 regularization: `lambda * w` is added to the gradient of each updated row, once a
            step. A larger value pulls weights closer to zero; 0 turns it off.
        weight_decay: lambda of decoupled weight decay: before its update, an updated row loses `learning_rate * lambda`
            of itself. Vectors, such as biases, do not decay. A larger value pulls weights closer to zero; 0 turns it
            off.
        max_norm: upper bound on the Euclidean norm of an updated row; a longer row is scaled down to it. None: no
            bound.
        name: Keras name of the optimizer.

    Raises:
        ValueError: an argument is outside its range.
    """

    to_define: ClassVar[tuple[str, ...]] = ("update",)
    """Names that a subclass must define."""
    state_names: Sequence[str] = ()
    """Names of the state with one number per weight, `[rows, dim]`."""
    row_state_names: Sequence[str] = ()
    """Names of the state with one number per row, `[rows, 1]`. In `update` it follows the state of `state_names`."""
    weights_in_state = False
    """True if `update` computes weights from the state alone, which discards other changes at the next update."""

    def __init__(
        self,
        learning_rate: float | Schedule,
        l2_gradient: float = 0.0,
        weight_decay: float = 0.0,
        max_norm: float | None = None,
        name: str = "row_optimizer",
    ) -> None:
        check_rate(learning_rate)
        check_at_least_0(l2_gradient=l2_gradient, weight_decay=weight_decay)
        if max_norm is not None:
            check_above_0(max_norm=max_norm)
        super().__init__(name=name, weight_decay=None, jit_compile=False)  # 0 would rewrite whole tables
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.l2_gradient, self.max_norm = l2_gradient, max_norm
        self.row_decay = weight_decay  # Keras would apply an attribute named `weight_decay` to whole tables

    @classmethod
    def state_floats(cls, dim: int, **arguments: Any) -> int:
        """Return the number of state values per row of width `dim` for an optimizer constructed with `arguments`."""
        return len(cls.state_names) * dim + len(cls.row_state_names)

    @property
    def starts_from_weight(self) -> bool:
        """True if the first update of a row starts from its initial weights instead of discarding them."""
        return True

    def state_of_new_rows(self, step: int) -> dict[str, float]:
        """Return the nonzero state, by name, of rows that join a table after `step` steps."""
        return {}

    def caught_up(self, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Rows:
        """Return the weights after the effect of the steps since each row's last update; by default, unchanged."""
        return weight

    def update(self, gradient: Rows, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        """Return the new weights and state of rows.

        Args:
            gradient: gradient summed over the batch, each row once, `[rows, dim]`.
            weight: weights before the step, `[rows, dim]`.
            state: state before the step: that of `state_names` in order, `[rows, dim]`, then that of `row_state_names`,
                `[rows, 1]`.
            learning_rate: learning rate of the step, a scalar.
            step: number of completed steps, a scalar from 0.
        """
        raise TypeError(f"{type(self).__name__} must define update")

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Create the state of each variable, initialized to zero.

        Raises:
            ValueError: a variable is a scalar and has no rows.
        """
        if scalars := [variable.name for variable in var_list if variable.shape.rank == 0]:
            raise ValueError(f"{self.name}: variables must have at least one axis. Received: the scalar {scalars[0]}")
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._states = [
            [
                *(self.add_variable_from_reference(variable, name) for name in self.state_names),
                *(
                    self.add_variable_from_reference(variable, name, shape=[*variable.shape[:-1], 1])
                    for name in self.row_state_names
                ),
            ]
            for variable in var_list
        ]
        self._built = True

    def store_of(self, variable: tf.Variable) -> RowStore:
        """Return the store of a variable's rows: its weights and their state."""
        names = (*self.state_names, *self.row_state_names)
        return VariableRows(variable, dict(zip(names, self._states_of(variable), strict=True)))

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        """Apply a gradient; the indices of a sparse gradient must be unique.

        Raises:
            ValueError: a sparse gradient belongs to a variable with fewer than two axes.
        """
        if isinstance(gradient, tf.IndexedSlices):
            if variable.shape.rank < 2:
                raise ValueError(
                    f"{self.name}: a sparse gradient needs a variable of shape [rows, dim]. "
                    f"Received: {variable.name} of shape {variable.shape}"
                )
            store = self.store_of(variable)
            weight, *state = store.gather(gradient.indices)
            store.scatter(gradient.indices, *self._full_update(gradient.values, weight, tuple(state)))
        else:
            targets = (variable, *self._states_of(variable))
            weight, *state = (tf.convert_to_tensor(target) for target in targets)
            for target, value in zip(targets, self._full_update(gradient, weight, tuple(state)), strict=True):
                target.assign(value)

    def _states_of(self, variable: tf.Variable) -> list[tf.Variable]:
        return self._states[self._index_dict[self._var_key(variable)]]

    def _full_update(self, gradient: Rows, weight: Rows, state: State) -> State:
        """Return weights and state of rows after `caught_up`, L2 gradient, weight decay, `update` and `max_norm`."""
        learning_rate = tf.cast(self.learning_rate, weight.dtype)
        weight = self.caught_up(weight, state, learning_rate, self.iterations)
        if self.l2_gradient:
            gradient += self.l2_gradient * weight
        if self.row_decay and weight.shape.rank > 1:
            weight -= learning_rate * self.row_decay * weight
        new_weight, new_state = self.update(gradient, weight, state, learning_rate, self.iterations)
        if self.max_norm is not None:
            norm = tf.sqrt(tf.reduce_sum(tf.square(new_weight), axis=-1, keepdims=True))
            new_weight *= tf.where(norm > self.max_norm, tf.math.divide_no_nan(self.max_norm, norm), 1)
        return (new_weight, *new_state)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; a subclass adds its own."""
        config = {
            "name": self.name,
            "learning_rate": self._serialize_hyperparameter(self._learning_rate),
            "l2_gradient": self.l2_gradient,
        }
        if self.weights_in_state:
            return config
        return {**config, "weight_decay": self.row_decay, "max_norm": self.max_norm}
