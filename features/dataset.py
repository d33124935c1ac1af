"""Batches as a tf.data.Dataset for plain Keras."""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from features.batch import Batch
from features.encoder import Encoder
from features.reader import Reader

if TYPE_CHECKING:
    import tensorflow as tf


def batch_signature(encoder: Encoder) -> "dict[str, tf.TensorSpec]":
    """The tensors of an encoder's batches, with the batch dimension open, so that nothing retraces."""
    import tensorflow as tf

    return {key: tf.TensorSpec([None, *shape], dtype) for key, (shape, dtype) in encoder.batch_spec.items()}


def as_tf_dataset(reader: Reader, first_epoch: int = 0) -> "tf.data.Dataset":
    """The reader's batches as a `tf.data.Dataset`, for `keras.Model.fit`.

    Each pass over the dataset is the next epoch of the reader, so `fit(dataset, epochs=3)` sees three orders. Elements
    are dicts as `features.batch` describes, with the batch dimension open.

    Args:
        reader: what to read.
        first_epoch: the epoch of the first pass.
    """
    import tensorflow as tf  # the rest of `features` starts without it, in a tenth of the time

    epochs = itertools.count(first_epoch)

    def one_epoch() -> Iterator[Batch]:
        yield from reader.epoch(next(epochs))

    dataset = tf.data.Dataset.from_generator(one_epoch, output_signature=batch_signature(reader.encoder))
    return dataset.apply(tf.data.experimental.assert_cardinality(reader.batches_per_epoch))
