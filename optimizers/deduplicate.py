"""Summation of a sparse gradient's duplicate rows."""

import tensorflow as tf


def deduplicate(gradient: tf.IndexedSlices, on_gpu: bool = False) -> tf.IndexedSlices:
    """Return a sparse gradient with each row once, in order of first appearance.

    The values of a row are summed in order of appearance. On a CPU the sum is a product with a sparse matrix of ones,
    which is faster than TensorFlow's segment sum and gives the same bits. A GPU rejects that product in deterministic
    mode and uses the segment sum instead.

    Args:
        gradient: sparse gradient with values `[ids, dim]` and row numbers `indices`, `[ids]`.
        on_gpu: True if the gradient is computed on a GPU.

    >>> gradient = tf.IndexedSlices(tf.constant([[1.0], [2.0], [4.0]]), tf.constant([7, 3, 7]), tf.constant([9, 1]))
    >>> summed = deduplicate(gradient)
    >>> print(summed.indices.numpy(), summed.values.numpy().ravel())
    [7 3] [5. 2.]
    """
    rows, slots = tf.unique(gradient.indices)
    values = tf.convert_to_tensor(gradient.values)
    if on_gpu:
        summed = tf.math.unsorted_segment_sum(values, slots, tf.size(rows))
    else:
        ids = tf.size(slots, out_type=tf.int64)
        summed = tf.raw_ops.SparseTensorDenseMatMul(
            a_indices=tf.stack([tf.cast(slots, tf.int64), tf.range(ids)], axis=1),
            a_values=tf.ones_like(slots, values.dtype),
            a_shape=tf.stack([tf.size(rows, out_type=tf.int64), ids]),
            b=values,
        )
    return tf.IndexedSlices(summed, rows, gradient.dense_shape)
