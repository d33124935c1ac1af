"""Parquet files opened in one way, whichever program wrote them."""

import pyarrow as pa
import pyarrow.parquet as pq

MAGIC, ENCRYPTED = b"PAR1", b"PARE"
SMALLEST = 12  # bytes: the magic number at both ends, and the length of the footer
TAIL = 1 << 16  # bytes that are read first: one request of a remote file, for most footers
ARROW_SCHEMA = b"\x18\x0cARROW:schema\x18"
"""The key under which Arrow programs note their types in a footer, as Thrift writes a key before its value."""


def read_footer(opened: pa.NativeFile) -> bytes:
    """Return the end of a Parquet file: the footer, its length in four bytes, and the magic number.

    Raises:
        pa.ArrowInvalid: the file does not end as a Parquet file does.
    """
    size = opened.size()
    if size < SMALLEST:
        raise pa.ArrowInvalid(f"it has {size} bytes, and a Parquet file has at least {SMALLEST}")
    opened.seek(max(size - TAIL, 0))
    tail = opened.read()
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if tail[-4:] not in (MAGIC, ENCRYPTED) or length > size - len(MAGIC):
        raise pa.ArrowInvalid("it does not end as a Parquet file does: it is cut off, or another kind of file")
    if length > len(tail):
        opened.seek(size - length)
        tail = opened.read()
    return tail[-length:]


def open_parquet(opened: pa.NativeFile, footer: bytes, buffer_size: int = 0) -> pq.ParquetFile:
    """Open a file by its Parquet schema alone.

    The Arrow schema that some programs note in the footer is hidden. With it, one table would be read in other types
    and through other code for each writer: pyarrow then asks for dictionaries, misreads a dictionary page that holds a
    value twice, and refuses encodings that have none. Text, binary and lists have 64-bit offsets, so the text of a row
    group can be larger than 2 GiB. INT96 timestamps are microseconds: in nanoseconds, those outside 1677 to 2262 wrap.

    Args:
        opened: the file.
        footer: its end, as `read_footer` returns it.
        buffer_size: bytes of a column that are read at a time; 0: all that a row group has of it.

    Raises:
        pa.ArrowException, OSError: not a Parquet file.
    """
    hidden = footer.replace(ARROW_SCHEMA, ARROW_SCHEMA.lower())
    return pq.ParquetFile(
        opened,
        metadata=pq.read_metadata(pa.BufferReader(MAGIC + hidden)),
        binary_type=pa.large_binary(),
        list_type=pa.LargeListType,
        coerce_int96_timestamp_unit="us",
        buffer_size=buffer_size,
        pre_buffer=not buffer_size,  # it would read the whole row group first
        page_checksum_verification=True,  # of the pages that have one
    )
