"""Batches as a `tf.data.Dataset`, for plain Keras."""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from features.batch import Batch
from features.encoder import Encoder
from features.file_order import FileOrderReader
from features.reader import Reader

if TYPE_CHECKING:
    import tensorflow as tf


def batch_signature(encoder: Encoder) -> "dict[str, tf.TensorSpec]":
    """Return the tensor specs of an encoder's batches, with an open batch dimension, so that nothing retraces."""
    import tensorflow as tf

    return {key: tf.TensorSpec([None, *shape], dtype) for key, (shape, dtype) in encoder.batch_spec.items()}


def as_tf_dataset(reader: Reader | FileOrderReader, first_epoch: int = 0) -> "tf.data.Dataset":
    """Return the reader's batches as a `tf.data.Dataset`, for `fit`, `evaluate` and `predict` of Keras.

    Each pass over the dataset is the reader's next epoch, so `fit(dataset, epochs=3)` uses three orders. Every pass
    over a `FileOrderReader` is the same, for `validation_data` and `predict`. Elements are dicts as `features.batch`
    describes, with an open batch dimension.

    Args:
        reader: reader of the data.
        first_epoch: epoch of the first pass, from 0.
    """
    import tensorflow as tf  # imported here, because the rest of `features` starts ten times faster without it

    epochs = itertools.count(first_epoch)

    def next_epoch() -> Iterator[Batch]:
        yield from reader.epoch(next(epochs))

    dataset = tf.data.Dataset.from_generator(next_epoch, output_signature=batch_signature(reader.encoder))
    return dataset.apply(tf.data.experimental.assert_cardinality(reader.batches_per_epoch))
