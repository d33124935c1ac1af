"""Masks of dropout: the numbers of `tf.random.stateless_uniform`, compared with the rate, five times as fast on a CPU.

TensorFlow computes the numbers one by one on a CPU. A large mask takes as long as a layer of the MLP. XLA computes
several at a time from the same definition, the generator Philox4x32-10 (Salmon et al. 2011, Parallel random numbers: as
easy as 1, 2, 3): a counter of 128 bits and a key of 64 bits give four numbers, the next counter the next four.
"""

import tensorflow as tf

CHUNK = 2**16
"""Counters per call of the compiled function, so that it is compiled once for masks of any size. A smaller mask takes
TensorFlow's own numbers, because compiling takes longer than computing them."""

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # added to the key after each round

SHAPE, SEED, RATE = tf.TensorSpec([None], tf.int32), tf.TensorSpec([2], tf.int64), tf.TensorSpec([], tf.float32)


@tf.function(autograph=False, input_signature=[SHAPE, SEED, RATE])  # traced once for all layers
def dropout_mask(shape: tf.Tensor, seed: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
    """Return True for each value that dropout keeps, as `tf.random.stateless_uniform(shape, seed) >= rate`, bit by bit.

    Args:
        shape: shape of the mask, int32.
        seed: two integers, int64 `[2]`.
        rate: fraction of values that dropout sets to zero, 0 to below 1.

    >>> int(tf.math.count_nonzero(dropout_mask([1000, 400], [1, 2], 0.25)))
    299545
    """
    if tf.config.list_logical_devices("GPU"):
        return _uniform_mask(shape, seed, rate)
    is_small = tf.reduce_prod(shape) < 4 * CHUNK
    return tf.cond(is_small, lambda: _uniform_mask(shape, seed, rate), lambda: _compiled_mask(shape, seed, rate))


def _uniform_mask(shape: tf.Tensor, seed: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, seed) >= rate


def _compiled_mask(shape: tf.Tensor, seed: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    size = tf.reduce_prod(shape)
    packed = tf.map_fn(
        lambda chunk: _packed_masks(key[0], counter, chunk * CHUNK, rate),
        tf.range(-(-size // (4 * CHUNK)), dtype=tf.int32),
        fn_output_signature=tf.uint32,
    )  # [chunks, CHUNK]
    return tf.reshape(tf.cast(tf.reshape(tf.bitcast(packed, tf.uint8), [-1])[:size], tf.bool), shape)


@tf.function(jit_compile=True, autograph=False)
def _packed_masks(key: tf.Tensor, counter: tf.Tensor, first: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
    """Return the masks of the four numbers of each counter, one in each byte of a uint32, `[CHUNK]`.

    Args:
        key: key of the generator, uint64.
        counter: first counter of the mask, uint64 `[2]`, the low half first.
        first: number of counters before this chunk.
        rate: minimum number that is kept.
    """
    low = counter[0] + tf.bitcast(tf.cast(first, tf.int64) + tf.range(CHUNK, dtype=tf.int64), tf.uint64)
    high = counter[1] + tf.cast(low < counter[0], tf.uint64)
    masks = tf.zeros([CHUNK], tf.uint32)
    for index, bits in enumerate(_philox([*_halves(low), *_halves(high)], list(_halves(key)))):
        # 23 random bits are the fraction of a float in [1, 2)
        number = tf.bitcast((bits & tf.constant(2**23 - 1, tf.uint32)) | tf.constant(0x3F800000, tf.uint32), tf.float32)
        masks |= tf.where(number - 1 >= rate, tf.constant(1 << 8 * index, tf.uint32), tf.constant(0, tf.uint32))
    return masks


def _philox(counter: list[tf.Tensor], key: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return four random uint32 for each counter of four uint32, low ones first, with a key of two uint32."""
    for _ in range(ROUNDS):
        low_0, high_0 = _halves(tf.cast(counter[0], tf.uint64) * tf.constant(MULTIPLIERS[0], tf.uint64))
        low_2, high_2 = _halves(tf.cast(counter[2], tf.uint64) * tf.constant(MULTIPLIERS[1], tf.uint64))
        counter = [high_2 ^ counter[1] ^ key[0], low_2, high_0 ^ counter[3] ^ key[1], low_0]
        key = [part + tf.constant(step, tf.uint32) for part, step in zip(key, KEY_STEPS, strict=True)]
    return counter


def _halves(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the low and the high 32 bits of a uint64."""
    return tf.cast(number, tf.uint32), tf.cast(tf.bitwise.right_shift(number, tf.constant(32, tf.uint64)), tf.uint32)
