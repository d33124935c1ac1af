"""Record what the layers of a model return, so that a step can be examined layer by layer."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras


class Call(NamedTuple):
    """A call of a layer."""

    path: str
    """Names of the layers around it and its own, such as `dcn_v2/deep/dense_0`."""
    layer: tf_keras.layers.Layer
    outputs: list[tf.Tensor]


class _Recording:
    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.open: list[str] = []
        """Names of the layers whose calls have begun and not ended."""


_recording: ContextVar[_Recording | None] = ContextVar("recording", default=None)


class Recorded(tf_keras.layers.Layer):
    """A layer whose calls `recorded` records; before another Keras class, a mixin.

    >>> class Double(Recorded):
    ...     def call(self, x):
    ...         return 2 * x
    >>> with recorded() as calls:
    ...     _ = Double(name="double")(tf.constant([3.0]))
    >>> [(call.path, call.outputs[0].numpy().tolist()) for call in calls]
    [('double', [6.0])]
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the layer."""
        recording = _recording.get()
        if recording is None:
            return super().__call__(*args, **kwargs)
        recording.open.append(self.name)
        outputs = super().__call__(*args, **kwargs)
        # flattened now: a caller can take entries out of a dictionary of outputs
        recording.calls.append(Call("/".join(recording.open), self, tf.nest.flatten(outputs)))
        recording.open.pop()
        return outputs


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """Record each call of a `Recorded` layer inside, in the order in which the calls end."""
    recording = _Recording()
    token = _recording.set(recording)
    try:
        yield recording.calls
    finally:
        _recording.reset(token)


class Dense(Recorded, tf_keras.layers.Dense):
    """Keras's dense layer."""


class BatchNormalization(Recorded, tf_keras.layers.BatchNormalization):
    """Keras's batch normalization."""


class ReLU(Recorded, tf_keras.layers.ReLU):
    """Keras's rectifier."""


class PReLU(Recorded, tf_keras.layers.PReLU):
    """Keras's rectifier with a trained slope."""
