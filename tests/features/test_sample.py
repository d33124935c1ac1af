"""The fixed sample of a dataset."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import features.row_groups
import features.sample
from features import Columns, Features, draw_sample, fit, open_data


@pytest.fixture
def row_groups(tmp_path):
    """Return two row groups in which x numbers the 5,000 rows."""
    table = pa.table({"x": np.arange(5000), "y": np.arange(5000) % 2, "z": np.zeros(5000)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=3000)
    return open_data(str(tmp_path / "a.parquet"))


def drawn(row_groups, seed):
    return pa.concat_tables(draw_sample(row_groups, ["x", "y"], seed))


def test_of_little_data_it_is_all_of_it(row_groups):
    table = drawn(row_groups, 1)
    assert table.column_names == ["x", "y"]
    assert table["x"].to_pylist() == list(range(5000))


def test_it_is_drawn_from_the_seed_in_file_order(row_groups, monkeypatch):
    monkeypatch.setattr(features.sample, "SAMPLE_ROWS", 500)
    one, same, other = (drawn(row_groups, seed)["x"].to_pylist() for seed in (1, 1, 2))
    assert one == same == sorted(set(one))
    assert one != other
    assert abs(len(one) - 500) < 5 * 500**0.5
    assert {x // 3000 for x in one} == {0, 1}


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 5), max_size=3).map(sorted))
def test_samples_of_parts_are_the_sample_of_the_whole(tmp_path_factory, cuts):
    path = tmp_path_factory.getbasetemp() / "parts.parquet"
    if not path.exists():
        pq.write_table(pa.table({"x": np.arange(500)}), path, row_group_size=100)
    row_groups = open_data(str(path))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(features.sample, "SAMPLE_ROWS", 200)
        whole = [table["x"].to_pylist() for table in draw_sample(row_groups, ["x"], 4)]
        parts = [range(start, end) for start, end in pairwise([0, *cuts, 5])]
        drawn = [table["x"].to_pylist() for part in parts for table in draw_sample(row_groups, ["x"], 4, part)]
    assert drawn == whole
    assert 100 < sum(map(len, whole)) < 300


def test_fitting_reads_no_column_that_nothing_is_fitted_on(row_groups, monkeypatch):
    read = []
    original = features.row_groups.Cursor.stored

    def spy(cursor, group):
        read.append(cursor.columns)
        return original(cursor, group)

    monkeypatch.setattr(features.row_groups.Cursor, "stored", spy)
    declared = {"x": {"identity": 5000}, "z": {"type": "numeric", "standardize": False}}
    fit(Features(columns=declared), Columns("y"), row_groups, seed=1)
    assert read == [["y"], ["y"]]
