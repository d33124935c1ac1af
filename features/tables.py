"""Row groups read in order, in bounded memory: a large one is decoded once, slice by slice."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from threading import Condition
from typing import TypeVar

import pyarrow as pa

from features.ahead import map_ahead
from features.row_groups import Cursor, RowGroup

T = TypeVar("T")


def read_tables(row_groups: Iterable[RowGroup], columns: Iterable[str]) -> Iterator[tuple[RowGroup, pa.Table]]:
    """Yield each row group with the table that its `read` returns; slices of one row group are decoded once.

    Args:
        row_groups: row groups to read; the order of the file is the cheapest.
        columns: columns to read.

    Raises:
        DataError: see `RowGroup.read`.
    """
    columns = list(dict.fromkeys(columns))
    with Cursor(columns) as cursor:
        for group in row_groups:
            yield group, group.table(cursor.stored(group), columns)


def map_tables(
    function: Callable[[RowGroup, pa.Table], T], row_groups: list[RowGroup], columns: Iterable[str], threads: int
) -> Iterator[T]:
    """Yield `function(row group, its table)` in the order of the row groups, computed ahead by threads.

    Slices of one row group are decoded one after the other, while other threads process slices that are already
    decoded. Slices of different row groups can alternate: each row group stays open from its first to its last slice.

    Args:
        function: function to apply, in any thread.
        row_groups: row groups to read.
        columns: columns to read.
        threads: number of row groups or slices that are processed at a time. A larger value uses more memory.

    Raises:
        DataError: see `RowGroup.read`.
    """
    columns = list(dict.fromkeys(columns))
    turns = Counter(group.location for group in row_groups)
    shared = {location: _SharedCursor(columns, count) for location, count in turns.items()}
    started: Counter[tuple[str, int]] = Counter()

    def numbered() -> Iterator[tuple[RowGroup, int]]:
        for group in row_groups:
            yield group, started[group.location]
            started[group.location] += 1

    def work(item: tuple[RowGroup, int]) -> T:
        group, turn = item
        return function(group, group.table(shared[group.location].stored(group, turn), columns))

    try:
        yield from map_ahead(work, numbered(), threads)
    finally:
        for cursor in shared.values():
            cursor.close()


class _SharedCursor:
    """Cursor for several threads, each of which waits for its turn.

    Threads start their work in the order of the turns, so none waits for work that was not started.
    """

    def __init__(self, columns: list[str], turns: int) -> None:
        self._cursor, self._turns = Cursor(columns), turns
        self._turn, self._changed = 0, Condition()

    def stored(self, group: RowGroup, turn: int) -> pa.Table:
        """Return what `Cursor.stored` returns, after the turns before `turn`."""
        with self._changed:
            self._changed.wait_for(lambda: self._turn == turn)
            try:
                return self._cursor.stored(group)
            finally:
                self._turn += 1
                if self._turn == self._turns:
                    self._cursor.close()
                self._changed.notify_all()

    def close(self) -> None:
        """Close the open file."""
        self._cursor.close()
