"""Tables, streams of sparse gradients, and the weights and states of a table after a stream."""

import numpy as np
import tensorflow as tf

ROWS, DIM = 40, 4
FEW = 20  # batches, up to which building a graph takes longer than it saves


def start(seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, [ROWS, DIM]).astype(np.float32)


def stream(steps, seed=1, first=0, last=ROWS):
    """Return (rows, gradients) of each step: duplicate ids from a window that slides over the rows [first, last)."""
    random = np.random.default_rng(seed)
    width = (last - first) // 2
    for step in range(steps):
        rows = first + (step // 5 + random.integers(0, width, 24)) % (last - first)
        scale = 10 ** random.uniform(-3, 0)
        yield rows.astype(np.int32), random.normal(0, scale, [24, DIM]).astype(np.float32)


def apply(optimizer, table, batches):
    """Train a table on sparse gradients: few batches eagerly, many in a graph, in one call if their shapes match."""
    optimizer.build([table])
    batches = list(batches)

    def step(rows, gradients):
        optimizer.apply_gradients([(tf.IndexedSlices(gradients, rows, tf.constant([ROWS, DIM])), table)])

    def steps(rows, gradients):
        for k in tf.range(len(rows)):
            step(rows[k], gradients[k])

    if len(batches) > FEW and len({rows.shape for rows, _ in batches}) == 1:
        tf.function(steps)(*(tf.constant(np.stack(arrays)) for arrays in zip(*batches, strict=True)))
        return
    if len(batches) > FEW:
        signature = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, DIM], tf.float32)]
        step = tf.function(step, input_signature=signature)
    for rows, gradients in batches:
        step(tf.constant(rows), tf.constant(gradients))


def trained(optimizer, batches, weight=None):
    table = tf.Variable(start() if weight is None else weight)
    apply(optimizer, table, batches)
    return table.numpy()


def states(optimizer):
    """Return the optimizer's state of its only table."""
    return [v.numpy() for v in optimizer.variables if v.shape[:1] == (ROWS,)]


def everything(optimizer, table):
    """Return weight and state of each row, concatenated."""
    return np.concatenate([table.numpy(), *states(optimizer)], axis=1)
