"""Masks of dropout against TensorFlow's own kernels, which compute the numbers one by one."""

import numpy as np
import pytest
import tensorflow as tf

from models.blocks import Dropout
from models.dropout_mask import CHUNK, _packed_masks, dropout_mask

LARGE = 4 * CHUNK  # values, from which the compiled function computes the mask
PHILOX = 1  # the number of this generator in TensorFlow's kernels


def reference_mask(shape, seed, rate):
    return (tf.random.stateless_uniform(shape, seed) >= rate).numpy()


@pytest.mark.parametrize(
    "shape",
    [[0, 3], [5], [LARGE - 1], [LARGE], [LARGE + 1], [3, 1000, 100], [2 * LARGE + 7]],
    ids=lambda shape: "x".join(map(str, shape)),
)
@pytest.mark.parametrize(("seed", "rate"), [([0, 0], 0.5), ([2**33 + 7, 12345], 0.1), ([-3, 2**40], 0.999)])
def test_a_mask_is_that_of_stateless_uniform(shape, seed, rate):
    mask = dropout_mask(shape, tf.constant(seed, tf.int64), rate)

    assert mask.dtype == tf.bool
    np.testing.assert_array_equal(mask, reference_mask(shape, tf.constant(seed, tf.int64), rate))


@pytest.mark.parametrize("low", [0, 2**32 - 100, 2**64 - 100], ids=["start", "carry in low half", "carry to high half"])
@pytest.mark.parametrize("first", [0, 64, CHUNK])
def test_the_counter_carries_as_in_the_kernel(low, first):
    key, high = 0x0123456789ABCDEF, 2**32 - 1
    start = low + high * 2**64 + first

    packed = _packed_masks(
        tf.constant(key, tf.uint64), tf.constant([low, high], tf.uint64), tf.constant(first), tf.constant(0.3)
    )

    counter = tf.constant([start % 2**64, start // 2**64], tf.uint64)
    uniform = tf.raw_ops.StatelessRandomUniformV2(
        shape=[4 * CHUNK], key=tf.constant([key], tf.uint64), counter=counter, alg=PHILOX
    )
    np.testing.assert_array_equal(packed.numpy().view(np.uint8).astype(bool), uniform.numpy() >= np.float32(0.3))


@pytest.mark.parametrize("batch", [3, LARGE // 100 + 1], ids=["small", "large"])
def test_dropout_scales_what_it_keeps(batch):
    layer = Dropout(0.3, seed=1, path="deep/dropout")
    x = tf.random.stateless_normal([batch, 100], [1, 2])

    dropped = layer(x, step=tf.constant(5), training=True)

    mask = reference_mask([batch, 100], tf.constant([layer.layer_seed, 5], tf.int64), 0.3)
    np.testing.assert_array_equal(dropped, x.numpy() * (mask.astype(np.float32) / np.float32(0.7)))
