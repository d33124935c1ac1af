"""Recording of layer outputs, to examine a training step layer by layer."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras


class Call(NamedTuple):
    """Recorded call of a layer."""

    path: str
    """Names of the enclosing layers and of the layer itself, such as `dcn_v2/deep/dense_0`."""
    layer: tf_keras.layers.Layer
    """Layer that was called."""
    outputs: list[tf.Tensor]
    """Outputs of the call, flattened."""
    averages: dict[int, tf.Tensor]
    """Id of each variable of the layer that is not trained, such as a moving average -> its value after the call."""


class _Recording:
    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.open: list[str] = []
        """Names of the layers whose calls are in progress, outermost first."""


_recording: ContextVar[_Recording | None] = ContextVar("recording", default=None)


class Recorded(tf_keras.layers.Layer):
    """Layer whose calls `recorded` records; a mixin if it precedes another Keras class.

    >>> class Double(Recorded):
    ...     def call(self, x):
    ...         return 2 * x
    >>> with recorded() as calls:
    ...     _ = Double(name="double")(tf.constant([3.0]))
    >>> [(call.path, call.outputs[0].numpy().tolist()) for call in calls]
    [('double', [6.0])]
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the layer, and record the call inside `recorded`."""
        recording = _recording.get()
        if recording is None:
            return super().__call__(*args, **kwargs)
        recording.open.append(self.name)
        outputs = super().__call__(*args, **kwargs)
        # flattened immediately, because a caller can remove entries from a dictionary of outputs
        averages = {id(variable): tf.identity(variable) for variable in self.non_trainable_variables}
        recording.calls.append(Call("/".join(recording.open), self, tf.nest.flatten(outputs), averages))
        recording.open.pop()
        return outputs


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """Record each call of a `Recorded` layer in the context, in the order in which the calls end."""
    recording = _Recording()
    token = _recording.set(recording)
    try:
        yield recording.calls
    finally:
        _recording.reset(token)


@contextmanager
def recorded_below(name: str) -> Iterator[None]:
    """Record the calls in the context below a name, as if a layer of that name enclosed them."""
    recording = _recording.get()
    if recording is None:
        yield
        return
    recording.open.append(name)
    yield
    recording.open.pop()


class Dense(Recorded, tf_keras.layers.Dense):
    """Keras's dense layer, recorded."""


class BatchNormalization(Recorded, tf_keras.layers.BatchNormalization):
    """Keras's batch normalization, recorded."""


class LayerNormalization(Recorded, tf_keras.layers.LayerNormalization):
    """Keras's layer normalization, recorded."""


class ReLU(Recorded, tf_keras.layers.ReLU):
    """Keras's rectifier, recorded."""


class PReLU(Recorded, tf_keras.layers.PReLU):
    """Keras's rectifier with a trained slope, recorded."""
