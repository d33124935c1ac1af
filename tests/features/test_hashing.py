"""Hashes of texts, single and crossed, equal TensorFlow's."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from features.hashing import cross, fingerprints

few = settings(max_examples=60, deadline=None, derandomize=True)

words = st.text(max_size=6)
numbers = st.integers(-(2**63), 2**63 - 1)
buckets = st.integers(1, 2**31 - 4) | st.integers(1, 5)


@st.composite
def columns(draw, parts=(2, 4), rows=(1, 6), nulls=False):
    """Draw columns of equal length, each of texts or of integers."""
    length = draw(st.integers(*rows))

    def column(values, type_):
        one = st.none() | values if nulls else values
        return pa.array(draw(st.lists(one, min_size=length, max_size=length)), type_)

    kinds = [(words, pa.large_string()), (numbers, pa.int64()), (st.integers(0, 2**64 - 1), pa.uint64())]
    return [column(*draw(st.sampled_from(kinds))) for _ in range(draw(st.integers(*parts)))]


def texts(column):
    return [str(value).encode() for value in column.to_pylist()]


def cross_hashed(parts, buckets):
    """Return the hashes that TensorFlow computes from the texts."""
    crossed = tf.sparse.cross_hashed([tf.constant([[text] for text in texts(part)]) for part in parts], buckets)
    return tf.sparse.to_dense(crossed).numpy()[:, 0].tolist()


def without_nulls(parts):
    """Return the rows that have a value in every part."""
    table = pa.table({str(place): part for place, part in enumerate(parts)}).drop_null()
    return [column.combine_chunks() for column in table.columns]


@given(parts=columns(), buckets=buckets)
@few
def test_a_cross_is_tensorflows_of_the_texts(parts, buckets):
    assert cross(parts, buckets).to_pylist() == cross_hashed(parts, buckets)


@pytest.mark.parametrize(
    "values",
    [
        ["", "", "a"],
        ["é", "e\u0301", "\u00e9"],
        ["日本語", "🙂", "a\x00b"],
        ["x" * 15, "x" * 33, "x" * 1000],  # FarmHash has separate code paths for these lengths
    ],
    ids=["empty", "accents", "beyond ascii", "long"],
)
def test_any_text_crosses_as_its_bytes(values):
    parts = [pa.array(values, pa.large_string()), pa.array(values[::-1], pa.large_string())]

    assert cross(parts, 2**31 - 4).to_pylist() == cross_hashed(parts, 2**31 - 4)


def test_with_one_bucket_every_value_is_0():
    assert cross([pa.array(["a", "b"]), pa.array([1, 2])], 1).to_pylist() == [0, 0]


@given(parts=columns(nulls=True), buckets=buckets)
@few
def test_a_cross_is_null_where_a_part_is_and_only_there(parts, buckets):
    found = cross(parts, buckets).to_pylist()

    rows = list(zip(*(part.to_pylist() for part in parts), strict=True))
    assert [value is None for value in found] == [None in row for row in rows]


@given(parts=columns(nulls=True), buckets=buckets)
@few
def test_a_null_changes_no_other_row(parts, buckets):
    whole = without_nulls(parts)

    found = [value for value in cross(parts, buckets).to_pylist() if value is not None]

    assert found == (cross_hashed(whole, buckets) if len(whole[0]) else [])


@pytest.mark.parametrize("part", [pa.nulls(2, pa.large_string()), pa.nulls(2, pa.int64())], ids=["text", "integers"])
def test_a_column_of_nulls_crosses_to_nulls(part):
    assert cross([pa.array(["a", "b"]), part], 10).to_pylist() == [None, None]


@given(parts=columns(nulls=True, rows=(2, 8)), buckets=buckets, data=st.data())
@few
def test_rows_may_come_in_any_grouping(parts, buckets, data):
    cut = data.draw(st.integers(0, len(parts[0])))

    apart = [cross([part[:cut] for part in parts], buckets), cross([part[cut:] for part in parts], buckets)]

    assert pa.concat_arrays(apart).to_pylist() == cross(parts, buckets).to_pylist()


def test_the_order_of_the_parts_matters():
    user, item = pa.array(range(200)), pa.array(range(200, 400))

    one, other = (np.array(cross(parts, 2**31 - 4)) for parts in ([user, item], [item, user]))

    assert (one != other).all()


def test_text_and_the_integer_it_spells_cross_alike():
    other = pa.array(["a", "b", "c"])

    assert cross([pa.array([1, -2, 30]), other], 999) == cross([pa.array(["1", "-2", "30"]), other], 999)


def test_how_the_text_is_divided_among_the_parts_matters():
    found = [cross([pa.array([a]), pa.array([b])], 2**31 - 4)[0].as_py() for a, b in [("ab", "c"), ("a", "bc")]]

    assert found[0] != found[1]


def test_the_values_fill_the_buckets_evenly():
    rows = 100_000
    parts = [pa.array(np.arange(rows) % 317), pa.array(np.arange(rows) // 317)]

    counts = np.bincount(np.array(cross(parts, 100)), minlength=100)

    assert ((counts - rows / 100) ** 2 / (rows / 100)).sum() < 148  # the 0.999 quantile of chi-square with 99


def test_a_cross_of_no_rows_has_none():
    empty = cross([pa.array([], pa.int64()), pa.array([], pa.large_string())], 10)

    assert (len(empty), empty.type) == (0, pa.int64())


@given(values=st.lists(words, min_size=1, max_size=8))
@few
def test_a_fingerprint_is_the_hash_that_tensorflow_takes_modulo_the_buckets(values):
    column = pa.array(values, pa.large_string())

    for buckets in (7, 2**31 - 4, 2**62):
        expected = tf.strings.to_hash_bucket_fast(texts(column), buckets).numpy().tolist()
        assert (fingerprints(column) % np.uint64(buckets)).tolist() == expected
