"""Batches come in an order determined by (seed, epoch), from any position, and a thread reads them ahead."""

import gc
import itertools
import threading
import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import Columns, DataError, Encoder, Features, Reader, RowGroup, as_tf_dataset, open_data, read_ahead
from features.batch import batch_rows, concatenate, take

some_sizes = st.lists(st.integers(1, 7), min_size=1, max_size=6)
some = settings(max_examples=40, deadline=None)


def reader(folder, sizes, **settings):
    """Return a reader of rows 0, 1, 2, ... in row groups of these sizes, spread over two files."""
    table = pa.table({"row": np.arange(sum(sizes)), "y": np.arange(sum(sizes)) % 2})
    starts, half = np.cumsum([0, *sizes]).tolist(), (len(sizes) + 1) // 2
    for name, places in [("a.parquet", range(half)), ("b.parquet", range(half, len(sizes)))]:
        with pq.ParquetWriter(folder / name, table.schema) as writer:
            for place in places:
                writer.write_table(table.slice(starts[place], sizes[place]))
    encoder = Encoder(Features(columns={"row": {"identity": 10**6}}), Columns("y"))
    return Reader(open_data(str(folder)), encoder, **{"batch_size": 4, "seed": 1, **settings})


def rows(batches):
    """Return the row numbers of each batch."""
    return [(batch["ids"][:, 0] - 3).tolist() for batch in batches]


def flat(batches):
    return [row for batch in rows(batches) for row in batch]


def as_bytes(batches):
    return [{key: array.tobytes() for key, array in batch.items()} for batch in batches]


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


# One epoch


@given(sizes=some_sizes, batch_size=st.integers(1, 9), shuffle_rows=st.integers(1, 25), epoch=st.integers(0, 3))
@some
def test_with_keep_every_row_comes_exactly_once(tmp_path_factory, sizes, batch_size, shuffle_rows, epoch):
    one = reader(tmp_path_factory.mktemp("data"), sizes, batch_size=batch_size, shuffle_rows=shuffle_rows)
    batches = list(one.epoch(epoch))
    full, remainder = divmod(sum(sizes), batch_size)
    assert sorted(flat(batches)) == list(range(sum(sizes)))
    assert [batch_rows(batch) for batch in batches] == [batch_size] * full + [remainder] * (remainder > 0)
    assert (one.batches_per_epoch, one.rows_per_epoch) == (len(batches), sum(sizes))


@given(sizes=some_sizes, batch_size=st.integers(1, 9), shuffle_rows=st.integers(1, 25), epoch=st.integers(0, 3))
@some
def test_with_drop_only_the_remainder_is_left_out(tmp_path_factory, sizes, batch_size, shuffle_rows, epoch):
    keeping = reader(tmp_path_factory.mktemp("data"), sizes, batch_size=batch_size, shuffle_rows=shuffle_rows)
    one = replace(keeping, last_batch="drop")
    full = sum(sizes) // batch_size
    assert as_bytes(one.epoch(epoch)) == as_bytes(keeping.epoch(epoch))[:full]
    assert (one.batches_per_epoch, one.rows_per_epoch) == (full, full * batch_size)


@given(
    sizes=some_sizes,
    batch_size=st.integers(1, 9),
    shuffle_rows=st.integers(1, 25),
    last_batch=st.sampled_from(["keep", "drop"]),
    first=st.integers(0, 45),
)
@some
def test_from_a_later_batch_on_an_epoch_goes_on_as_if_it_had_been_read_to_there(
    tmp_path_factory, sizes, batch_size, shuffle_rows, last_batch, first
):
    settings = {"batch_size": batch_size, "shuffle_rows": shuffle_rows, "last_batch": last_batch}
    one = reader(tmp_path_factory.mktemp("data"), sizes, **settings)
    first = min(first, one.batches_per_epoch)
    assert as_bytes(one.epoch(2, first)) == as_bytes(one.epoch(2))[first:]


def test_a_label_stays_with_its_row(tmp_path):
    batch = concatenate(reader(tmp_path, [5, 8, 3]).epoch(0))
    assert ((batch["ids"][:, 0] - 3) % 2).tolist() == batch["label"].tolist()


def test_windows_before_the_first_batch_are_not_read(tmp_path, monkeypatch):
    one = reader(tmp_path, [4] * 6, shuffle_rows=1)
    read, original = [], RowGroup.table
    monkeypatch.setattr(RowGroup, "table", lambda group, *columns: read.append(group) or original(group, *columns))
    assert len(list(one.epoch(0, first_batch=4))) == 2
    assert len(read) == 2


# The order


def test_the_same_seed_and_epoch_give_the_same_bytes(tmp_path):
    one = reader(tmp_path, [30, 20, 50], shuffle_rows=40)
    again = replace(one, row_groups=open_data(str(tmp_path)))
    assert as_bytes(one.epoch(3)) == as_bytes(again.epoch(3))


def test_other_epochs_and_seeds_have_other_orders(tmp_path):
    one = reader(tmp_path, [30, 20, 50], shuffle_rows=40)
    orders = [flat(replace(one, seed=seed).epoch(epoch)) for seed, epoch in [(1, 0), (1, 1), (2, 0), (2, 1)]]
    assert all(one != other for one, other in itertools.combinations(orders, 2))


