"""Counts of raw columns: values against NumPy, and states that merge."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from ctr.starter.column_counts import ColumnCounts, values_to_count
from tests.ctr.merging import check_merges, divisions


def counted(values, type_=None):
    counts = ColumnCounts()
    counts.add(values_to_count(pa.chunked_array([pa.array(values, type_)]), "column"))
    return counts


def texts(random, rows):
    return random.choice(["a", "", "?", "1", "2026-01-31", "2.5", None], rows).tolist(), pa.string()


def integers(random, rows):
    return [None if k == 3 else int(k) for k in random.integers(-5, 9, rows)], pa.int32()


def floats(random, rows):
    return random.choice([1.0, 0.0, np.nan, np.inf, 2.5], rows), pa.float64()


def lists(random, rows):
    return [random.integers(0, 5, k).tolist() for k in random.integers(0, 4, rows)], pa.list_(pa.int64())


def times(random, rows):
    return random.integers(0, 10, rows), pa.timestamp("ms")


@pytest.mark.parametrize("values", [texts, integers, floats, lists, times])
@pytest.mark.medium
@settings(max_examples=40, deadline=None)
@given(division=divisions())
def test_counts_merge(values, division):
    def add(counts, chunk):
        counts.add(chunk)
        return counts

    random = np.random.default_rng(division.seed)
    chunks = [values_to_count(pa.chunked_array([pa.array(*values(random, rows))]), "x") for rows in division.rows]
    check_merges(ColumnCounts, add, chunks, division)


def test_placeholders_of_text_are_nulls():
    counts = counted(["a", "", None, "NA", "none", "a"])
    assert (counts.profile.rows, counts.profile.nulls, counts.profile.different) == (6, 3, 2)
    assert counts.placeholders == {"", "NA"}


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        (["01", "2", "?"], {"digits", "numbers"}),
        (["1.5", "-2e3", ".5"], {"numbers"}),
        (["2026-01-31", "1999-12-01"], {"days"}),
        (["2026-01-31T10:00:00Z", "2026-01-31 10:00:00.123456+02:00"], {"times"}),
        (["2026-01-31", "31.01.2026"], set()),
        (["1", "x"], set()),
    ],
)
def test_formats_of_text_are_those_of_every_value(values, formats):
    assert counted(values).formats == formats


def test_a_dictionary_counts_only_its_used_words():
    column = pa.DictionaryArray.from_arrays(pa.array([0, 0, None]), pa.array(["1", "?", "x"]))
    counts = counted(column)
    assert counts.formats >= {"digits"}
    assert (counts.placeholders, counts.ones, counts.profile.nulls) == (set(), 2, 1)


@pytest.mark.parametrize(
    ("values", "ones"), [([0, 1, 1, None], 2), ([True, False, True], 2), ([1.0, np.nan, 0.0], 1), (["1", "0"], 1)]
)
def test_ones_are_counted_in_every_type(values, ones):
    assert counted(values).ones == ones


def test_numbers_tell_fractions_and_what_float32_cannot_hold():
    counts = counted([1.0, np.inf, 1e39, np.nan, 2.0])
    assert (counts.too_large, counts.has_fractions, counts.profile.nulls) == (2, False, 1)
    assert counted([1.0, 2.5]).has_fractions


def test_rows_in_the_order_of_a_time_are_sorted():
    day = datetime.datetime(2026, 1, 1)
    ordered = [day + datetime.timedelta(hours=k) for k in range(300)]
    assert counted(ordered).is_sorted
    assert counted([*ordered[:100], ordered[0], *ordered[100:]]).is_sorted
    assert not counted(ordered[::-1]).is_sorted
    assert not counted([day] * 300).is_sorted
    assert not counted(list(np.random.default_rng(0).permutation(300))).is_sorted


@pytest.mark.parametrize("column", [pa.array([{"a": 1}]), pa.array([[[1]]]), pa.array([datetime.time(1)])])
def test_values_that_no_feature_reads_are_not_counted(column):
    assert values_to_count(pa.chunked_array([column]), "x") is None


def test_bytes_are_counted_as_hexadecimal_digits():
    assert counted([b"\x00\xff", b"a"]).profile.high == "61"
