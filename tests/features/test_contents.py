"""A column whose values changed after the first read is noticed; equal values hash equally, however stored."""

import decimal
import struct
from datetime import date, datetime
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from features import DataError, open_data, read_tables
from features.contents import Contents, hash_column

VALUES = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint8(): st.integers(0, 255),
    pa.float64(): st.floats(allow_nan=True),
    pa.float16(): st.floats(width=16).map(np.float16),
    pa.bool_(): st.booleans(),
    pa.large_string(): st.text(max_size=5),
    pa.large_binary(): st.binary(max_size=5),
    pa.binary(3): st.binary(min_size=3, max_size=3),
    pa.timestamp("us"): st.datetimes(datetime(1, 1, 1), datetime(9999, 1, 1)),
    pa.date32(): st.dates(date(1, 1, 1), date(9999, 1, 1)),
    pa.decimal128(9, 2): st.integers(-(10**8), 10**8).map(lambda value: decimal.Decimal(value) / 100),
    pa.large_list(pa.int64()): st.lists(st.none() | st.integers(0, 9), max_size=4),
    pa.large_list(pa.large_list(pa.large_string())): st.lists(st.lists(st.text(max_size=2), max_size=2), max_size=3),
    pa.struct([("a", pa.int64()), ("b", pa.large_string())]): st.fixed_dictionaries(
        {"a": st.integers(0, 9), "b": st.none() | st.text(max_size=2)}
    ),
    pa.large_list(pa.struct([("a", pa.bool_())])): st.lists(
        st.none() | st.fixed_dictionaries({"a": st.none() | st.booleans()}), max_size=3
    ),
    pa.map_(pa.large_string(), pa.int64()): st.lists(
        st.tuples(st.text(max_size=2), st.none() | st.integers(0, 9)), max_size=3
    ),
    pa.null(): st.none(),
}
a_column = st.sampled_from(list(VALUES)).flatmap(
    lambda type_: st.tuples(st.just(type_), st.lists(st.none() | VALUES[type_], min_size=1, max_size=12))
)
some = settings(max_examples=300, deadline=None)


def hashed(values, type_):
    return hash_column(pa.chunked_array([pa.array(values, type_)]))


@given(column=a_column, cuts=st.lists(st.integers(0, 12), max_size=3), before=st.integers(0, 5))
@some
def test_chunks_and_what_lies_around_them_do_not_matter(column, cuts, before):
    type_, values = column
    whole = hashed(values, type_)
    longer = pa.array(values[:before] + values + values[:2], type_).slice(len(values[:before]), len(values))
    ends = sorted({0, len(values), *(cut for cut in cuts if cut < len(values))})
    chunks = [longer.slice(first, end - first) for first, end in pairwise(ends)]
    assert hash_column(pa.chunked_array(chunks, type_)) == whole


@given(column=a_column, place=st.integers(0, 11), data=st.data())
@some
def test_another_value_is_another_hash(column, place, data):
    type_, values = column
    place %= len(values)
    other = data.draw(st.none() | VALUES[type_])
    before, after = (pa.array(some, type_) for some in (values, [*values[:place], other, *values[place + 1 :]]))
    assume(before.null_count != after.null_count or str(before) != str(after) or before.equals(after))  # not both NaN
    assume(not (pa.types.is_floating(type_) and other == values[place] == 0))  # 0 and -0
    assert (hashed(before, type_) == hashed(after, type_)) == before.equals(after)


def test_rows_that_change_places_are_another_hash():
    assert hashed([1, 2], pa.int64()) != hashed([2, 1], pa.int64())
    assert hashed([None, 0], pa.int64()) != hashed([0, None], pa.int64())
    assert hashed(["ab", ""], pa.large_string()) != hashed(["a", "b"], pa.large_string())
    assert hashed([[1], [2, 3]], pa.large_list(pa.int8())) != hashed([[1, 2], [3]], pa.large_list(pa.int8()))
    assert hashed([[], None], pa.large_list(pa.int8())) != hashed([None, []], pa.large_list(pa.int8()))


