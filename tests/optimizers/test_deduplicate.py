"""Duplicate rows are summed, on a CPU by a matrix product with the same bits as TensorFlow's segment sum."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.deduplicate import deduplicate


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10_000), ids=st.integers(0, 300), rows=st.integers(1, 60), dim=st.sampled_from([1, 4, 17, 40])
)
def test_rows_and_bits_are_those_of_a_segment_sum(seed, ids, rows, dim):
    random = np.random.default_rng(seed)
    values = (random.normal(size=[ids, dim]) * 10 ** random.uniform(-6, 3, [ids, 1])).astype(np.float32)
    chosen = random.integers(0, rows, ids).astype(np.int32)
    gradient = tf.IndexedSlices(tf.constant(values), tf.constant(chosen), tf.constant([rows, dim]))

    by_product, by_segments = deduplicate(gradient), deduplicate(gradient, on_gpu=True)

    assert by_product.indices.numpy().tolist() == list(dict.fromkeys(chosen.tolist()))
    assert by_product.indices.numpy().tolist() == by_segments.indices.numpy().tolist()
    assert by_product.values.numpy().tobytes() == by_segments.values.numpy().tobytes()


def test_a_large_gradient_gives_the_same_bits_each_time():
    random = np.random.default_rng(0)
    values, ids = random.normal(size=[100_000, 16]).astype(np.float32), random.zipf(1.3, 100_000) % 30_000
    gradient = tf.IndexedSlices(tf.constant(values), tf.constant(ids, tf.int32), tf.constant([30_000, 16]))
    compiled = tf.function(lambda: deduplicate(gradient).values)

    runs = {compiled().numpy().tobytes() for _ in range(5)}

    assert runs == {deduplicate(gradient, on_gpu=True).values.numpy().tobytes()}
