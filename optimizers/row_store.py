"""Stores of the rows of a table: their interface, and a store of variables."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import tensorflow as tf

MOVED_ROWS = 1 << 20  # at a time, so that a table is never held twice


class RowStore(Protocol):
    """The weights of a table, with the state that an optimizer keeps of them, read and written by row.

    Rows are int32 or int64 [n], from 0; weights are [n, dim], a state is [n, dim] or [n, 1]. The layout is the store's
    own affair: weight and state in one array or several, in whatever memory, on one machine or several. No state is a
    trainable variable.

    Example: one step of an optimizer, which touches no other rows.

        weight, *state = store.gather(rows)
        store.scatter(rows, *update(gradient, weight, state))
    """

    @property
    def row_count(self) -> int:
        """Number of rows."""

    def gather(self, rows: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Return the weight and each state of some rows."""

    def scatter(self, rows: tf.Tensor, *values: tf.Tensor) -> None:
        """Write the weight and each state of some rows, each row once; the values are in the order of `gather`."""

    def grow(self, smaller: "RowStore", start: Mapping[str, float]) -> None:
        """Take over a smaller store of the same states: its rows bit for bit, then new rows, whose state is `start`.

        The weights of new rows stay as they are.

        Raises:
            ValueError: `smaller` has more rows.
        """

    def reset(self, rows: tf.Tensor, start: Mapping[str, float]) -> None:
        """Set the state of some rows: `start` gives its numbers by name, and 0 where it names none. Weights stay.

        Raises:
            ValueError: `start` names a state that the store does not have.
        """

    def part(self, first: int, row_count: int) -> "RowStore":
        """Return a store of consecutive rows, counted from 0: the same rows, not a copy.

        Raises:
            ValueError: the store does not have them all.
        """


class VariableRows:
    """A `RowStore` of one variable for the weights and one for each state.

    In the update of a replica it reads and writes the replica's own copies; outside, it writes those of all replicas.

    Args:
        weight: variable [rows, dim].
        states: name -> variable, [rows, dim] or [rows, 1]; None: weights alone.
        rows: consecutive rows of the variables that the store holds; None: all.

    >>> store = VariableRows(tf.Variable([[1.0, 2.0], [3.0, 4.0]]), {"touches": tf.Variable([[5.0], [6.0]])})
    >>> store.scatter(tf.constant([1]), tf.constant([[7.0, 8.0]]), tf.constant([[9.0]]))
    >>> [array.numpy().tolist() for array in store.gather(tf.constant([1, 0]))]
    [[[7.0, 8.0], [1.0, 2.0]], [[9.0], [5.0]]]
    """

    def __init__(
        self, weight: tf.Variable, states: Mapping[str, tf.Variable] | None = None, rows: range | None = None
    ) -> None:
        self._weight, self._states = weight, dict(states or {})
        self._rows = range(weight.shape[0]) if rows is None else rows

    @property
    def row_count(self) -> int:
        return len(self._rows)

    def gather(self, rows: tf.Tensor) -> tuple[tf.Tensor, ...]:
        places = self._places(rows)
        return tuple(tf.gather(variable, places) for variable in (self._weight, *self._states.values()))

    def scatter(self, rows: tf.Tensor, *values: tf.Tensor) -> None:
        places = self._places(rows)
        for variable, value in zip((self._weight, *self._states.values()), values, strict=True):
            variable.scatter_update(tf.IndexedSlices(value, places))

    def grow(self, smaller: RowStore, start: Mapping[str, float]) -> None:
        if smaller.row_count > self.row_count:
            raise ValueError(f"a store of {self.row_count} rows cannot take over {smaller.row_count}")
        for rows in _chunks(0, smaller.row_count):
            self.scatter(rows, *smaller.gather(rows))
        for rows in _chunks(smaller.row_count, self.row_count):
            self.reset(rows, start)

    def reset(self, rows: tf.Tensor, start: Mapping[str, float]) -> None:
        if unknown := start.keys() - self._states.keys():
            raise ValueError(f"no state is named {min(unknown)!r}. Received: {', '.join(self._states) or 'no state'}")
        places = self._places(rows)
        for name, state in self._states.items():
            values = tf.fill([tf.size(rows), state.shape[1]], tf.cast(start.get(name, 0.0), state.dtype))
            state.scatter_update(tf.IndexedSlices(values, places))

    def part(self, first: int, row_count: int) -> "VariableRows":
        if not 0 <= first <= first + row_count <= self.row_count:
            raise ValueError(f"a store of {self.row_count} rows has no {row_count} rows from row {first} on")
        return VariableRows(self._weight, self._states, self._rows[first : first + row_count])

    def _places(self, rows: tf.Tensor) -> tf.Tensor:
        """Rows of the variables."""
        return rows + self._rows.start if self._rows.start else rows


def _chunks(first: int, end: int) -> Iterator[tf.Tensor]:
    """Rows `first` to before `end`, some at a time."""
    for start in range(first, end, MOVED_ROWS):
        yield tf.range(start, min(start + MOVED_ROWS, end))