def test_the_batch_size_does_not_change_the_order_of_rows(tmp_path):
    small = reader(tmp_path, [5, 9, 4], batch_size=1, shuffle_rows=6)
    assert flat(small.epoch(0)) == flat(replace(small, batch_size=7).epoch(0))


@pytest.mark.parametrize("shuffle_rows", [1, 10**6])
def test_rows_are_shuffled_across_row_groups(tmp_path, shuffle_rows):
    one = reader(tmp_path, [100, 100], batch_size=40, shuffle_rows=shuffle_rows)
    for batch in rows(one.epoch(0)):
        assert {row // 100 for row in batch} == {0, 1}
        assert batch != sorted(batch)


def test_row_groups_come_in_another_order_each_epoch(tmp_path):
    one = reader(tmp_path, [10] * 8, batch_size=20, shuffle_rows=20)
    firsts = {tuple(sorted({row // 10 for row in rows(one.epoch(epoch))[0]})) for epoch in range(6)}
    assert len(firsts) > 1


def test_every_row_may_come_first(tmp_path):
    one = reader(tmp_path, [2, 2], batch_size=4)
    assert {flat(one.epoch(epoch))[0] for epoch in range(60)} == {0, 1, 2, 3}


def test_a_window_holds_no_more_row_groups_than_it_needs(tmp_path):
    one = reader(tmp_path, [10] * 6, batch_size=30, shuffle_rows=25)
    for batch in rows(one.epoch(0)):
        assert len({row // 10 for row in batch}) == 3


# The thread


def test_read_ahead_gives_the_items_in_order():
    assert list(read_ahead(range(20), depth=3)) == list(range(20))
    assert threads() == []


def test_an_exception_of_the_items_is_raised_in_its_place():
    def items():
        yield from (1, 2)
        raise KeyError("broken")

    ahead = read_ahead(items(), depth=5)
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(KeyError, match="broken"):
        next(ahead)
    assert threads() == []


def test_bad_data_met_by_the_thread_is_an_error_that_says_where(tmp_path):
    one = reader(tmp_path, [4, 4, 4])
    (tmp_path / "b.parquet").write_text("no data")
    with pytest.raises(DataError, match=r"b\.parquet, row group 0"):
        list(one.epoch(0))
    assert threads() == []


@pytest.mark.parametrize("taken", [1, 2])
def test_closing_early_ends_the_thread(tmp_path, taken):
    batches = reader(tmp_path, [50] * 4, batch_size=2).epoch(0)
    for _ in range(taken):
        next(batches)
    assert len(threads()) == 1
    batches.close()
    assert threads() == []


def test_forgetting_the_iterator_ends_the_thread():
    ahead = read_ahead(itertools.count(), depth=2)
    next(ahead)
    del ahead
    assert threads() == []


def test_read_ahead_stays_at_most_depth_items_and_the_one_in_hand_ahead():
    made = []
    ahead = read_ahead((made.append(k) or k for k in itertools.count()), depth=3)
    next(ahead)
    time.sleep(0.05)
    assert 1 <= len(made) <= 1 + 3 + 1
    ahead.close()


def test_items_are_made_while_the_consumer_works():
    made = threading.Event()

    def items():
        yield 0
        made.set()
        yield 1

    ahead = read_ahead(items(), depth=1)
    next(ahead)
    assert made.wait(timeout=5)
    assert list(ahead) == [1]


# For Keras


@pytest.mark.parametrize("first_epoch", [0, 3])
def test_each_pass_over_a_tf_dataset_is_the_next_epoch_of_the_reader(tmp_path, first_epoch):
    one = reader(tmp_path, [5, 8, 3], batch_size=5)
    dataset = as_tf_dataset(one, first_epoch)
    for epoch in (first_epoch, first_epoch + 1):
        assert as_bytes(dataset.as_numpy_iterator()) == as_bytes(one.epoch(epoch))


@pytest.mark.medium
def test_a_pass_over_a_tf_dataset_that_stops_early_leaves_no_thread(tmp_path):
    batches = iter(as_tf_dataset(reader(tmp_path, [50] * 4, batch_size=2)))
    next(batches)
    del batches
    gc.collect()
    assert threads() == []


def test_a_tf_dataset_knows_its_length_and_leaves_the_batch_dimension_open(tmp_path):
    one = reader(tmp_path, [5, 8, 3], batch_size=5)
    dataset = as_tf_dataset(one)
    assert len(dataset) == one.batches_per_epoch == 4
    assert {key: (spec.shape.as_list(), spec.dtype.name) for key, spec in dataset.element_spec.items()} == {
        "ids": ([None, 1], "int32"),
        "numerics": ([None, 0], "float32"),
        "label": ([None], "float32"),
        "weight": ([None], "float32"),
    }


# Batches


def test_batches_are_stacked_and_rows_taken_in_order():
    batches = [
        {"ids": np.array([[1], [2]]), "label": np.array([0, 1])},
        {"ids": np.array([[3]]), "label": np.array([1])},
    ]
    whole = concatenate(batches)
    assert batch_rows(whole) == 3
    assert {key: array.tolist() for key, array in take(whole, np.array([2, 0])).items()} == {
        "ids": [[3], [1]],
        "label": [1, 0],
    }
    assert {key: array.tolist() for key, array in take(whole, slice(1, 2)).items()} == {"ids": [[2]], "label": [1]}
