"""Index from values to their positions in a vocabulary."""

from hashlib import blake2b

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import DataError

MULTIPLIER = np.uint64(
    0xC6A4A7935BD1E995
)  # MurmurHash64A's multiplier; odd, so that each step of the hash is invertible
SHIFT = np.uint64(47)
WORD, LONG = 8, 512  # bytes
MASKS = np.array([(1 << 8 * size) - 1 for size in range(WORD + 1)], np.uint64)


class VocabularyIndex:
    """Index of the distinct values of a vocabulary.

    Integers are looked up as they are. Text is looked up by a 64-bit hash and then compared. With a Python object per
    text, a lookup would take four times as long, and the index twice the memory.

    Args:
        values: values of the vocabulary, int64, uint64 or large_string, without nulls.

    Raises:
        DataError: a value occurs twice.

    >>> index = VocabularyIndex(pa.array(["b", "a"], pa.large_string()))
    >>> index.positions(pa.array(["a", "c"], pa.large_string())).tolist()
    [1, -1]
    """

    def __init__(self, values: pa.Array) -> None:
        self.values = values
        self._is_text = pa.types.is_large_string(values.type)
        self._seed = 0
        self._index = pd.Index(self._keys(values))
        while not self._index.is_unique:  # another seed separates values with equal hashes
            if not self._is_text or pc.count_distinct(values).as_py() < len(values):
                raise DataError("a vocabulary has a duplicate value")
            self._seed += 1
            self._index = pd.Index(self._keys(values))
        self._index.get_indexer(self._index[:1])  # build the hash table before several threads use it

    def positions(self, values: pa.Array) -> np.ndarray:
        """Return the position of each value in the vocabulary, int64 `[values]`; -1 for an unknown value.

        Args:
            values: values of the vocabulary's type, without nulls.
        """
        positions = self._index.get_indexer(pd.Index(self._keys(values)))
        if self._is_text and len(self.values):
            same_hash = self.values.take(pa.array(np.maximum(positions, 0)))
            is_equal = pc.equal(same_hash, values).to_numpy(zero_copy_only=False)
            positions = np.where(is_equal, positions, -1)
        return positions

    def _keys(self, values: pa.Array) -> np.ndarray:
        return hash_texts(values, self._seed) if self._is_text else values.to_numpy()


def hash_texts(texts: pa.LargeStringArray, seed: int) -> np.ndarray:
    """Hash the UTF-8 of each text, eight bytes at a time, all texts together; uint64 `[texts]`. Texts must not be null.

    Bytes after the first `LONG` bytes of a text are hashed by BLAKE2, because a few long texts would need many small
    steps.
    """
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    starts, left = offsets[:-1] - offsets[:1], np.diff(offsets)
    data = np.zeros(int(left.sum()) + WORD, np.uint8)
    if len(data) > WORD:
        data[:-WORD] = np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    words = np.ndarray(len(data) - WORD + 1, "<u8", data, strides=(1,))  # the eight bytes that start at each byte
    with np.errstate(over="ignore"):  # modulo 2^64
        hashed = _mixed(left.astype(np.uint64) + np.uint64(seed) * MULTIPLIER)
        rows = np.flatnonzero(left)
        starts, left = starts[rows], left[rows]
        for _ in range(LONG // WORD):
            hashed[rows] = _mixed(hashed[rows] ^ (words[starts] & MASKS[np.minimum(left, WORD)]))
            is_longer = left > WORD
            rows, starts, left = rows[is_longer], starts[is_longer] + WORD, left[is_longer] - WORD
            if not len(rows):
                break
        for row, start, size in zip(rows.tolist(), starts.tolist(), left.tolist(), strict=True):
            remainder = blake2b(
                data[start : start + size].tobytes(), digest_size=WORD, key=seed.to_bytes(WORD, "little")
            )
            hashed[row] ^= np.uint64(int.from_bytes(remainder.digest(), "little"))
    return hashed


def _mixed(bits: np.ndarray) -> np.ndarray:
    bits = bits * MULTIPLIER
    bits ^= bits >> SHIFT
    return bits * MULTIPLIER
