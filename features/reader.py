"""Shuffled batches of fixed size, in an order that (seed, epoch) fix, from any position; read ahead by threads."""

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
from features.row_groups import RowGroup, count_rows
from features.tables import map_tables


@dataclass(frozen=True)
class Reader:
    """Training batches.

    Row groups come in an order drawn from (seed, epoch), those in slices two at a time, a slice of each in turn. They
    are gathered into windows of at least two row groups or slices and `shuffle_rows` rows, the rows of a window are
    shuffled, and the stream of windows is cut into batches. So memory holds a few windows of encoded rows, whatever the
    size of the data and of its row groups.

    Args:
        row_groups: the training data.
        encoder: turns row groups into batches.
        batch_size: rows of a batch.
        seed: of the order.
        last_batch: `keep` the rows that do not fill a batch as a smaller last one, or `drop` them.
        shuffle_rows: the least rows of a window.
        threads: row groups or slices that are read and encoded at once; of no effect on the batches.
    """

    row_groups: list[RowGroup]
    encoder: Encoder
    batch_size: int
    seed: int
    last_batch: Literal["keep", "drop"] = "keep"
    shuffle_rows: int = 1 << 18
    threads: int = 2

    @property
    def rows_per_epoch(self) -> int:
        """Rows that an epoch trains on."""
        rows = count_rows(self.row_groups)
        return rows - rows % self.batch_size if self.last_batch == "drop" else rows

    @property
    def batches_per_epoch(self) -> int:
        """Batches of an epoch."""
        return -(-self.rows_per_epoch // self.batch_size)

    def epoch(self, epoch: int, first_batch: int = 0) -> Generator[Batch, None, None]:
        """The batches of an epoch, from `first_batch` on; the first ones are skipped without being read."""
        return read_ahead(self._batches(epoch, first_batch), depth=4)

    def _batches(self, epoch: int, first_batch: int) -> Iterator[Batch]:
        windows = list(enumerate(self._windows(epoch)))
        skip = first_batch * self.batch_size
        while windows and skip >= count_rows(windows[0][1]):
            skip -= count_rows(windows.pop(0)[1])
        wanted = [group for _, window in windows for group in window]
        encoded_groups = map_tables(self._encode, wanted, self.encoder.input_columns, self.threads)
        left: list[Batch] = []  # rows of the windows before that did not fill a batch
        missing = self.batch_size  # rows that would fill it
        for place, window in windows:
            encoded = concatenate(islice(encoded_groups, len(window)))
            order = np.random.default_rng([self.seed, 3, epoch, place]).permutation(count_rows(window))[skip:]
            skip = 0
            while len(order):
                left.append(take(encoded, order[:missing]))
                missing -= len(order[:missing])
                order = order[batch_rows(left[-1]) :]
                if missing == 0:
                    yield concatenate(left)
                    left, missing = [], self.batch_size
        if left and self.last_batch == "keep":
            yield concatenate(left)

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
        """Row groups in the order of an epoch; slices in the order of the file, of two row groups in turn.

        To read a slice costs little where the one before it was read last.
        """
        by_place: dict[tuple[str, int], list[RowGroup]] = {}
        for one in self.row_groups:
            by_place.setdefault(one.place, []).append(one)
        slices = list(by_place.values())
        drawn = iter(np.random.default_rng([self.seed, 4, epoch]).permutation(len(slices)))
        begun = deque(iter(slices[place]) for place in islice(drawn, 2))
        while begun:
            if (group := next(begun[0], None)) is not None:
                yield group
                begun.rotate(-1)
            elif (place := next(drawn, None)) is not None:
                begun[0] = iter(slices[place])
            else:
                begun.popleft()
