"""From values to their places in a vocabulary."""

from hashlib import blake2b

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import DataError

MULTIPLIER = np.uint64(0xC6A4A7935BD1E995)  # odd, so that each step of the hash can be undone: of MurmurHash64A
SHIFT = np.uint64(47)
WORD, LONG = 8, 512  # bytes
MASKS = np.array([(1 << 8 * size) - 1 for size in range(WORD + 1)], np.uint64)


class VocabularyIndex:
    """Finds values among the distinct values of a vocabulary.

    Integers are looked up as they are. Texts are looked up by a 64-bit hash and then compared. With a Python object for
    each text, a lookup would take four times as long, and the index twice the memory.

    Args:
        values: the vocabulary, int64, uint64 or large_string, none null.

    Raises:
        DataError: it holds a value twice.

    >>> index = VocabularyIndex(pa.array(["b", "a"], pa.large_string()))
    >>> index.places(pa.array(["a", "c"], pa.large_string())).tolist()
    [1, -1]
    """

    def __init__(self, values: pa.Array) -> None:
        self.values = values
        self._is_text = pa.types.is_large_string(values.type)
        self._seed = 0
        self._index = pd.Index(self._keys(values))
        while not self._index.is_unique:  # two values have one hash: another seed parts them
            if not self._is_text or pc.count_distinct(values).as_py() < len(values):
                raise DataError("a vocabulary holds a value twice")
            self._seed += 1
            self._index = pd.Index(self._keys(values))
        self._index.get_indexer(self._index[:1])  # builds the table now: later two threads may look up

    def places(self, values: pa.Array) -> np.ndarray:
        """Return the place of each value in the vocabulary, int64 [values]; -1 for one that is not in it.

        Args:
            values: of the vocabulary's type, none null.
        """
        places = self._index.get_indexer(pd.Index(self._keys(values)))
        if self._is_text and len(self.values):
            hashed_alike = self.values.take(pa.array(np.maximum(places, 0)))
            is_equal = pc.equal(hashed_alike, values).to_numpy(zero_copy_only=False)
            places = np.where(is_equal, places, -1)
        return places

    def _keys(self, values: pa.Array) -> np.ndarray:
        return hash_texts(values, self._seed) if self._is_text else values.to_numpy()


def hash_texts(texts: pa.LargeStringArray, seed: int) -> np.ndarray:
    """Hash each text's UTF-8, eight bytes at a time, all texts at once; uint64 [texts]. None may be null.

    What a text has beyond its first `LONG` bytes is hashed by BLAKE2: a few long texts would be many small steps.
    """
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    starts, left = offsets[:-1] - offsets[:1], np.diff(offsets)
    data = np.zeros(int(left.sum()) + WORD, np.uint8)
    if len(data) > WORD:
        data[:-WORD] = np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    words = np.ndarray(len(data) - WORD + 1, "<u8", data, strides=(1,))  # the eight bytes from each byte on
    with np.errstate(over="ignore"):  # modulo 2^64
        hashed = _mixed(left.astype(np.uint64) + np.uint64(seed) * MULTIPLIER)
        rows = np.flatnonzero(left)
        starts, left = starts[rows], left[rows]
        for _ in range(LONG // WORD):
            hashed[rows] = _mixed(hashed[rows] ^ (words[starts] & MASKS[np.minimum(left, WORD)]))
            goes_on = left > WORD
            rows, starts, left = rows[goes_on], starts[goes_on] + WORD, left[goes_on] - WORD
            if not len(rows):
                break
        for row, start, size in zip(rows.tolist(), starts.tolist(), left.tolist(), strict=True):
            rest = blake2b(data[start : start + size].tobytes(), digest_size=WORD, key=seed.to_bytes(WORD, "little"))
            hashed[row] ^= np.uint64(int.from_bytes(rest.digest(), "little"))
    return hashed


def _mixed(bits: np.ndarray) -> np.ndarray:
    bits = bits * MULTIPLIER
    bits ^= bits >> SHIFT
    return bits * MULTIPLIER
