"""All that the project's own optimizers share: an optimizer is one pure function over rows."""

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
"""Weight and state after a step."""
Schedule: TypeAlias = tf_keras.optimizers.schedules.LearningRateSchedule


class RowOptimizer(tf_keras.optimizers.Optimizer):
    """A Keras optimizer given by `update`, a pure function on rows [rows, dim]; for tables and for towers.

    For a sparse gradient (`tf.IndexedSlices`) it gathers the touched rows of weight and state, updates them and writes
    them back: a step costs O(touched rows) and no other row moves. For a dense gradient all rows are updated. XLA is
    never used: it would recompile for every number of touched rows.

    A subclass names its state in `state_names` and `row_state_names`, and defines `update`. Keras's own weight decay
    and moving averages would move untouched rows, so there are none.

    Args:
        learning_rate: a number, or a Keras schedule.
        l2_gradient: lambda; lambda * w is added to a touched row's gradient, once a step.
        weight_decay: lambda; a touched row loses learning_rate * lambda of itself before its update (decoupled decay);
            a vector, such as the bias of a tower, does not.
        max_norm: bound on the Euclidean norm of a touched row after its update; None: no bound.
        name: of the optimizer.
    """

    to_define: ClassVar[tuple[str, ...]] = ("update",)
    """Names that a subclass must define."""
    state_names: Sequence[str] = ()
    """State as wide as the rows, [rows, dim]."""
    row_state_names: Sequence[str] = ()
    """State of one number a row, [rows, 1]; in `update` it follows the other."""
    weights_in_state = False
    """Whether `update` makes weights from the state alone, so that what else moves them is undone at the next touch."""

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
        super().__init__(name=name, weight_decay=None, jit_compile=False)  # 0 would multiply whole tables
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.l2_gradient, self.max_norm = l2_gradient, max_norm
        self.row_decay = weight_decay  # Keras reads `weight_decay`, and would move whole tables by it

    @classmethod
    def state_floats(cls, dim: int, **arguments: Any) -> int:
        """Numbers of state that a row of width `dim` has, made with `arguments`."""
        return len(cls.state_names) * dim + len(cls.row_state_names)

    @property
    def starts_from_weight(self) -> bool:
        """Whether a row without state keeps its weight at its first touch, as a starting point."""
        return True

    def state_of_new_rows(self, step: int) -> dict[str, float]:
        """State that is not zero of rows that join a table after `step` steps, by name."""
        return {}

    def caught_up(self, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Rows:
        """Weight after what the steps since its rows' last touch did to them: nothing, unless a subclass says so."""
        return weight

    def update(self, gradient: Rows, weight: Rows, state: State, learning_rate: Scalar, step: Scalar) -> Updated:
        """New weight and state of some rows.

        Args:
            gradient: summed over the batch, each row once; [rows, dim].
            weight: before the step, [rows, dim].
            state: before the step: in the order of `state_names`, [rows, dim], then of `row_state_names`, [rows, 1].
            learning_rate: scalar.
            step: scalar, from 0.
        """
        raise TypeError(f"{type(self).__name__} must define update")

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Create the state of each variable, zero at the start.

        Raises:
            ValueError: a scalar, which has no rows.
        """
        if scalars := [variable.name for variable in var_list if variable.shape.rank == 0]:
            raise ValueError(f"{self.name} updates rows: a variable needs an axis. Received: the scalar {scalars[0]}")
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
        """Apply a gradient whose indices, if it is sparse, are unique.

        Raises:
            ValueError: a sparse gradient of a vector, whose rows have no axis.
        """
        if isinstance(gradient, tf.IndexedSlices):
            if variable.shape.rank < 2:
                raise ValueError(f"a table is [rows, dim]. Received: {variable.name} of shape {variable.shape}")
            store = self.store_of(variable)
            weight, *state = store.gather(gradient.indices)
            store.scatter(gradient.indices, *self._whole_update(gradient.values, weight, tuple(state)))
        else:
            whole = (variable, *self._states_of(variable))
            weight, *state = (tf.convert_to_tensor(v) for v in whole)
            for target, value in zip(whole, self._whole_update(gradient, weight, tuple(state)), strict=True):
                target.assign(value)

    def _states_of(self, variable: tf.Variable) -> list[tf.Variable]:
        return self._states[self._index_dict[self._var_key(variable)]]

    def _whole_update(self, gradient: Rows, weight: Rows, state: State) -> State:
        """Weight and states of some rows after catching up, penalty, decay, `update` and bound."""
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
        """The constructor's arguments; a subclass adds its own."""
        config = {
            "name": self.name,
            "learning_rate": self._serialize_hyperparameter(self._learning_rate),
            "l2_gradient": self.l2_gradient,
        }
        if self.weights_in_state:
            return config
        return {**config, "weight_decay": self.row_decay, "max_norm": self.max_norm}
