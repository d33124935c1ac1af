"""Hashes of a file's columns, taken when they are read, to detect changed values when they are read again."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import xxhash

from features.errors import DataError
from features.ragged import list_lengths

Piece = tuple[int, int]
"""Number of a row group and first row of its slice: the unit of reading."""


class Contents:
    """Hashes of one file's columns, piece by piece, as far as they were read.

    A column is hashed when this process reads a piece of it for the first time, so the cost does not grow with the
    number of epochs. A change of the file between two reads is detected by its size and modification time.

    Args:
        pieces: pieces of the file.
    """

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = list(pieces)
        self._positions = {piece: position for position, piece in enumerate(self.pieces)}
        self._hashes: dict[str, np.ndarray] = {}  # uint64 [pieces]; 0 for pieces that were not read
        self._is_read: dict[str, np.ndarray] = {}  # by this process, bool [pieces]

    def see(self, piece: Piece, table: pa.Table, where: str) -> None:
        """Hash those columns of a piece that this process reads for the first time.

        Args:
            piece: piece that was read.
            table: all rows of the piece, and any of its columns.
            where: file and row group, for errors.

        Raises:
            DataError: a column does not hold the values that `expect` set.
        """
        position = self._positions[piece]
        for name, column in zip(table.column_names, table.columns, strict=True):
            is_read = self._is_read.setdefault(name, np.zeros(len(self.pieces), bool))
            if not is_read[position]:
                hashes, new_hash = self._of(name), hash_column(column)
                _check_equal(int(hashes[position]), new_hash, name, where)
                hashes[position], is_read[position] = new_hash, True

    def known(self) -> dict[str, np.ndarray]:
        """Return the hashes of every column that was read: uint64 `[pieces]`, 0 for pieces that were not."""
        return {name: hashes.copy() for name, hashes in list(self._hashes.items())}

    def is_known(self, name: str, piece: Piece) -> bool:
        """Return True if a piece of a column was read or has an expected hash."""
        return name in self._hashes and bool(self._hashes[name][self._positions[piece]])

    def is_read(self, name: str, piece: Piece) -> bool:
        """Return True if this process has read a piece of a column."""
        return name in self._is_read and bool(self._is_read[name][self._positions[piece]])

    def expect(self, name: str, piece: Piece, known: int, path: str) -> None:
        """Set the expected hash of a piece of a column.

        Args:
            name: name of the column.
            piece: piece of the column; ignored if the file does not have it.
            known: expected hash.
            path: path of the file, for errors.

        Raises:
            DataError: the column was already read, with other values.
        """
        if piece in self._positions:
            hashes, position = self._of(name), self._positions[piece]
            _check_equal(known, int(hashes[position]) or known, name, f"{path}, row group {piece[0]}")
            hashes[position] = known

    def _of(self, name: str) -> np.ndarray:
        return self._hashes.setdefault(name, np.zeros(len(self.pieces), np.uint64))


def _check_equal(known: int, new_hash: int, name: str, where: str) -> None:
    if known not in (0, new_hash):
        raise DataError(f"{where}: column {name!r} has different values than when it was first read. Restore the file.")


def hash_column(column: pa.ChunkedArray) -> int:
    """Return a hash of a column's values, never 0; equal values have equal hashes, however they are chunked.

    XXH3 with 64 bits (github.com/Cyan4973/xxHash) misses a change with probability 2^-64. It does not protect against
    deliberate collisions.
    """
    digest = xxhash.xxh3_64()
    for part in _parts(column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)):
        digest.update(part)
    return digest.intdigest() or 1


def _parts(array: pa.Array) -> Iterator[bytes | memoryview]:
    """Yield the content of an array as bytes, without bytes behind nulls, before its first or after its last value."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    yield len(array).to_bytes(8, "little")
    is_null = None
    if array.null_count:
        is_null = array.is_null().to_numpy(zero_copy_only=False)
        yield np.packbits(is_null).data
    type_ = array.type
    if pa.types.is_null(type_):
        return
    if pa.types.is_boolean(type_):
        yield np.packbits(array.fill_null(False).to_numpy(zero_copy_only=False)).data
    elif pa.types.is_large_list(type_):
        yield list_lengths(array).data
        yield from _parts(array.flatten())
    elif pa.types.is_large_string(type_) or pa.types.is_large_binary(type_):
        array = array if is_null is None else array.fill_null(b"" if pa.types.is_large_binary(type_) else "")
        offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
        yield (offsets - offsets[0]).data
        if offsets[-1] > offsets[0]:
            yield np.frombuffer(array.buffers()[2], np.uint8)[offsets[0] : offsets[-1]].data
    elif pa.types.is_primitive(type_) or pa.types.is_decimal(type_) or pa.types.is_fixed_size_binary(type_):
        width = type_.bit_width // 8
        values = np.frombuffer(array.buffers()[1], np.uint8, len(array) * width, array.offset * width)
        if is_null is not None:
            values = values.copy().reshape(-1, width)
            values[is_null] = 0
        yield values.data
    elif pa.types.is_struct(type_):
        for child in array.flatten():  # starts at the struct's offset; null where the struct is null
            yield from _parts(child)
    else:
        assert pa.types.is_map(type_), type_
        entries = pa.struct([("key", type_.key_type), ("value", type_.item_type)])
        yield from _parts(array.cast(pa.large_list(entries)))
