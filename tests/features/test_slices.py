"""Row groups read in slices give the same rows as whole ones, are decoded once, and need bounded memory."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import features.row_groups
from features import (
    Columns,
    DataError,
    Encoder,
    Features,
    Reader,
    Split,
    count_rows,
    draw_sample,
    fit,
    leave_out_bad_rows,
    map_tables,
    open_data,
    read_tables,
    split_data,
)
from tests.features.fits import vocabularies_of

COLUMNS = ["row", "text", "list", "y"]
DECLARED = {
    "row": {"identity": 10**6},
    "text": {"vocabulary": {"min_count": 2}},
    "list": {"type": "sequence", "max_length": 3, "hash": 50},
    "half": {"type": "numeric"},
    "edge": {"type": "numeric", "column": "half", "as": "buckets", "buckets": 4},
}


def table_of(rows):
    """Return rows 0, 1, 2, ... with texts, nulls, lists of 0 to 4 values and labels."""
    number = np.arange(rows)
    return pa.table(
        {
            "row": number,
            "text": [None if k % 7 == 0 else f"text {k % 11}" for k in range(rows)],
            "list": [list(range(k % 5)) for k in range(rows)],
            "half": pa.array(number / 2, mask=number % 6 == 5),
            "y": number % 2,
        }
    )


@pytest.fixture
def small(monkeypatch):
    """Read a row group of more than 10 rows in slices of at most 7."""
    monkeypatch.setattr(features.row_groups, "WHOLE_ROWS", 10)
    monkeypatch.setattr(features.row_groups, "SLICE_ROWS", 7)


def open_sliced(folder):
    """Return row groups of 40, 40 and 9 rows, in slices of 6 or 7 rows and whole."""
    pq.write_table(table_of(89), folder / "a.parquet", row_group_size=40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features.row_groups, "WHOLE_ROWS", 10)
        patch.setattr(features.row_groups, "SLICE_ROWS", 7)
        return open_data(str(folder))


@pytest.fixture
def sliced(tmp_path):
    return open_sliced(tmp_path)


def test_slices_are_small_and_follow_one_another(sliced):
    assert [group.rows for group in sliced] == [6, 7, 7, 6, 7, 7] * 2 + [9]
    assert [group.slice for group in sliced[:3]] == [(0, 6), (6, 7), (13, 7)]
    assert sliced[-1].slice is None
    assert str(sliced[1]).endswith("a.parquet, row group 0, rows 6 to 12")


@pytest.mark.parametrize("threads", [1, 3])
def test_slices_hold_what_the_file_holds(sliced, threads):
    read = pa.concat_tables(table for _, table in read_tables(sliced, COLUMNS))
    mapped = pa.concat_tables(map_tables(lambda group, table: table, sliced, COLUMNS, threads))
    alone = pa.concat_tables(group.read(COLUMNS) for group in sliced)
    assert read.to_pydict() == mapped.to_pydict() == alone.to_pydict() == table_of(89).select(COLUMNS).to_pydict()


@given(order=st.permutations(range(13)), masks=st.lists(st.integers(0, 127), min_size=13, max_size=13))
@settings(max_examples=30, deadline=None)
def test_in_any_order_and_any_part_each_slice_is_what_it_is_alone(tmp_path_factory, order, masks):
    groups = open_sliced(tmp_path_factory.mktemp("data"))
    parts = [groups[k].select(np.array([masks[k] >> bit & 1 for bit in range(groups[k].rows)], bool)) for k in order]
    expected = [group.read(["row"])["row"].to_pylist() for group in parts]
    assert [table["row"].to_pylist() for _, table in read_tables(parts, ["row"])] == expected
    assert list(map_tables(lambda group, table: table["row"].to_pylist(), parts, ["row"], 2)) == expected


def test_a_row_group_is_decoded_once_however_many_slices_it_has(sliced, monkeypatch):
    opened = []
    original = features.row_groups._parquet
    monkeypatch.setattr(features.row_groups, "_parquet", lambda *args: opened.append(args[0].index) or original(*args))
    list(read_tables(sliced, ["row"]))
    assert opened == [0, 1, 2]
    alternating = [group for pair in zip(sliced[:6], sliced[6:12], strict=True) for group in pair]
    list(map_tables(lambda group, table: None, alternating, ["row"], 2))
    assert sorted(opened[3:]) == [0, 1]


def test_folders_and_casts_hold_for_slices(tmp_path, small):
    (tmp_path / "day=3").mkdir()
    pq.write_table(table_of(20), tmp_path / "day=3" / "a.parquet")
    groups = open_data(str(tmp_path), casts={"row": "text"})
    tables = [table for _, table in read_tables(groups, ["day", "row"])]
    assert pa.concat_tables(tables).to_pydict() == {"day": [3] * 20, "row": [str(k) for k in range(20)]}
    assert [table.num_rows for _, table in read_tables(groups, ["day"])] == [6, 7, 7]


def test_a_change_between_two_slices_is_noticed(tmp_path, small):
    pq.write_table(table_of(20), tmp_path / "a.parquet")
    tables = read_tables(open_data(str(tmp_path)), ["row"])
    next(tables)
    pq.write_table(table_of(21), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="row group 0, rows 6 to 12: the file changed while it was in use"):
        next(tables)


def test_an_error_in_a_slice_is_the_one_that_is_raised(sliced):
    def work(group, table):
        if 20 in table["row"].to_pylist():
            raise DataError(str(group))
        return table.num_rows

    rows = map_tables(work, sliced, ["row"], 3)
    assert [next(rows), next(rows), next(rows)] == [6, 7, 7]
    with pytest.raises(DataError, match="rows 20 to 25"):
        next(rows)


# Every reader of data gives the same result for slices


def test_fitting_encoding_and_bad_rows_do_not_depend_on_slices(tmp_path, monkeypatch):
    pq.write_table(table_of(89), tmp_path / "a.parquet", row_group_size=40)
    declared, columns = Features(columns=DECLARED), Columns("y")

    def found():
        groups = open_data(str(tmp_path))
        encoder = Encoder(declared, columns, fit(declared, columns, groups, seed=1))
        batches = [encoder(table, str(group)) for group, table in read_tables(groups, encoder.input_columns)]
        bad = Encoder(Features(columns={"row": {"identity": 50}}), columns)
        return encoder, batches, leave_out_bad_rows("train", groups, bad, 0.9)

    encoder, batches, (left, bad) = found()
    monkeypatch.setattr(features.row_groups, "WHOLE_ROWS", 10)
    monkeypatch.setattr(features.row_groups, "SLICE_ROWS", 7)
    in_slices, batches_of_slices, (left_of_slices, bad_of_slices) = found()
    assert (len(batches), len(batches_of_slices)) == (3, 13)
    for key in batches[0]:
        whole, parts = ([batch[key] for batch in some] for some in (batches, batches_of_slices))
        np.testing.assert_array_equal(np.concatenate(whole), np.concatenate(parts))
    assert vocabularies_of(in_slices) == vocabularies_of(encoder)
    means = [fitted.statistics.fits["moments"]["half"].mean for fitted in (in_slices, encoder)]
    assert means[0] == pytest.approx(means[1])
    assert (count_rows(left_of_slices), bad_of_slices) == (count_rows(left), bad)


def test_splits_and_samples_hold_each_row_once(sliced):
    for split in (
        Split(by="rows", fractions=(0.5, 0.2, 0.3)),
        Split(by="random", fractions=(0.5, 0.2, 0.3)),
        Split(by="time", column="row", fractions=(0.5, 0.2, 0.3)),
    ):
        sets = split_data(sliced, split, seed=1)
        rows = [table["row"].to_pylist() for groups in sets.values() for _, table in read_tables(groups, ["row"])]
        assert sorted(row for part in rows for row in part) == list(range(89))
        if split.by != "random":
            assert [count_rows(groups) for groups in sets.values()] == [44, 18, 27]
    assert pa.concat_tables(draw_sample(sliced, ["row"], 1))["row"].to_pylist() == list(range(89))


# The order of an epoch


def reader_of(groups):
    encoder = Encoder(Features(columns={"row": {"identity": 10**6}}), Columns("y"))
    return Reader(groups, encoder, batch_size=5, seed=1, shuffle_rows=12)


def test_an_epoch_takes_slices_of_two_row_groups_in_turn(sliced):
    order = list(reader_of(sliced)._ordered(0))
    assert sorted(map(str, order)) == sorted(map(str, sliced))
    alternating = [group.index for group in order if group.index != 2]  # the small one may come first, or last
    assert alternating[1:-1] in ([0, 1] * 5, [1, 0] * 5)
    for index in (0, 1):
        slices = [group.slice[0] for group in order if group.index == index]
        assert all(before < after for before, after in pairwise(slices))


@given(epoch=st.integers(0, 20), first=st.integers(0, 17))
@settings(max_examples=30, deadline=None)
def test_an_epoch_of_slices_holds_each_row_once_and_begins_anywhere(tmp_path_factory, epoch, first):
    one = reader_of(open_sliced(tmp_path_factory.mktemp("data")))
    batches = [(batch["ids"][:, 0] - 3).tolist() for batch in one.epoch(epoch)]
    assert sorted(row for batch in batches for row in batch) == list(range(89))
    assert [(batch["ids"][:, 0] - 3).tolist() for batch in one.epoch(epoch, first)] == batches[first:]