def test_what_lies_behind_a_null_does_not_matter():
    valid = pa.py_buffer(b"\x05")
    arrays = [
        pa.Array.from_buffers(pa.int32(), 3, [valid, pa.py_buffer(np.array([1, hidden, 3], np.int32))])
        for hidden in (0, 77)
    ]
    assert hash_column(pa.chunked_array(arrays[:1])) == hash_column(pa.chunked_array(arrays[1:]))
    texts = []
    for hidden, end in ((b"", 1), (b"xy", 3)):
        offsets, data = pa.py_buffer(np.array([0, 1, end, end + 1])), pa.py_buffer(b"a" + hidden + b"c")
        texts.append(pa.Array.from_buffers(pa.large_string(), 3, [valid, offsets, data]))
    assert hash_column(pa.chunked_array(texts[:1])) == hash_column(pa.chunked_array(texts[1:]))


def test_known_hashes():
    """A run resumed with another version of the project or of pyarrow must compute the same hashes."""
    three, null = struct.pack("<q", 3), {"second": b"\x40", "third": b"\x20"}
    numbers = three + null["second"] + struct.pack("<qqq", 1, 0, 3)
    assert hashed([1, None, 3], pa.int64()) == xxhash.xxh3_64_intdigest(numbers)
    texts = three + null["second"] + struct.pack("<qqqq", 0, 1, 1, 2) + b"ac"
    assert hashed(["a", None, "c"], pa.large_string()) == xxhash.xxh3_64_intdigest(texts)
    lists = three + null["third"] + struct.pack("<qqq", 2, 0, 0) + struct.pack("<qff", 2, 1.5, -2)
    assert hashed([[1.5, -2], [], None], pa.large_list(pa.float32())) == xxhash.xxh3_64_intdigest(lists)


@pytest.fixture
def groups(tmp_path):
    """Return two row groups of x = 0, 1, ... 9."""
    pq.write_table(pa.table({"x": range(10), "y": range(10)}), tmp_path / "a.parquet", row_group_size=5)
    return open_data(str(tmp_path / "a.parquet"))


def test_each_column_is_hashed_once_per_process(groups, monkeypatch):
    hashes = []
    monkeypatch.setattr("features.contents.hash_column", lambda column: hashes.append(column) or 1)
    for columns in (["x"], ["x", "y"], ["y"]):
        list(read_tables(groups, columns))
    assert len(hashes) == 4


def test_only_what_was_read_is_known(groups):
    contents = groups[0].file.contents
    groups[1].read(["x"])
    assert list(contents.known()) == ["x"]
    assert contents.known()["x"].tolist() == [0, hashed([5, 6, 7, 8, 9], pa.int64())]
    assert [contents.is_known("x", piece) for piece in contents.pieces] == [False, True]
    assert groups[1].is_read(["x"])
    assert not groups[1].is_read(["x", "y"])


def test_other_values_than_expected_are_an_error_before_and_after_reading(groups):
    contents = groups[0].file.contents
    contents.expect("x", (0, 0), 17, "a.parquet")
    with pytest.raises(
        DataError, match=r"a.parquet, row group 0: column 'x' has different values than when it was first"
    ):
        groups[0].read(["x"])
    groups[1].read(["x"])
    with pytest.raises(DataError, match=r"b.parquet, row group 1: column 'x' has different values"):
        contents.expect("x", (1, 0), 17, "b.parquet")
    contents.expect("x", (2, 0), 17, "a.parquet")  # its footer lists no such row group


def test_selected_rows_and_casts_do_not_matter(groups):
    part = groups[0].select(np.array([True, False, False, False, True]))
    part.read(["x"])
    assert groups[0].file.contents.known()["x"][0] == hashed([0, 1, 2, 3, 4], pa.int64())


def test_contents_of_a_file_begin_empty():
    assert Contents([(0, 0)]).known() == {}
