"""Names of files that are not Parquet, by their first bytes, with what to do about them."""

import re

HEAD = 512  # bytes that are looked at
CONVERT = "Convert it to Parquet, for example with DuckDB or pandas."
UNPACK = "Unpack it, and convert what is inside to Parquet if necessary."
DOWNLOAD = "Download the file again."

SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"ORC", "an ORC file", CONVERT),
    (b"ARROW1", "an Arrow file (Feather)", CONVERT),
    (b"FEA1", "a Feather file", CONVERT),
    (b"\xff\xff\xff\xff", "an Arrow stream", CONVERT),
    (b"Obj\x01", "an Avro file", CONVERT),
    (b"\x89HDF\r\n", "an HDF5 file", CONVERT),
    (b"SQLite format 3\0", "an SQLite database", CONVERT),
    (b"\x1f\x8b", "a gzip file", UNPACK),
    (b"BZh", "a bzip2 file", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", UNPACK),
    (b"PK\x03\x04", "a ZIP file", UNPACK),
    (b"version https://git-lfs", "a Git LFS pointer, not the data", "Run `git lfs pull`."),
)
"""First bytes -> the format in words, and what to do."""
WEB_PAGE = re.compile(rb"\s*<(!doctype html|html|\?xml)", re.IGNORECASE)
JSON = re.compile(r"\s*[\[{]")
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


def describe_format(head: bytes) -> tuple[str, str] | None:
    """Return the format of a file that is not Parquet, in words, and what to do; None if it is not recognized.

    >>> describe_format(b"user,item,clicked")
    ('CSV', 'Convert it to Parquet, for example with DuckDB or pandas.')

    Args:
        head: the first bytes of the file.
    """
    for signature, name, advice in SIGNATURES:
        if head.startswith(signature):
            return name, advice
    if WEB_PAGE.match(head):
        return "a web page", DOWNLOAD
    text = _as_text(head)
    if text is None:
        return None
    if JSON.match(text):
        return "JSON", CONVERT
    first_line = text.lstrip("\ufeff").partition("\n")[0]
    for separator, name in ((",", "CSV"), ("\t", "tab-separated text"), (";", "CSV with semicolons"), ("|", "CSV")):
        if separator in first_line:
            return name, CONVERT
    return "text", CONVERT


def _as_text(head: bytes) -> str | None:
    """Return the first bytes as text; None if they are not text in UTF-8, or none."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return None
        text = head[: error.start].decode("utf-8")  # the last character is cut
    return None if not text.strip() or CONTROL.search(text) else text
