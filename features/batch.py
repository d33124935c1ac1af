"""The Batch contract, and batches as a tf.data.Dataset for plain Keras.

A batch is a dict of arrays, the interface between `features` and `models`:

    ids               int32   [batch, fields]     local to their table; 0 padding, 1 null, 2 out of vocabulary
    numerics          float32 [batch, numerics]
    sequences/<name>  int32   [batch, length]     padded with 0
    lengths/<name>    int32   [batch]
    label             float32 [batch]             0 or 1
    weight            float32 [batch]             1 where the data has none
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

    from features.encoder import Encoder
    from features.reader import Reader

Batch = dict[str, np.ndarray]

PADDING, NULL, OUT_OF_VOCABULARY, SPECIAL_ROWS = 0, 1, 2, 3
"""The first rows of every table."""


def batch_rows(batch: Batch) -> int:
    """The number of rows of a batch."""
    return len(batch["ids"])


def concatenate(batches: Iterable[Batch]) -> Batch:
    """Stack batches of the same columns, first rows first."""
    batches = list(batches)
    if len(batches) == 1:
        return batches[0]
    return {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}


def take(batch: Batch, rows: np.ndarray | slice) -> Batch:
    """The given rows of a batch."""
    return {key: array[rows] for key, array in batch.items()}


def batch_signature(encoder: "Encoder") -> "dict[str, tf.TensorSpec]":
    """The tensors of an encoder's batches, with the batch dimension open, so that nothing retraces."""
    import tensorflow as tf

    return {key: tf.TensorSpec([None, *shape], dtype) for key, (shape, dtype) in encoder.batch_spec.items()}


def as_tf_dataset(reader: "Reader", first_epoch: int = 0) -> "tf.data.Dataset":
    """The reader's batches as a `tf.data.Dataset`, for `keras.Model.fit`.

    Each pass over the dataset is the next epoch of the reader, so `fit(dataset, epochs=3)` sees three orders. Elements
    are dicts as the module describes, with the batch dimension open.

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
