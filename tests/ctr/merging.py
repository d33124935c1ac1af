"""States that merge: it must not matter how the chunks of a set are divided among those who count them."""

from functools import reduce
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

RTOL = 1e-12  # of float sums, whose additions come in another order where a range has several chunks


class Division(NamedTuple):
    """Chunks of rows, and how they are divided into ranges, some of which are empty."""

    seed: int
    rows: list[int]  # of each chunk
    cuts: list[int]  # places of chunks, ascending

    def ranges(self, chunks):
        return [chunks[start:end] for start, end in pairwise([0, *self.cuts, len(self.rows)])]


@st.composite
def divisions(draw, most_rows=8):
    """Up to 7 chunks of up to `most_rows` rows in up to 4 ranges."""
    rows = draw(st.lists(st.integers(0, most_rows), min_size=1, max_size=7))
    cuts = draw(st.lists(st.integers(0, len(rows)), max_size=3).map(sorted))
    return Division(draw(st.integers(0, 1000)), rows, cuts)


def facts(state, place=""):
    """Everything that a state holds, by where: texts, numbers, and copies of arrays."""
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
    """The same facts: floats to `rtol`, and to the bit where that is 0; all else exactly."""
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

    - Merged in the order of the ranges, from the left or from the right, they equal it: float sums to `RTOL`.
    - Where each range is one chunk, they equal it to the bit: one partial per row group, folded in place order.
    - An empty state on either side changes nothing.
    - What was merged stays as it was, also when the result counts more.

    Args:
        empty: returns a state of no rows.
        add: returns a state, given one and a chunk that it counts; the state given may change.
        chunks: in file order.
        division: of the chunks.
        read: returns what a state says, as `facts`.
    """

    def counted(some):
        return reduce(add, some, empty())

    def merged(one, other):
        return one.merge(other)

    whole = read(counted(chunks))
    states = [counted(some) for some in division.ranges(chunks)]
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
