"""Helpers of the converters: reading of delimited text in blocks of rows, and writing of complete Parquet files."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedIOBase
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import typer

BLOCK = 32 << 20  # bytes of text read at a time
ROW_GROUP = 1 << 18  # minimum rows, except in the last row group of a file
ByteStream = IO[bytes] | BufferedIOBase
SETS = ["train.parquet", "valid.parquet", "test.parquet"]


class Mistake(Exception):
    """An error that the user can fix, with a message of one line."""


def read_blocks(
    stream: ByteStream,
    where: str,
    schema: pa.Schema,
    delimiter: str,
    first_line: int = 1,
    only: list[str] | None = None,
    encoding: str = "utf8",
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield blocks of delimited text without quotes or header, each with the number of its first line.

    An empty field is null, or '' in a string column.

    Args:
        stream: text.
        where: name of the text in messages.
        schema: names and types of the fields.
        delimiter: single character between fields.
        first_line: number of the first line in `stream`.
        only: columns to read; None: all.
        encoding: encoding of the text.

    Raises:
        Mistake: a line has the wrong number of fields, or a field is not of its type.
    """
    offset = first_line - 1
    try:
        reader = pyarrow.csv.open_csv(
            stream,
            # messages have row numbers only with one thread
            pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK, column_names=schema.names, encoding=encoding),
            # an empty line counts as a row of nulls, because skipping it would shift the numbers of later lines
            pyarrow.csv.ParseOptions(delimiter=delimiter, quote_char=False, ignore_empty_lines=False),
            pyarrow.csv.ConvertOptions(
                column_types=schema, null_values=[""], include_columns=only, timestamp_parsers=["%y%m%d%H"]
            ),
        )
        for block in reader:
            yield first_line, block
            first_line += block.num_rows
    except pa.ArrowInvalid as error:
        raise Mistake(explain(str(error), where, schema, offset)) from error


def explain(message: str, where: str, schema: pa.Schema, offset: int) -> str:
    """Return pyarrow's error in one line, with line numbers raised by `offset`."""
    message = " ".join(message.split())
    if found := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", message):
        row, expected, got = map(int, found.groups())
        line = row + offset
        return (
            f"{where}, line {line}: expected {expected} fields, got {got}. Check that the file is right and complete."
        )
    if found := re.search(r"CSV column #(\d+): Row #(\d+): CSV conversion error to (\w+).*?: (.*)", message):
        name, line, kind, problem = schema.names[int(found[1])], int(found[2]) + offset, found[3], found[4]
        return f"{where}, line {line}: {name} is not of type {kind}: {problem[:80]}. Check that it is the right file."
    if message == "Empty CSV file":
        return f"{where}: no rows. Download it again."
    return f"{where}: {message[:160]}"


def require(good: pa.Array, values: pa.Array, where: str, first_line: int, problem: str) -> None:
    """Raise Mistake, with line and value, if a row is null or not `good`."""
    bad = pc.index(pc.fill_null(good, False), False).as_py()
    if bad >= 0:
        raise Mistake(f"{where}, line {first_line + bad}: {problem}. Received: {values[bad].as_py()!r}")


def require_binary(label: pa.Array, where: str, first_line: int) -> None:
    """Raise Mistake if a label is not 0 or 1."""
    require(pc.is_in(label, pa.array([0, 1], label.type)), label, where, first_line, "a label must be 0 or 1")


class ParquetFile:
    """Writer of a Parquet file, which has a partial name until all files are complete."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.name}.partial")  # readers skip names with a dot
        self.writer = pq.ParquetWriter(self.partial, schema, compression="zstd")
        self.waiting: list[pa.RecordBatch] = []
        self.rows = self.positives = 0

    def write(self, block: pa.RecordBatch) -> None:
        """Append rows, and write each complete row group."""
        self.waiting.append(block)
        self.rows += block.num_rows
        self.positives += pc.sum(block["label"]).as_py() or 0
        if sum(part.num_rows for part in self.waiting) >= ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the buffered rows as one row group."""
        table = pa.Table.from_batches(self.waiting, self.writer.schema)
        if table.num_rows:
            self.writer.write_table(table, row_group_size=table.num_rows)
        self.waiting = []

    def tell(self) -> None:
        """Print the number of rows and the positive rate."""
        rate = f"{self.positives / self.rows:.4f}" if self.rows else "none"
        typer.echo(f"{self.path}: {self.rows:,} rows, positive rate {rate}")


@contextmanager
def new_files(folder: Path, names: list[str], schema: pa.Schema, overwrite: bool) -> Iterator[list[ParquetFile]]:
    """Yield files to write to, which appear together at the end, or not at all.

    Raises:
        Mistake: a file exists already and `overwrite` is false.
    """
    taken = [folder / name for name in names if (folder / name).exists()]
    if taken and not overwrite:
        raise Mistake(f"{taken[0]}: already exists. Choose another folder, or use --overwrite.")
    new_folders = [path for path in (folder, *folder.parents) if not path.exists()]
    files: list[ParquetFile] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            files.append(ParquetFile(folder / name, schema))  # noqa: PERF401 - files opened before a failure are removed
        yield files
        for file in files:
            file.flush()
            file.writer.close()
        for file in files:
            file.partial.replace(file.path)
        for file in files:
            file.tell()
    except BaseException:
        for file in files:
            with suppress(OSError):  # a full disk has no space for the end of the file either
                file.writer.close()
            file.partial.unlink(missing_ok=True)
        for path in new_folders:
            with suppress(OSError):
                path.rmdir()
        raise
