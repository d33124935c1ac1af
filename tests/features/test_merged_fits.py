"""The fitting pass can be divided: states of row groups, merged in order, equal the state of all row groups."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import features.fits.vocabulary
from features import Columns, DataError, Features, fit, open_data
from features.seen_rows import SeenRows
from features.statistics import Classes, FittingState, fittings

few = settings(max_examples=40, deadline=None)
LABEL = Columns("y", "w")
DECLARED = Features(
    columns={
        "word": {"table": "words"},
        "list": {"type": "sequence", "table": "words", "max_length": 2},
        "id": {},
        "x": {"type": "numeric", "transform": "log1p"},
        "y2": {"type": "numeric", "column": "x", "as": "buckets", "buckets": 4},
    }
)
WORD = st.none() | st.sampled_from(["a", "b", "c", "d"])
ROW = st.tuples(
    WORD,
    st.none() | st.lists(WORD, max_size=3),
    st.none() | st.integers(0, 3),
    st.none() | st.floats(-1e6, 1e6, width=32),
    st.floats(0, 4, width=16),
)
GROUPS = st.lists(st.lists(ROW, min_size=1, max_size=6), min_size=1, max_size=6)


def table_of(rows):
    """Return a table for one row group, with alternating labels."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    types = [pa.string(), pa.list_(pa.string()), pa.int64(), pa.float64(), pa.float64()]
    arrays = [pa.array(column, type_) for column, type_ in zip(columns, types, strict=True)]
    return pa.table([*arrays, pa.array(np.arange(len(rows)) % 2)], ["word", "list", "id", "x", "w", "y"])


def state_of(tables, places):
    """Merge the states of the row groups at these positions, each fitted alone; no positions: the state of no data."""
    declared = DECLARED.columns.values()
    state = FittingState(fittings(DECLARED))
    for place in places:
        drawn = np.random.default_rng(place).random(tables[place].num_rows) < 0.7
        state = state.merge(FittingState.of(declared, LABEL, tables[place], drawn, f"group {place}"))
    return state


def results(state):
    """Return all results of a state as plain values."""
    fits = {place: fitting.result() for place, fitting in state.fittings.items()}
    words, ids = fits["vocabularies", "words"], fits["vocabularies", "id"]
    exact = [words.values.to_pylist(), words.counts.tolist(), ids.values.to_pylist(), ids.counts.tolist()]
    moments = fits["moments", "x"]
    return [*exact, fits["edges", "y2"].ends.tolist(), state.classes.rows], [
        moments.mean,
        moments.deviation,
        *state.classes.weight,
    ]


@given(groups=GROUPS, cuts=st.lists(st.integers(0, 6), max_size=3), merge_above=st.sampled_from([0, 3, 10**6]))
@few
def test_ranges_of_row_groups_merge_to_the_state_of_all(groups, cuts, merge_above):
    tables = [table_of(rows) for rows in groups]
    ends = [0, *sorted(min(cut, len(tables)) for cut in cuts), len(tables)]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(features.fits.vocabulary, "MERGE_ABOVE", merge_above)
        whole = state_of(tables, range(len(tables)))
        merged = state_of(tables, [])
        for first, end in pairwise(ends):
            merged = merged.merge(state_of(tables, range(first, end)))

    (exact, close), (other_exact, other_close) = results(whole), results(merged)
    assert exact == other_exact
    assert close == pytest.approx(other_close, rel=1e-12, abs=1e-9)


@given(groups=GROUPS)
@few
def test_one_state_for_each_row_group_merged_in_order_is_what_fit_finds(tmp_path_factory, groups):
    groups = [[*rows, rows[0], rows[0]] for rows in groups]  # so that each row group has both classes
    tables = [table_of([(*row[:4], row[4] + 0.5) for row in rows]) for rows in groups]
    path = tmp_path_factory.mktemp("data") / "a.parquet"
    with pq.ParquetWriter(path, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)
    found = fit(DECLARED, LABEL, open_data(str(path)), seed=3)

    state = None
    for table in tables:
        one = FittingState.of(DECLARED.columns.values(), LABEL, table, np.ones(len(table), bool), "")
        state = one if state is None else state.merge(one)

    words = found.fits["vocabularies"]["words"]
    assert state.fittings["vocabularies", "words"].result().values.equals(words.values)
    assert state.fittings["vocabularies", "words"].result().counts.tolist() == words.counts.tolist()
    assert state.fittings["edges", "y2"].result().ends.tolist() == found.fits["edges"]["y2"].ends.tolist()
    moments = found.fits["moments"]["x"]
    assert state.fittings["moments", "x"].result().mean == pytest.approx(moments.mean, rel=1e-12, abs=1e-9)
    assert state.fittings["moments", "x"].result().deviation == pytest.approx(moments.deviation, rel=1e-12)
    assert state.classes.log_odds(LABEL) == found.log_odds


def test_values_of_another_type_are_named_with_the_place_of_their_range(tmp_path):
    texts, numbers = (pa.table({"x": values, "y": [0, 1]}) for values in (["a", "b"], [1, 2]))
    declared = Features(columns={"x": {}}).columns.values()
    first, second = (
        FittingState.of(declared, Columns("y"), table, np.ones(2, bool), f"part {k}")
        for k, table in enumerate((texts, numbers))
    )

    with pytest.raises(DataError, match="part 1: the values of table 'x' are int64, but string in earlier rows"):
        first.merge(second)


@given(
    used=st.lists(st.tuples(st.sampled_from(["a", "b"]), st.lists(st.integers(0, 9), max_size=4)), max_size=8),
    cut=st.integers(0, 8),
)
@few
def test_seen_rows_merge(used, cut):
    def seen(part):
        state = SeenRows.of_no_data({"a": 10, "b": 10})
        for table, rows in part:
            state.add(table, np.array(rows, np.int64))
        return state

    merged = seen(used[:cut]).merge(seen(used[cut:]))

    for table in ("a", "b"):
        expected = {0, 1, 2}.union(*(rows for name, rows in used if name == table))
        assert set(np.flatnonzero(merged.tables[table])) == expected


def test_no_rows_have_no_classes():
    assert Classes.of(np.empty(0), np.empty(0)) == Classes()
