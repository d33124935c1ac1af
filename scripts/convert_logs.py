"""Converters of large logs, which are streamed: Criteo, Avazu, and their published split."""

import gzip
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import typer
from convert_files import SETS, ByteStream, Mistake, new_files, read_blocks, require_binary
from numpy.typing import NDArray


@dataclass(frozen=True)
class Log:
    """A large file of impressions, one per line."""

    path: Path
    member: str
    """Name of the file within an archive."""
    delimiter: str
    header: list[str] | None
    """Names in the first line; None: the file has no header."""
    text: pa.Schema
    """Name and type of each field of a line."""
    schema: pa.Schema
    """Name and type of each column as written."""
    published_rows: int

    def blocks(self, only: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in the order of the file, with the columns `only` and valid labels.

        Raises:
            Mistake: the header, a line or a label is invalid.
        """
        where, first_line = str(self.path), 1
        with open_log(self.path, self.member) as stream:
            if self.header is not None:
                line, first_line = stream.readline().decode(errors="replace").rstrip("\r\n"), 2
                if line != self.delimiter.join(self.header):
                    raise Mistake(f"{where}, line 1: expected the file's header. Received: {line[:60]!r}")
            for number, block in read_blocks(stream, where, self.text, self.delimiter, first_line, only):
                require_binary(block["label"], where, number)
                yield block.cast(self.schema if only is None else pa.schema([self.schema.field(name) for name in only]))


@contextmanager
def open_log(path: Path, member: str) -> Iterator[ByteStream]:
    """Open a text, a gzipped text, or a text in a tar.gz.

    Raises:
        Mistake: a tar.gz does not contain `member`.
    """
    if path.name.endswith((".tar.gz", ".tgz")):
        with tarfile.open(path, "r|gz") as archive:
            for entry in archive:
                if PurePosixPath(entry.name).name == member and (stream := archive.extractfile(entry)) is not None:
                    yield stream
                    return
        raise Mistake(f"{path}: {member} not found in the archive. Check that it is the right one.")
    elif path.suffix == ".gz":
        with gzip.open(path) as unzipped:
            yield unzipped
    else:
        with path.open("rb") as text:
            yield text


class LogSplit(StrEnum):
    """Published splits of Criteo and Avazu."""

    X4 = "x4"


def x4_folds(labels: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return the fold of each row, 0 to 9: 0 is the test split of x4, 1 its validation split.

    x4 is made by StratifiedKFold(10, shuffle=True, random_state=2018) of scikit-learn 0.19.1, which shuffles each class
    with the same seed. Later releases do not (its pull request 13124) and give different folds. The numbers of
    RandomState are frozen (NEP 19).

    Args:
        labels: labels 0 or 1, in the order of the file.

    Raises:
        Mistake: a label has fewer than ten rows.
    """
    folds = np.empty(len(labels), np.int8)
    for label in (0, 1):
        order = np.arange(np.count_nonzero(labels == label), dtype=np.int32)
        if len(order) < 10:
            raise Mistake(f"x4 needs at least ten rows of each label. Received: {len(order)} rows with label {label}")
        np.random.RandomState(2018).shuffle(order)
        fold = np.empty(len(order), np.int8)
        for number, members in enumerate(np.array_split(order, 10)):
            fold[members] = number
        folds[labels == label] = fold
    return folds


def convert_log(log: Log, out_dir: Path, split: LogSplit | None, overwrite: bool) -> None:
    """Write a log as one file in its original order, or as three by a published split."""
    with new_files(out_dir, ["data.parquet"] if split is None else SETS, log.schema, overwrite) as files:
        if split is None:
            for block in log.blocks():
                files[0].write(block)
            return
        folds = x4_folds(np.concatenate([block["label"].to_numpy() for block in log.blocks(only=["label"])]))
        done = 0
        for block in log.blocks():
            fold = folds[done : done + block.num_rows]
            done += block.num_rows
            for file, chosen in zip(files, (fold > 1, fold == 1, fold == 0), strict=True):
                file.write(block.filter(pa.array(chosen)))
    if len(folds) != log.published_rows:
        typer.echo(f"note: the published split is of {log.published_rows:,} rows, not of {len(folds):,}", err=True)


def criteo_log(path: Path) -> Log:
    """Return `train.txt` of the Kaggle Display Advertising Challenge."""
    schema = pa.schema(
        [("label", pa.int8())]
        + [(f"I{number}", pa.int32()) for number in range(1, 14)]
        + [(f"C{number}", pa.string()) for number in range(1, 27)]
    )
    return Log(path, "train.txt", "\t", None, schema, schema, published_rows=45_840_617)


def avazu_log(path: Path) -> Log:
    """Return `train` of the Kaggle Avazu challenge."""
    header = [
        "id",
        "click",
        "hour",
        "C1",
        "banner_pos",
        "site_id",
        "site_domain",
        "site_category",
        "app_id",
        "app_domain",
    ]
    header += ["app_category", "device_id", "device_ip", "device_model", "device_type", "device_conn_type"]
    header += [f"C{number}" for number in range(14, 22)]

    def schema(hour: pa.DataType) -> pa.Schema:
        types = {"click": ("label", pa.int8()), "hour": ("hour", hour)}
        return pa.schema([types.get(name, (name, pa.string())) for name in header])

    # for a type with a zone, the parser requires times with an offset, which the file does not have
    text, written = schema(pa.timestamp("us")), schema(pa.timestamp("us", "UTC"))
    return Log(path, "train", ",", header, text, written, published_rows=40_428_967)
