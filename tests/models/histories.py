"""Batches with behavior sequences."""

import numpy as np
import tensorflow as tf


def history_batch(id_rows, histories, size=6, length=5, seed=0):
    """Return random ids, padded by 0; the first of several rows has empty histories.

    Args:
        id_rows: row count of the table of each column of `ids`.
        histories: sequence -> row count of its table.
    """
    random = np.random.default_rng(seed)
    batch = {
        "ids": np.stack([random.integers(3, rows, size) for rows in id_rows], axis=1).astype(np.int32),
        "numerics": random.normal(size=[size, 1]).astype(np.float32),
        "label": random.integers(0, 2, size).astype(np.float32),
        "weight": np.ones(size, np.float32),
    }
    for name, rows in histories.items():
        lengths = random.integers(1, length + 1, size).astype(np.int32)
        lengths[0] = 0 if size > 1 else length
        ids = random.integers(3, rows, [size, length]).astype(np.int32)
        batch |= {f"sequences/{name}": ids * (np.arange(length) < lengths[:, None]), f"lengths/{name}": lengths}
    return {key: tf.constant(array) for key, array in batch.items()}
