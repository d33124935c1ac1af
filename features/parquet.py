"""Opening of Parquet files in one way, whichever program wrote them."""

import pyarrow as pa
import pyarrow.parquet as pq

from features.other_formats import HEAD, describe_format

MAGIC, ENCRYPTED = b"PAR1", b"PARE"
SMALLEST = 12  # bytes: the magic number at both ends and the footer's length
TAIL = 1 << 16  # bytes of the first read: one request to a remote file, for most footers
ARROW_SCHEMA = b"\x18\x0cARROW:schema\x18"
"""Key under which Arrow programs store their types in a footer, in Thrift's encoding of a key before its value."""


class OtherFormatError(pa.ArrowInvalid):
    """A file of another format; the message names it and says what to do."""


def read_footer(opened: pa.NativeFile) -> bytes:
    """Return the end of a Parquet file: the footer, its length in four bytes, and the magic number.

    Raises:
        pa.ArrowInvalid: the file does not end like a Parquet file; `OtherFormatError` if its beginning shows why.
    """
    size = opened.size()
    if size < SMALLEST:
        _check_format(opened)
        raise pa.ArrowInvalid(f"{size} bytes, expected at least {SMALLEST}")
    opened.seek(max(size - TAIL, 0))
    tail = opened.read()
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if tail[-4:] not in (MAGIC, ENCRYPTED) or length > size - len(MAGIC):
        _check_format(opened)
        raise pa.ArrowInvalid("no Parquet footer, so it is truncated or has another format")
    if length > len(tail):
        opened.seek(size - length)
        tail = opened.read()
    return tail[-length:]


def _check_format(opened: pa.NativeFile) -> None:
    """Raise an error if the first bytes of a file tell why it does not end like a Parquet file."""
    opened.seek(0)
    head = opened.read(HEAD)
    if head.startswith((MAGIC, ENCRYPTED)):
        raise pa.ArrowInvalid("no Parquet footer at its end, so it is truncated")
    if found := describe_format(head):
        name, advice = found
        raise OtherFormatError(f"it looks like {name}. {advice}")


def open_parquet(opened: pa.NativeFile, footer: bytes, buffer_size: int = 0) -> pq.ParquetFile:
    """Open a file by its Parquet schema alone.

    The Arrow schema that some programs store in the footer is hidden. With it, a table would be read with other types
    and other code for each writer: pyarrow then requests dictionaries, misreads a dictionary page that contains a value
    twice, and rejects encodings without dictionaries. Text, binary and lists have 64-bit offsets, so the text of a row
    group can exceed 2 GiB. INT96 timestamps are read as microseconds, because nanoseconds outside 1677 to 2262 wrap.

    Args:
        opened: open file.
        footer: end of the file, as `read_footer` returns it.
        buffer_size: bytes of a column read at a time; 0: the whole column of a row group. A larger value uses more
            memory and fewer requests.

    Raises:
        pa.ArrowException, OSError: the file is not a Parquet file.
    """
    hidden = footer.replace(ARROW_SCHEMA, ARROW_SCHEMA.lower())
    return pq.ParquetFile(
        opened,
        metadata=pq.read_metadata(pa.BufferReader(MAGIC + hidden)),
        binary_type=pa.large_binary(),
        list_type=pa.LargeListType,
        coerce_int96_timestamp_unit="us",
        buffer_size=buffer_size,
        pre_buffer=not buffer_size,  # pre-buffering would read the whole row group first
        page_checksum_verification=True,  # for pages with a checksum
    )
