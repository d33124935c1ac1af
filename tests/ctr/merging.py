"""Mergeable states: results must not depend on how the chunks of a split are divided among processes."""

from functools import reduce
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

RTOL = 1e-12  # of float sums, which are added in a different order if a range has several chunks


class Division(NamedTuple):
    """Chunks of rows, and their division into ranges, some of which are empty."""

    seed: int
    rows: list[int]  # by chunk
    cuts: list[int]  # indices of chunks, ascending

    def ranges(self, chunks):
        return [chunks[start:end] for start, end in pairwise([0, *self.cuts, len(self.rows)])]


@st.composite
def divisions(draw, most_rows=8):
    """Draw up to 7 chunks of up to `most_rows` rows in up to 4 ranges."""
    rows = draw(st.lists(st.integers(0, most_rows), min_size=1, max_size=7))
    cuts = draw(st.lists(st.integers(0, len(rows)), max_size=3).map(sorted))
    return Division(draw(st.integers(0, 1000)), rows, cuts)


def facts(state, place=""):
    """Return everything that a state holds, by path: texts, numbers, and copies of arrays."""
    if isinstance(state, np.ndarray):
        return {place: state.copy()}
    if isinstance(state, pa.Array):
        return {place: (state.type, state.to_pylist())}
    if isinstance(state, set):
        return {place: frozenset(state)}
    if isinstance(state, dict):
        parts = state
    elif isinstance(state, list | tuple):
        parts = dict(enumerate(state))
    elif hasattr(type(state), "merge"):
        parts = vars(state)
    else:
        return {place: state}
    found = {f"{place} size": len(parts)}
    for name, part in parts.items():
        found |= facts(part, f"{place}/{name}")
    return found


def assert_equal(found, expected, rtol=0.0):
    """Check that facts are equal: floats to `rtol`, or bit for bit if it is 0, and all others exactly."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        other = found[name]
        if not isinstance(value, float | np.ndarray):
            assert other == value, name
            continue
        one, two = np.asarray(other), np.asarray(value)
        assert (one.dtype, one.shape) == (two.dtype, two.shape), name
        if rtol and one.dtype.kind == "f":
            np.testing.assert_allclose(one, two, rtol=rtol, err_msg=name)
        else:
            assert one.tobytes() == two.tobytes(), name


def check_merges(empty, add, chunks, division, read=facts):
    """Check that states of ranges merge to the state of all chunks.

    - Merged in the order of the ranges, from the left or from the right, they equal it, float sums up to `RTOL`.
    - If each range is one chunk, they equal it bit for bit: one partial per row group, merged in order.
    - An empty state on either side changes nothing.
    - Merging does not change its inputs, even when the result counts more rows later.

    Args:
        empty: function that returns a state of no rows.
        add: function of a state and a chunk that returns a state with the chunk counted; it can change its argument.
        chunks: chunks in file order.
        division: division of the chunks into ranges.
        read: function that returns the facts of a state.
    """

    def counted(some_chunks):
        return reduce(add, some_chunks, empty())

    def merged(one, other):
        return one.merge(other)

    whole = read(counted(chunks))
    states = [counted(range_) for range_ in division.ranges(chunks)]
    before = [read(state) for state in states]
    from_left = reduce(merged, states, empty())
    from_right = reduce(lambda later, state: state.merge(later), reversed(states))
    for found in (from_left, from_right):
        assert_equal(read(found), whole, RTOL)
    singles = [counted([chunk]) for chunk in chunks]
    assert_equal(read(reduce(merged, singles, empty())), whole)
    for found in (from_left.merge(empty()), empty().merge(from_left)):
        assert_equal(read(found), read(from_left))
    reduce(add, chunks, from_left)
    for state, expected in zip(states, before, strict=True):
        assert_equal(read(state), expected)
