"""Hashes of values: FarmHash64 of the text of one value or of several crossed values."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.ragged import Ragged
from features.values import Values

CROSS_SEED = 0xDECAFCAFFE  # the default of tf.sparse.cross_hashed
UNIFORM_SEED = 0x5EED0F5911757AB1  # any number that differs from CROSS_SEED
MULTIPLIER = np.uint64(0xC6A4A7935BD1E995)
SHIFT = np.uint64(47)


def fingerprints(values: pa.Array) -> np.ndarray:
    """Return FarmHash64 of each value's text, integers as decimal; uint64 `[values]`. Values must not be null."""
    import tensorflow as tf  # imported here, because the rest of `features` starts ten times faster without it

    text = values.cast(pa.large_string()).to_numpy(zero_copy_only=False)
    with tf.device("CPU"):
        return tf.fingerprint(tf.constant(text, tf.string)).numpy().view("<u8")[:, 0]


def uniform(values: pa.Array) -> np.ndarray:
    """Return a number 0 <= x < 1 for each value, float64 `[values]`, that depends only on the value's text.

    Over distinct values the numbers are uniformly distributed, and independent of hash buckets and of crosses. Values
    must not be null.

    >>> uniform(pa.array([7, 8])).round(4).tolist(), uniform(pa.array(["7"])).round(4).tolist()
    ([0.9867, 0.9358], [0.9867])
    """
    hashed = _concatenated(np.array(UNIFORM_SEED, np.uint64), fingerprints(values))
    return (hashed >> np.uint64(11)) / 2.0**53


def cross(parts: Iterable[pa.Array], buckets: int) -> pa.Array:
    """Hash the values of each row together, as `tf.sparse.cross_hashed` does with their texts.

    Args:
        parts: columns of equal length.
        buckets: number of hash buckets.

    Returns:
        Buckets, int64, 0 <= value < buckets; null where a part is null.

    >>> cross([pa.array([7, 7, None]), pa.array(["a", "b", "a"])], 1000).to_pylist()
    [897, 445, None]
    """
    hashed, is_null = np.array(CROSS_SEED, np.uint64), np.False_
    for part in parts:
        encoded = part.dictionary_encode()
        distinct = np.append(fingerprints(encoded.dictionary), np.uint64(0))
        rows = distinct[pc.fill_null(encoded.indices, len(distinct) - 1).to_numpy()]
        hashed = _concatenated(hashed, rows)
        is_null = is_null | part.is_null().to_numpy(zero_copy_only=False)
    return pa.array((hashed % np.uint64(buckets)).astype(np.int64), mask=is_null)


def cross_sequence(parts: Iterable[Values], buckets: int) -> Ragged:
    """Hash each value of a sequence together with the categories of its row, as `cross` does.

    Args:
        parts: columns of equal length, one of which is the sequence.
        buckets: number of hash buckets.

    Returns:
        Buckets, as many for each row as the sequence has values.

    >>> history = Ragged(pa.array(["a", "b", "a"]), np.array([2, 0, 1]))
    >>> cross_sequence([pa.array([7, 7, None]), history], 1000).flat.to_pylist()
    [897, 445, None]
    """
    parts = list(parts)
    lengths = next(part.lengths for part in parts if isinstance(part, Ragged))
    rows = pa.array(np.repeat(np.arange(len(lengths)), lengths))
    # dictionary-encoded, so that indices are repeated instead of texts and each text is hashed once
    pairs = [part.flat if isinstance(part, Ragged) else part.dictionary_encode().take(rows) for part in parts]
    return Ragged(cross(pairs, buckets), lengths)


def _concatenated(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return TensorFlow's FingerprintCat64: the fingerprint of a concatenation from the fingerprints of its parts."""
    with np.errstate(over="ignore"):  # modulo 2^64
        mixed = (left ^ MULTIPLIER ^ (_mixed(right * MULTIPLIER) * MULTIPLIER)) * MULTIPLIER
        return _mixed(_mixed(mixed) * MULTIPLIER)


def _mixed(bits: np.ndarray) -> np.ndarray:
    return bits ^ (bits >> SHIFT)
