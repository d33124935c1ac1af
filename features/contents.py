"""A hash of each column of a file, taken where it is read, so that other values are noticed when it is read again."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import xxhash

from features.errors import DataError
from features.ragged import list_lengths

Piece = tuple[int, int]
"""The number of a row group, and the first row of its slice: what is read at once."""


class Contents:
    """The hashes of one file's columns, piece by piece, as far as they were read.

    A column is hashed when this process reads a piece of it first. So the cost does not grow with the epochs, and a
    change of the file between two of its readings is noticed by its size and time of change.

    Args:
        pieces: those of the file.
    """

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = list(pieces)
        self._places = {piece: place for place, piece in enumerate(self.pieces)}
        self._hashes: dict[str, np.ndarray] = {}  # uint64 [pieces]; 0 where it was not read
        self._is_read: dict[str, np.ndarray] = {}  # by this process, bool [pieces]

    def see(self, piece: Piece, table: pa.Table, where: str) -> None:
        """Hash the columns of a piece that this process had not read.

        Args:
            piece: what was read.
            table: all of its rows, and any of its columns.
            where: names file and row group in errors.

        Raises:
            DataError: a column does not hold what `expect` says that it held.
        """
        place = self._places[piece]
        for name, column in zip(table.column_names, table.columns, strict=True):
            is_read = self._is_read.setdefault(name, np.zeros(len(self.pieces), bool))
            if not is_read[place]:
                hashes, found = self._of(name), hash_column(column)
                _check_equal(int(hashes[place]), found, name, where)
                hashes[place], is_read[place] = found, True

    def known(self) -> dict[str, np.ndarray]:
        """Return the hashes of every column that was read: uint64 [pieces], 0 where it was not."""
        return {name: hashes.copy() for name, hashes in list(self._hashes.items())}

    def is_known(self, name: str, piece: Piece) -> bool:
        """Return True if a piece of a column was read, or something is expected of it."""
        return name in self._hashes and bool(self._hashes[name][self._places[piece]])

    def is_read(self, name: str, piece: Piece) -> bool:
        """Return True if this process has read a piece of a column."""
        return name in self._is_read and bool(self._is_read[name][self._places[piece]])

    def expect(self, name: str, piece: Piece, known: int, path: str) -> None:
        """Set what a piece of a column must hold.

        Args:
            name: name of the column.
            piece: the piece; nothing is expected of one that the file does not have.
            known: its hash.
            path: names the file in errors.

        Raises:
            DataError: the column was read already, and holds other values.
        """
        if piece in self._places:
            hashes, place = self._of(name), self._places[piece]
            _check_equal(known, int(hashes[place]) or known, name, f"{path}, row group {piece[0]}")
            hashes[place] = known

    def _of(self, name: str) -> np.ndarray:
        return self._hashes.setdefault(name, np.zeros(len(self.pieces), np.uint64))


def _check_equal(known: int, found: int, name: str, where: str) -> None:
    if known not in (0, found):
        raise DataError(f"{where}: column {name!r} holds other values than when it was first read. Restore the file.")


def hash_column(column: pa.ChunkedArray) -> int:
    """Return a hash of a column's values, never 0; equal values have equal hashes, whatever their chunks.

    XXH3 of 64 bits (github.com/Cyan4973/xxHash): that a change goes unseen has a probability of 2^-64. It is no guard
    against someone who wants a change to go unseen.
    """
    digest = xxhash.xxh3_64()
    for part in _parts(column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)):
        digest.update(part)
    return digest.intdigest() or 1


def _parts(array: pa.Array) -> Iterator[bytes | memoryview]:
    """What an array holds, as bytes: nothing of what lies behind a null, before its first value or after its last."""
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
        for child in array.flatten():  # from the struct's offset on, null where the struct is
            yield from _parts(child)
    else:
        assert pa.types.is_map(type_), type_
        entries = pa.struct([("key", type_.key_type), ("value", type_.item_type)])
        yield from _parts(array.cast(pa.large_list(entries)))
