"""Shuffled batches of fixed size, in an order determined by (seed, epoch), from any position; read ahead by threads."""

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import pyarrow as pa

from features.ahead import read_ahead
from features.batch import Batch, batch_rows, concatenate, take
from features.encoder import Encoder
from features.negatives import NegativeSample
from features.row_groups import RowGroup, count_rows
from features.tables import map_tables


@dataclass(frozen=True)
class Reader:
    """Reader of training batches, shuffled in a reproducible order.

    Row groups come in an order drawn from (seed, epoch); row groups in slices come two at a time, one slice of each in
    turn. They are collected into windows of at least two row groups or slices and `shuffle_rows` rows, the rows of a
    window are shuffled, and the stream of windows is cut into batches. Memory therefore holds a few windows of encoded
    rows, whatever the size of the data and of its row groups.

    Args:
        row_groups: training data.
        encoder: encoder from row groups to batches.
        batch_size: number of examples in a batch.
        seed: seed of the order.
        last_batch: treatment of the examples that do not fill a batch: `keep` them as a smaller last batch, or `drop`
            them.
        shuffle_rows: minimum number of rows in a window. A larger value shuffles more thoroughly and uses more memory.
        threads: number of row groups or slices that are read and encoded at a time; does not affect the batches.
        negatives: sample of the negatives of `row_groups` that each epoch draws; None: all of them.

    Raises:
        ValueError: the batch size is less than 1.
    """

    row_groups: list[RowGroup]
    encoder: Encoder
    batch_size: int
    seed: int
    last_batch: Literal["keep", "drop"] = "keep"
    shuffle_rows: int = 1 << 18
    threads: int = 2
    negatives: NegativeSample | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {self.batch_size}")

    @property
    def rows_per_epoch(self) -> int:
        """Number of examples in an epoch."""
        rows = count_rows(self.row_groups) if self.negatives is None else self.negatives.rows_per_epoch
        return rows - rows % self.batch_size if self.last_batch == "drop" else rows

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return -(-self.rows_per_epoch // self.batch_size)

    def epoch(self, epoch: int, first_batch: int = 0) -> Generator[Batch, None, None]:
        """Return the batches of an epoch, from `first_batch` on, without reading those before.

        Args:
            epoch: epoch, from 0, which determines the order.
            first_batch: first batch to return, from 0.
        """
        return read_ahead(self._batches(epoch, first_batch), depth=4)

    def _batches(self, epoch: int, first_batch: int) -> Iterator[Batch]:
        windows = list(enumerate(self._windows(epoch)))
        skip = first_batch * self.batch_size
        while windows and skip >= count_rows(windows[0][1]):
            skip -= count_rows(windows.pop(0)[1])
        groups = [group for _, window in windows for group in window]
        encoded_groups = map_tables(self._encode, groups, self.encoder.input_columns, self.threads)
        pending: list[Batch] = []  # examples of earlier windows that do not fill a batch
        missing = self.batch_size  # number of examples that would fill it
        for number, window in windows:
            encoded = concatenate(islice(encoded_groups, len(window)))
            order = np.random.default_rng([self.seed, 3, epoch, number]).permutation(count_rows(window))[skip:]
            skip = 0
            while len(order):
                pending.append(take(encoded, order[:missing]))
                missing -= len(order[:missing])
                order = order[batch_rows(pending[-1]) :]
                if missing == 0:
                    yield concatenate(pending)
                    pending, missing = [], self.batch_size
        if pending and self.last_batch == "keep":
            yield concatenate(pending)

    def _encode(self, group: RowGroup, table: pa.Table) -> Batch:
        return self.encoder(table, str(group))

    def _windows(self, epoch: int) -> Iterator[list[RowGroup]]:
        window: list[RowGroup] = []
        for group in self._ordered(epoch):
            window.append(group)
            if len(window) > 1 and count_rows(window) >= self.shuffle_rows:
                yield window
                window = []
        if window:
            yield window

    def _ordered(self, epoch: int) -> Iterator[RowGroup]:
        """Yield row groups in the order of an epoch; slices in file order, alternating between two row groups.

        Reading a slice is cheap if the slice before it was the last one read.
        """
        by_location: dict[tuple[str, int], list[RowGroup]] = {}
        for group_or_slice in self.row_groups if self.negatives is None else self.negatives.epoch(epoch):
            by_location.setdefault(group_or_slice.location, []).append(group_or_slice)
        slices = list(by_location.values())
        order = iter(np.random.default_rng([self.seed, 4, epoch]).permutation(len(slices)))
        in_progress = deque(iter(slices[number]) for number in islice(order, 2))
        while in_progress:
            if (group := next(in_progress[0], None)) is not None:
                yield group
                in_progress.rotate(-1)
            elif (number := next(order, None)) is not None:
                in_progress[0] = iter(slices[number])
            else:
                in_progress.popleft()
