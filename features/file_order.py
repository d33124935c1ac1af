"""Batches of fixed size in the order of the files, for validation and prediction."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import pyarrow as pa

from features.ahead import read_ahead
from features.batch import Batch, batch_rows, concatenate, take
from features.encoder import Encoder
from features.row_groups import RowGroup, count_rows
from features.tables import map_tables


@dataclass(frozen=True)
class FileOrderReader:
    """Reader of batches in the order of the row groups and of the rows in them, the same in every epoch.

    Args:
        row_groups: data to read.
        encoder: encoder from row groups to batches. For data without a label, use `replace(encoder, columns=None)`.
        batch_size: number of examples in a batch; the last batch has the rest.
        threads: number of row groups or slices that are read and encoded at a time; does not affect the batches.

    Raises:
        ValueError: the batch size is less than 1.
    """

    row_groups: list[RowGroup]
    encoder: Encoder
    batch_size: int
    threads: int = 2

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {self.batch_size}")

    @property
    def rows_per_epoch(self) -> int:
        """Number of examples."""
        return count_rows(self.row_groups)

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches."""
        return -(-self.rows_per_epoch // self.batch_size)

    def epoch(self, epoch: int = 0) -> Generator[Batch, None, None]:
        """Return the batches.

        Args:
            epoch: epoch, as for `Reader.epoch`; does not affect the batches.
        """
        return read_ahead(self._batches(), depth=4)

    def _batches(self) -> Iterator[Batch]:
        pending: list[Batch] = []  # examples of earlier row groups that do not fill a batch
        missing = self.batch_size  # number of examples that would fill it
        for encoded in map_tables(self._encode, self.row_groups, self.encoder.input_columns, self.threads):
            first, rows = 0, batch_rows(encoded)
            while first < rows:
                pending.append(take(encoded, slice(first, first + missing)))
                first, missing = first + missing, missing - batch_rows(pending[-1])
                if missing == 0:
                    yield concatenate(pending)
                    pending, missing = [], self.batch_size
        if pending:
            yield concatenate(pending)

    def _encode(self, group: RowGroup, table: pa.Table) -> Batch:
        return self.encoder(table, str(group))
