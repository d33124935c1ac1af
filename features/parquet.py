"""Parquet files opened in one way, whichever program wrote them."""

import pyarrow as pa
import pyarrow.parquet as pq

MAGIC = b"PAR1"
SMALLEST = 12  # bytes: the magic number at both ends, and the length of the footer
ARROW_SCHEMA = b"ARROW:schema"
"""Key under which Arrow programs note their in-memory types in a footer."""


def read_footer(opened: pa.NativeFile) -> bytes:
    """Return the end of a Parquet file: the footer, its length in four bytes, and the magic number.

    Raises:
        pa.ArrowInvalid: the file is too small.
    """
    size = opened.size()
    if size < SMALLEST:
        raise pa.ArrowInvalid(f"it has {size} bytes, and a Parquet file has at least {SMALLEST}")
    opened.seek(size - 8)
    end = opened.read(8)
    opened.seek(max(size - 8 - int.from_bytes(end[:4], "little"), 0))
    return opened.read()


def open_parquet(opened: pa.NativeFile, footer: bytes) -> pq.ParquetFile:
    """Open a file by its Parquet schema alone.

    The Arrow schema that some programs note in the footer is hidden. With it, one table would be read in other types
    and through other code for each writer: pyarrow then asks for dictionaries, misreads a dictionary page that holds a
    value twice, and refuses encodings that have none. Text, binary and lists have 64-bit offsets, so the text of a row
    group can be larger than 2 GiB. INT96 timestamps are microseconds: in nanoseconds, those outside 1677 to 2262 wrap.

    Args:
        opened: the file.
        footer: its end, as `read_footer` returns it.

    Raises:
        pa.ArrowException, OSError: not a Parquet file.
    """
    head, found, rest = footer.rpartition(ARROW_SCHEMA)  # after everything else that a footer could hold it in
    hidden = head + (ARROW_SCHEMA.lower() if found else b"") + rest
    return pq.ParquetFile(
        opened,
        metadata=pq.read_metadata(pa.BufferReader(MAGIC + hidden)),
        binary_type=pa.large_binary(),
        list_type=pa.LargeListType,
        coerce_int96_timestamp_unit="us",
        page_checksum_verification=True,  # of the pages that have one
    )
