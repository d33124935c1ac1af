"""An epoch has all positives and a new draw of the negatives: as many each time, each equally likely."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import Columns, DataError, Encoder, Features, NegativeSample, Reader, RowGroup, count_rows, open_data
from features.row_groups import SLICE_ROWS, WHOLE_ROWS

some = settings(max_examples=40, deadline=None)
sizes = st.lists(st.integers(1, 9), min_size=1, max_size=7)
ENCODER = Encoder(Features(columns={"row": {"identity": 10**6}}), Columns("y"))


def labels_of(rows, seed):
    return (np.random.default_rng(seed).random(rows) < 0.3).astype(int)


def write(folder, groups, labels):
    """Write rows 0, 1, 2, ... with these labels in row groups of these sizes."""
    table = pa.table({"row": np.arange(len(labels)), "y": labels})
    starts = np.cumsum([0, *groups]).tolist()
    with pq.ParquetWriter(folder / "a.parquet", table.schema) as writer:
        for start, size in zip(starts, groups, strict=False):
            writer.write_table(table.slice(start, size))
    return open_data(str(folder))


def reader(row_groups, fraction, seed=1, **settings):
    sample = NegativeSample.of(row_groups, Columns("y"), fraction, seed)
    return Reader(row_groups, ENCODER, **{"batch_size": 4, "seed": seed, "negatives": sample, **settings})


def rows(batches):
    return [row - 3 for batch in batches for row in batch["ids"][:, 0].tolist()]


def as_bytes(batches):
    return [{key: array.tobytes() for key, array in batch.items()} for batch in batches]


@given(groups=sizes, fraction=st.floats(0.01, 1), seed=st.integers(0, 99), epoch=st.integers(0, 50))
@some
def test_every_epoch_has_all_positives_and_equally_many_negatives(tmp_path_factory, groups, fraction, seed, epoch):
    labels = labels_of(sum(groups), seed)
    one = reader(write(tmp_path_factory.mktemp("data"), groups, labels), fraction, seed, shuffle_rows=10)
    found = rows(one.epoch(epoch))
    assert len(set(found)) == len(found) == one.rows_per_epoch
    assert {row for row in found if labels[row]} == set(np.flatnonzero(labels))
    assert sum(labels[row] == 0 for row in found) == round(fraction * (labels == 0).sum()) == one.negatives.kept
    assert one.batches_per_epoch == len(list(one.epoch(epoch)))


@given(groups=sizes, fraction=st.floats(0.01, 1), epoch=st.integers(0, 50))
@some
def test_each_row_group_has_its_share_rounded_up_or_down(tmp_path_factory, groups, fraction, epoch):
    labels = labels_of(sum(groups), seed=0)
    row_groups = write(tmp_path_factory.mktemp("data"), groups, labels)
    sample = NegativeSample.of(row_groups, Columns("y"), fraction, seed=3)
    drawn = {group.index: group for group in sample.epoch(epoch)}
    for group, negatives in zip(row_groups, sample.negatives, strict=True):
        kept = drawn[group.index].rows - (group.rows - negatives) if group.index in drawn else 0
        assert abs(kept - sample.kept * negatives / max(sample.all_negatives, 1)) < 1
    assert all(group.rows for group in drawn.values())


def test_over_the_epochs_each_negative_is_drawn_equally_often_also_in_small_row_groups(tmp_path):
    groups, epochs = [1, 2, 3, 1, 4, 9, 2, 8, 1, 1, 5, 3], 1500
    labels = np.zeros(sum(groups), int)
    labels[::5] = 1
    sample = NegativeSample.of(write(tmp_path, groups, labels), Columns("y"), 0.15, seed=1)
    times = np.zeros(len(labels))
    for epoch in range(epochs):
        for group in sample.epoch(epoch):
            times[group.read(["row", "y"])["row"].to_numpy()] += 1
    share = sample.kept / sample.all_negatives
    error = (epochs * share * (1 - share)) ** 0.5
    assert (times[labels == 1] == epochs).all()
    assert np.abs(times[labels == 0] - epochs * share).max() < 4 * error


def test_a_fraction_of_1_gives_the_batches_of_a_reader_without_a_draw(tmp_path):
    row_groups = write(tmp_path, [30, 20, 50], labels_of(100, 0))
    sampled = reader(row_groups, 1.0, shuffle_rows=40)
    for epoch in range(3):
        assert as_bytes(sampled.epoch(epoch)) == as_bytes(replace(sampled, negatives=None).epoch(epoch))


@given(
    groups=sizes,
    batch_size=st.integers(1, 9),
    shuffle_rows=st.integers(1, 25),
    last_batch=st.sampled_from(["keep", "drop"]),
    first=st.integers(0, 45),
)
@some
def test_from_a_later_batch_on_an_epoch_is_the_same(
    tmp_path_factory, groups, batch_size, shuffle_rows, last_batch, first
):
    row_groups = write(tmp_path_factory.mktemp("data"), groups, labels_of(sum(groups), 1))
    settings = {"batch_size": batch_size, "shuffle_rows": shuffle_rows, "last_batch": last_batch}
    one = reader(row_groups, 0.4, **settings)
    first = min(first, one.batches_per_epoch)
    whole = list(one.epoch(2))
    assert len(whole) == one.batches_per_epoch
    assert sum(len(batch["label"]) for batch in whole) == one.rows_per_epoch
    assert as_bytes(one.epoch(2, first)) == as_bytes(whole)[first:]


def test_windows_before_the_first_batch_are_not_read(tmp_path, monkeypatch):
    one = reader(write(tmp_path, [8] * 6, np.tile([1, 0, 0, 0], 12)), 0.5, batch_size=5, shuffle_rows=1)
    read, original = [], RowGroup.table
    monkeypatch.setattr(RowGroup, "table", lambda group, *columns: read.append(group) or original(group, *columns))
    assert one.batches_per_epoch == 6
    assert len(list(one.epoch(0, first_batch=4))) == 2
    assert len(read) == 2


def test_threads_change_no_bit_and_seed_and_epoch_decide(tmp_path):
    row_groups = write(tmp_path, [30, 20, 50, 25], labels_of(125, 2))
    one = reader(row_groups, 0.3, shuffle_rows=40)
    assert as_bytes(one.epoch(3)) == as_bytes(replace(one, threads=7).epoch(3))
    assert as_bytes(one.epoch(3)) == as_bytes(reader(open_data(str(tmp_path)), 0.3, shuffle_rows=40).epoch(3))
    draws = {frozenset(rows(reader(row_groups, 0.3, seed).epoch(epoch))) for seed in (1, 2) for epoch in (0, 1, 2)}
    assert len(draws) == 6


def test_row_groups_of_equal_labels_draw_in_their_own_ways(tmp_path):
    row_groups = write(tmp_path, [40] * 4, np.tile([1, 0, 0, 0], 40))
    drawn = NegativeSample.of(row_groups, Columns("y"), 0.5, seed=1).epoch(0)
    places = {tuple(row % 40 for row in group.read(["row", "y"])["row"].to_pylist()) for group in drawn}
    assert len(places) == 4


def test_selected_rows_and_slices_are_drawn_from_and_nothing_else(tmp_path):
    many = WHOLE_ROWS + 10
    labels = labels_of(many, 5)
    row_groups = write(tmp_path, [many], labels)
    assert max(group.rows for group in row_groups) <= SLICE_ROWS
    even = [group.select(np.arange(group.rows) % 2 == 0) for group in row_groups]
    sample = NegativeSample.of(even, Columns("y"), 0.25, seed=1)
    found = np.concatenate([group.read(["row", "y"])["row"].to_numpy() for group in sample.epoch(0)])
    selected = np.concatenate([group.read(["row"])["row"].to_numpy() for group in even])
    assert np.isin(found, selected).all()
    assert (np.diff(found) > 0).all()
    assert set(found[labels[found] == 1]) == set(selected[labels[selected] == 1])
    assert len(found) == sample.rows_per_epoch < count_rows(even)


def test_the_number_of_negatives_needs_the_labels_alone(tmp_path):
    row_groups = write(tmp_path, [5, 5], np.arange(10) % 2)
    NegativeSample.of(row_groups, Columns("y"), 0.5, seed=1)
    assert list(row_groups[0].file.contents.known()) == ["y"]


def test_an_invalid_label_is_an_error_that_says_where(tmp_path):
    row_groups = write(tmp_path, [5, 5], [0, 1] * 4 + [0, 7])
    with pytest.raises(DataError, match=r"a\.parquet, row group 1: 'y' is 7"):
        NegativeSample.of(row_groups, Columns("y"), 0.5, seed=1)


def test_rows_of_a_draw_cannot_be_selected(tmp_path):
    [group] = NegativeSample.of(write(tmp_path, [10], [0, 1] * 5), Columns("y"), 0.5, seed=1).epoch(0)
    with pytest.raises(TypeError, match="before drawing"):
        group.select(np.ones(group.rows, bool))
