"""Powers of a decay rate by step counts that differ between rows."""

import numpy as np
import tensorflow as tf

from optimizers.base import Rows


def powers(base: float, exponents: Rows, complement: bool = False) -> Rows:
    """Return base ** exponents, or 1 minus it if `complement` is True, rounded once from float64.

    Exponents are integers from 0; exponents above 2^24 count as 2^24. Powers come from lookup tables, because the last
    bit of `tf.pow` depends on a row's position in the array and so on which tables are fused.

    Args:
        base: decay rate, 0 to 1.
        exponents: number of steps per row, integers stored as floats, `[rows, 1]`.
        complement: True returns 1 - base ** exponents.
    """
    steps = tf.cast(tf.minimum(exponents, 2.0**24), tf.int32)
    low, high = (np.power(np.float64(base), np.arange(n) * stride) for n, stride in ((4096, 1), (4097, 4096)))
    product = tf.gather(low, steps % 4096) * tf.gather(high, steps // 4096)
    return tf.cast(1 - product if complement else product, exponents.dtype)
