"""Dense gradients, which touch every row, and training of a table on them."""

import numpy as np
import tensorflow as tf

from tests.optimizers.dense_cases import train_in_a_graph
from tests.optimizers.streams import DIM, ROWS, start


def dense_gradients(steps=100, seed=5):
    """Return a gradient of the table for each step; scales differ from row to row."""
    random = np.random.default_rng(seed)
    scale = 10 ** random.uniform(-3, 0, [ROWS, 1])
    return random.normal(0, scale, [steps, ROWS, DIM]).astype(np.float32)


def trained_densely(optimizer, gradients):
    table = tf.Variable(start())
    train_in_a_graph(optimizer, [table], [[gradient] for gradient in gradients])
    return table.numpy()
