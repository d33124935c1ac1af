"""Outline of a model: names, shapes and layers of all variables, without allocating memory for them."""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.ops.resource_variable_ops import UninitializedVariable

from ctr.errors import ConfigError
from models import CTRModel
from models.seeds import MAX_NUMBERS


def outline_of(make: Callable[[], CTRModel]) -> CTRModel:
    """Make a model whose variables have names, types and shapes, but neither values nor memory.

    The layers are called while a graph is traced, so they check their inputs. Scalars, such as learning rates, have
    values.

    Args:
        make: function that returns the compiled model with optimizer state.

    Raises:
        ConfigError: a weight of the tower has more numbers than TensorFlow can count.
    """
    with (
        tf.device("CPU"),
        tf.variable_creator_scope(_variable_without_memory),
        tf.__internal__.FuncGraph("outline").as_default(),
    ):
        model = tf.autograph.experimental.do_not_convert(make)()  # the training step is traced without AutoGraph, too
    for block, layers in model.tower.blocks.items():
        for variable in [variable for layer in layers for variable in layer.variables]:
            if math.prod(variable.shape) >= MAX_NUMBERS:
                shape = variable.shape.as_list()
                raise ConfigError(f"model: {block}: a weight must have fewer than 2^31 numbers. Received: {shape}")
    return model


def _variable_without_memory(next_creator: Callable[..., tf.Variable], **arguments: Any) -> tf.Variable:
    value, shape, dtype = (arguments.get(name) for name in ("initial_value", "shape", "dtype"))
    if isinstance(value, int | float) or (shape is not None and tf.TensorShape(shape).rank == 0):
        return next_creator(**arguments)
    if shape is None:
        value = tf.convert_to_tensor(value() if callable(value) else value)
        shape, dtype = value.shape, dtype or value.dtype
    return UninitializedVariable(
        trainable=arguments.get("trainable"),
        name=arguments.get("name"),
        shape=shape,
        dtype=dtype,
        synchronization=arguments.get("synchronization"),
        aggregation=arguments.get("aggregation"),
    )
