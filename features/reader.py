"""Shuffled batches of fixed size, in an order that (seed, epoch) fix, from any position; read ahead by a thread."""

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from features.batch import Batch, batch_rows, concatenate, take
from features.encoder import Encoder
from features.source import RowGroup, count_rows

T = TypeVar("T")


@dataclass(frozen=True)
class Reader:
    """Training batches.

    Row groups come in an order drawn from (seed, epoch). They are gathered into windows of at least two row groups and
    `shuffle_rows` rows, the rows of a window are shuffled, and the stream of windows is cut into batches. So memory
    holds a few windows of encoded rows, whatever the size of the data.

    Args:
        row_groups: the training data.
        encoder: turns row groups into batches.
        batch_size: rows of a batch.
        seed: of the order.
        last_batch: `keep` the rows that do not fill a batch as a smaller last one, or `drop` them.
        shuffle_rows: the least rows of a window.
    """

    row_groups: list[RowGroup]
    encoder: Encoder
    batch_size: int
    seed: int
    last_batch: Literal["keep", "drop"] = "keep"
    shuffle_rows: int = 1 << 18

    @property
    def rows_per_epoch(self) -> int:
        """Rows that an epoch trains on."""
        rows = count_rows(self.row_groups)
        return rows - rows % self.batch_size if self.last_batch == "drop" else rows

    @property
    def batches_per_epoch(self) -> int:
        """Batches of an epoch."""
        return -(-self.rows_per_epoch // self.batch_size)

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from `first_batch` on; the first ones are skipped without being read."""
        return read_ahead(self._batches(epoch, first_batch), depth=4)

    def _batches(self, epoch: int, first_batch: int) -> Iterator[Batch]:
        left: list[Batch] = []  # rows of the windows before that did not fill a batch
        missing = self.batch_size  # rows that would fill it
        skip = first_batch * self.batch_size
        for place, window in enumerate(self._windows(epoch)):
            rows = count_rows(window)
            if skip >= rows:
                skip -= rows
                continue
            encoded = concatenate(self.encoder(group.read(self.encoder.input_columns), str(group)) for group in window)
            order = np.random.default_rng([self.seed, 3, epoch, place]).permutation(rows)[skip:]
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

    def _windows(self, epoch: int) -> Iterator[list[RowGroup]]:
        window: list[RowGroup] = []
        for place in np.random.default_rng([self.seed, 4, epoch]).permutation(len(self.row_groups)):
            window.append(self.row_groups[place])
            if len(window) > 1 and count_rows(window) >= self.shuffle_rows:
                yield window
                window = []
        if window:
            yield window


def read_ahead(items: Iterable[T], depth: int) -> Iterator[T]:
    """Iterate in a background thread that stays at most `depth` items ahead.

    An exception of `items` is raised here, in its place. Closing the iterator ends the thread.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: T | None, error: BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put((item, error), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item, None):
                    return
            put(None, StopIteration())
        except BaseException as error:  # noqa: BLE001 - raised by the consumer, whatever it is
            put(None, error)

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()
