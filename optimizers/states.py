"""Which state an optimizer keeps of which variable."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import tensorflow as tf
import tf_keras

from optimizers.wrapper import Wrapper

Optimizer: TypeAlias = tf_keras.optimizers.Optimizer
States: TypeAlias = dict[str, tf.Variable]
"""Name, such as `accumulator` -> state."""


def build_and_note_states(optimizer: Optimizer, variables: Sequence[tf.Variable]) -> dict[str, States]:
    """Build an optimizer; return the states that it makes for each variable, by the key that Keras gives the variable.

    States are noted as the optimizer, or one that it wraps, asks Keras for them. Their names would not do: Keras puts
    the variable's name into them, which other variables may share, and in a step also the scope.
    """
    found: dict[str, States] = {optimizer._var_key(variable): {} for variable in variables}
    makers = [optimizer]
    while isinstance(makers[-1], Wrapper):
        makers.append(makers[-1].base)
    for maker in makers:
        vars(maker)["add_variable_from_reference"] = _noting(maker, found)  # hides the method
    try:
        optimizer.build(variables)
    finally:
        for maker in makers:
            del vars(maker)["add_variable_from_reference"]
    return found


def _noting(optimizer: Optimizer, found: Mapping[str, States]) -> Callable[..., tf.Variable]:
    """Return Keras's method, which makes a state, made to note it."""
    make = optimizer.add_variable_from_reference

    def make_and_note(model_variable: tf.Variable, variable_name: str, *args: Any, **kwargs: Any) -> tf.Variable:
        state = make(model_variable, variable_name, *args, **kwargs)
        states = found[optimizer._var_key(model_variable)]
        name = variable_name if variable_name not in states else f"{variable_name}_{len(states)}"
        states[name] = state
        return state

    return make_and_note
