"""State variables that an optimizer keeps for each model variable."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import tensorflow as tf
import tf_keras

from optimizers.wrapper import Wrapper

Optimizer: TypeAlias = tf_keras.optimizers.Optimizer
States: TypeAlias = dict[str, tf.Variable]
"""State name, such as `accumulator` -> state variable."""


def build_and_record_states(optimizer: Optimizer, variables: Sequence[tf.Variable]) -> dict[str, States]:
    """Build an optimizer and return the states that it creates for each variable, by Keras's key of the variable.

    States are recorded as the optimizer, or an optimizer that it wraps, requests them from Keras. The names of the
    states would not identify them: Keras puts the variable's name into them, which several variables can share, and
    inside a step also the scope.
    """
    states: dict[str, States] = {optimizer._var_key(variable): {} for variable in variables}
    makers = [optimizer]
    while isinstance(makers[-1], Wrapper):
        makers.append(makers[-1].base)
    for maker in makers:
        vars(maker)["add_variable_from_reference"] = _recording(maker, states)  # hides the method
    try:
        optimizer.build(variables)
    finally:
        for maker in makers:
            del vars(maker)["add_variable_from_reference"]
    return states


def _recording(optimizer: Optimizer, states: Mapping[str, States]) -> Callable[..., tf.Variable]:
    """Return Keras's method that creates a state, wrapped to record each state in `states`."""
    make = optimizer.add_variable_from_reference

    def make_and_record(model_variable: tf.Variable, variable_name: str, *args: Any, **kwargs: Any) -> tf.Variable:
        state = make(model_variable, variable_name, *args, **kwargs)
        of_variable = states[optimizer._var_key(model_variable)]
        name = variable_name if variable_name not in of_variable else f"{variable_name}_{len(of_variable)}"
        of_variable[name] = state
        return state

    return make_and_record
