"""Row stores: the interface for reading and writing rows of a table, and its implementation on variables."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import tensorflow as tf

MOVED_ROWS = 1 << 20  # rows copied at a time, so that memory never holds a table twice


class RowStore(Protocol):
    """Weights of a table and their optimizer state, read and written by row.

    Row numbers are int32 or int64 `[n]`, counted from 0. Weights are `[n, dim]`; a state is `[n, dim]` or `[n, 1]`. The
    store decides the layout: one array or several, in any memory, on one machine or several. No state is a trainable
    variable.

    Example: one step of an optimizer, which changes no other rows.

        weight, *state = store.gather(rows)
        store.scatter(rows, *update(gradient, weight, state))
    """

    @property
    def row_count(self) -> int:
        """Number of rows."""

    def gather(self, rows: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Return the weights and each state of rows."""

    def scatter(self, rows: tf.Tensor, *values: tf.Tensor) -> None:
        """Write the weights and each state of distinct rows; the values are in the order of `gather`."""

    def grow(self, smaller: "RowStore", start: Mapping[str, float]) -> None:
        """Copy a smaller store's rows bit for bit, then set the state of the remaining, new rows to `start`.

        The weights of new rows do not change.

        Raises:
            ValueError: `smaller` has more rows than this store.
        """

    def reset(self, rows: tf.Tensor, start: Mapping[str, float]) -> None:
        """Set the state of rows to the values in `start`, by name, and any other state to 0. Weights do not change.

        Raises:
            ValueError: `start` names a state that the store does not have.
        """

    def view(self, first: int, row_count: int) -> "RowStore":
        """Return a view of consecutive rows, numbered from 0.

        Raises:
            ValueError: the store does not have all of these rows.
        """


class VariableRows:
    """`RowStore` on one variable for the weights and one for each state.

    Inside the update of a replica it reads and writes that replica's copies. Outside, it writes the copies of all
    replicas.

    Args:
        weight: weights, a variable `[rows, dim]`.
        states: state name -> variable `[rows, dim]` or `[rows, 1]`; None: no state.
        rows: consecutive rows of the variables that belong to the store; None: all rows.

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
        """Number of rows."""
        return len(self._rows)

    def gather(self, rows: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Return the weights and each state of rows."""
        numbers = self._variable_rows(rows)
        return tuple(tf.gather(variable, numbers) for variable in (self._weight, *self._states.values()))

    def scatter(self, rows: tf.Tensor, *values: tf.Tensor) -> None:
        """Write the weights and each state of distinct rows; the values are in the order of `gather`."""
        numbers = self._variable_rows(rows)
        for variable, value in zip((self._weight, *self._states.values()), values, strict=True):
            variable.scatter_update(tf.IndexedSlices(value, numbers))

    def grow(self, smaller: RowStore, start: Mapping[str, float]) -> None:
        """Copy a smaller store's rows bit for bit, then set the state of the remaining, new rows to `start`."""
        if smaller.row_count > self.row_count:
            raise ValueError(
                f"row store: a store of {self.row_count} rows cannot copy {smaller.row_count} rows. "
                f"Create it with at least {smaller.row_count} rows."
            )
        for rows in _chunks(0, smaller.row_count):
            self.scatter(rows, *smaller.gather(rows))
        for rows in _chunks(smaller.row_count, self.row_count):
            self.reset(rows, start)

    def reset(self, rows: tf.Tensor, start: Mapping[str, float]) -> None:
        """Set the state of rows to the values in `start`, by name, and any other state to 0."""
        if unknown := start.keys() - self._states.keys():
            names = ", ".join(self._states) or "none"
            raise ValueError(f"row store: unknown state {min(unknown)!r}. Use a state of the store: {names}.")
        numbers = self._variable_rows(rows)
        for name, state in self._states.items():
            values = tf.fill([tf.size(rows), state.shape[1]], tf.cast(start.get(name, 0.0), state.dtype))
            state.scatter_update(tf.IndexedSlices(values, numbers))

    def view(self, first: int, row_count: int) -> "VariableRows":
        """Return a view of consecutive rows, numbered from 0."""
        if not 0 <= first <= first + row_count <= self.row_count:
            raise ValueError(
                f"row store: cannot take {row_count} rows from row {first} of a store of {self.row_count} rows. "
                f"Use rows from 0 to {self.row_count - 1}."
            )
        return VariableRows(self._weight, self._states, self._rows[first : first + row_count])

    def _variable_rows(self, rows: tf.Tensor) -> tf.Tensor:
        """Convert row numbers of the store to row numbers of its variables."""
        return rows + self._rows.start if self._rows.start else rows


def _chunks(first: int, end: int) -> Iterator[tf.Tensor]:
    """Yield the rows from `first` to before `end`, at most `MOVED_ROWS` at a time."""
    for start in range(first, end, MOVED_ROWS):
        yield tf.range(start, min(start + MOVED_ROWS, end))
