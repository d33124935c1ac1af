"""Batches in file order have every row once, in the order of the files, in every epoch."""

from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import Columns, DataError, Encoder, Features, FileOrderReader, Reader, as_tf_dataset, open_table
from features.batch import batch_rows, concatenate
from features.tables import read_tables
from tests.features.test_reader import as_bytes, flat, reader

ENCODER = Encoder(Features(columns={"row": {"identity": 10**6}}), Columns("y"))


def in_file_order(folder, sizes, batch_size, threads=2):
    """Return a reader of rows 0, 1, 2, ... in row groups of these sizes, spread over two files."""
    return FileOrderReader(reader(folder, sizes).row_groups, ENCODER, batch_size, threads)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.integers(1, 9), st.integers(1, 3), st.integers(0, 2))
def test_rows_come_in_file_order(tmp_path_factory, sizes, batch_size, threads, epoch):
    one = in_file_order(tmp_path_factory.mktemp("data"), sizes, batch_size, threads)
    batches = list(one.epoch(epoch))
    full, remainder = divmod(sum(sizes), batch_size)
    assert flat(batches) == list(range(sum(sizes)))
    assert [batch_rows(batch) for batch in batches] == [batch_size] * full + [remainder] * (remainder > 0)
    assert (one.batches_per_epoch, one.rows_per_epoch) == (len(batches), sum(sizes))


def test_batches_hold_what_the_encoder_makes_of_the_row_groups(tmp_path):
    one = in_file_order(tmp_path, [5, 8, 3], 4)
    encoded = [ENCODER(table, str(group)) for group, table in read_tables(one.row_groups, ENCODER.input_columns)]
    assert as_bytes([concatenate(one.epoch())]) == as_bytes([concatenate(encoded)])


def test_each_pass_over_a_tf_dataset_is_the_same(tmp_path):
    one = in_file_order(tmp_path, [5, 8, 3], 5)
    dataset = as_tf_dataset(one)
    assert len(dataset) == 4
    for _ in range(2):
        assert as_bytes(dataset.as_numpy_iterator()) == as_bytes(one.epoch())


def test_data_without_a_label_and_selected_rows_are_read():
    [group] = open_table(pa.table({"row": range(10)}), ["row"])
    selected = group.select(np.arange(10) % 2 == 1)
    one = FileOrderReader([selected], replace(ENCODER, columns=None), 3)
    batches = list(one.epoch())
    assert flat(batches) == [1, 3, 5, 7, 9]
    assert set(batches[0]) == {"ids", "numerics"}


@pytest.mark.parametrize("kind", [FileOrderReader, partial(Reader, seed=1)])
def test_an_empty_batch_is_an_error(kind):
    with pytest.raises(ValueError, match=r"batch_size must be at least 1\. Received: 0"):
        kind([], ENCODER, batch_size=0)


def test_an_invalid_value_is_an_error():
    row_groups = open_table(pa.table({"row": [1, -1], "y": [0, 1]}), ["row", "y"])
    with pytest.raises(DataError, match=r"Table, row group 0: column 'row' holds the id -1"):
        list(FileOrderReader(row_groups, ENCODER, 2).epoch())
