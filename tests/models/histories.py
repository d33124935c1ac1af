"""Batches with histories."""

import numpy as np
import tensorflow as tf


def history_batch(id_rows, histories, size=6, length=5, seed=0):
    """Random ids below the rows of their tables; of several rows, the first has empty histories; padding is 0.

    Args:
        id_rows: for each column of `ids` the rows of its table.
        histories: sequence -> the rows of its table.
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
