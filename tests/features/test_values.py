"""Arrow columns of every accepted type become the values of a feature."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import DataError, Features, decoded

WHERE = "clicks.parquet, row group 3"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def values(column, **settings):
    feature = Features(columns={"x": settings}).columns["x"]
    return feature.values(pa.table({"x": column}), [], WHERE)


def lists(column, **settings):
    found = values(column, type="sequence", **settings)
    ends = np.cumsum(found.lengths)
    assert ends[-1:].sum() == len(found.flat)
    return [
        found.flat[end - length : end].to_pylist() for end, length in zip(ends.tolist(), found.lengths, strict=True)
    ]


# Categoricals


@pytest.mark.parametrize(
    "type_", [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32()], ids=str
)
def test_integers_of_every_width_become_int64(type_):
    found = values(pa.array([1, None, 7], type_))
    assert found.type == pa.int64()
    assert found.to_pylist() == [1, None, 7]


@pytest.mark.parametrize(
    ("type_", "numbers"),
    [(pa.int64(), [2**63 - 1, None, -(2**63), 2**53 + 1]), (pa.uint64(), [2**64 - 1, None, 2**63, 2**53 + 1, 0])],
    ids=["int64", "uint64"],
)
def test_long_integers_keep_all_bits_beside_nulls(type_, numbers):
    found = values(pa.array(numbers, type_))
    assert found.type == type_
    assert found.to_pylist() == numbers


@pytest.mark.parametrize(
    "type_",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.uint32(), pa.large_string()),
    ],
    ids=str,
)
def test_strings_of_every_type_become_large_string(type_):
    found = decoded(values(pa.array(["b", None, "", "é", "b"], type_)))
    assert found.type == pa.large_string()
    assert found.to_pylist() == ["b", None, "", "é", "b"]


@given(st.lists(st.sampled_from(["a", "b", "?", "", None]), min_size=1))
def test_texts_of_a_dictionary_are_the_texts_themselves(texts):
    column = pa.array(texts, pa.string())
    found = values(column.dictionary_encode(), missing=["?"])
    assert found.dictionary.null_count == 0
    assert decoded(found).equals(decoded(values(column, missing=["?"])))


def test_booleans_become_the_words_true_and_false():
    assert values(pa.array([True, None, False])).to_pylist() == ["true", None, "false"]


@pytest.mark.parametrize("type_", [pa.int16(), pa.int64(), pa.uint64()], ids=str)
def test_a_dictionary_of_integers_holds_integers(type_):
    codes = pa.array([1, None, 0, 1], pa.int8())
    found = values(pa.DictionaryArray.from_arrays(codes, pa.array([5, 9], type_)))
    assert pa.types.is_integer(found.type)
    assert found.to_pylist() == [9, None, 5, 9]


def test_a_null_among_the_values_of_a_dictionary_is_null():
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), pa.array(["a", None]))
    assert values(column).to_pylist() == ["a", None, "a"]


def test_chunks_with_dictionaries_of_their_own_are_joined_by_value():
    chunks = [pa.array(words).dictionary_encode() for words in (["a", "b"], ["b", "c"])]
    assert values(pa.chunked_array(chunks)).to_pylist() == ["a", "b", "b", "c"]


@pytest.mark.parametrize("settings", [{}, {"type": "numeric"}, {"part": "hour"}], ids=str)
def test_a_column_of_type_null_is_all_nulls(settings):
    assert values(pa.nulls(3), **settings).to_pylist() == [None] * 3


@pytest.mark.parametrize(
    ("column", "missing", "expected"),
    [
        (["", "a", "?"], ["", "?"], [None, "a", None]),
        (pa.array(["?", "a", None]).dictionary_encode(), ["?"], [None, "a", None]),
        ([0, -1, 5], [-1, 0], [None, None, 5]),
        (pa.array([7, 8], pa.uint64()), [7], [None, 8]),
    ],
    ids=["strings", "dictionary", "integers", "uint64"],
)
def test_missing_values_stand_for_null(column, missing, expected):
    assert values(pa.array(column), missing=missing).to_pylist() == expected


@pytest.mark.parametrize(
    ("column", "missing"),
    [
        ([1, 0], ["1", ""]),
        (["1", "0"], [1, 0]),
        (pa.array([1, 0], pa.uint64()), [-1]),
        (pa.array([1, 0], pa.int64()), [2**63]),
    ],
    ids=["text for integers", "integers for text", "negative for uint64", "too long for int64"],
)
def test_missing_values_that_the_column_cannot_hold_change_nothing(column, missing):
    column = pa.array(column)
    assert values(column, missing=missing).to_pylist() == column.to_pylist()


# Numerics


@pytest.mark.parametrize(
    "type_",
    [
        *[pa.int8(), pa.int16(), pa.int32(), pa.int64()],
        *[pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()],
        *[pa.float16(), pa.float32(), pa.float64()],
    ],
    ids=str,
)
def test_numbers_of_every_type_become_float64(type_):
    found = values(pa.array([1, None, 7], pa.int8()).cast(type_), type="numeric")
    assert found.type == pa.float64()
    assert found.to_pylist() == [1.0, None, 7.0]


@pytest.mark.parametrize("type_", [pa.decimal128(10, 2), pa.decimal256(50, 2)], ids=str)
def test_decimals_are_numbers(type_):
    found = values(pa.array([Decimal("1.25"), None, Decimal("-3.50")], type_), type="numeric")
    assert found.to_pylist() == [1.25, None, -3.5]


def test_booleans_are_the_numbers_0_and_1():
    assert values(pa.array([True, None, False]), type="numeric").to_pylist() == [1.0, None, 0.0]


@pytest.mark.parametrize("type_", [pa.int64(), pa.uint64()], ids=str)
def test_an_integer_too_long_for_a_float_becomes_the_nearest_one(type_):
    assert values(pa.array([2**53 + 1, None], type_), type="numeric").to_pylist() == [float(2**53 + 1), None]


@pytest.mark.parametrize("type_", [pa.float32(), pa.float64()], ids=str)
def test_nan_is_null(type_):
    assert values(pa.array([1.5, float("nan"), None], type_), type="numeric").to_pylist() == [1.5, None, None]


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
@pytest.mark.parametrize("type_", [pa.float32(), pa.float64()], ids=str)
def test_an_infinite_number_is_an_error_that_says_where(value, type_):
    with pytest.raises(DataError) as error:
        values(pa.array([1.0, None, value], type_), type="numeric")
    for part in (WHERE, "'x'", str(value), "1 such row"):
        assert part in str(error.value)


# Sequences

HISTORY = [[1, 2, 3], None, [], [4, None], [5]]


@pytest.mark.parametrize(
    "type_",
    [pa.list_(pa.int64()), pa.large_list(pa.int64()), pa.list_(pa.int8()), pa.list_(pa.field("element", pa.int64()))],
    ids=str,
)
def test_lists_keep_their_nulls_and_a_null_list_is_empty(type_):
    assert lists(pa.array(HISTORY, type_)) == [[1, 2, 3], [], [], [4, None], [5]]


def test_lists_of_a_fixed_size_may_be_null_and_hold_nulls():
    column = pa.array([[1, 2], None, [3, None], [None, 4]], pa.list_(pa.int64(), 2))
    assert lists(column) == [[1, 2], [], [3, None], [None, 4]]


@pytest.mark.parametrize("type_", [pa.list_(pa.int64()), pa.large_list(pa.int64()), pa.list_(pa.int64(), 2)], ids=str)
@pytest.mark.parametrize("max_length", [1, 50])
def test_a_slice_of_lists_is_the_lists_of_that_slice(type_, max_length):
    column = pa.array([[1, 2], [3, 4], None, [5, 6], [7, 8]], type_).slice(1, 3)
    assert lists(column, max_length=max_length) == [[3, 4][-max_length:], [], [5, 6][-max_length:]]


def test_what_lies_under_a_null_list_is_no_value():
    column = pa.ListArray.from_arrays(pa.array([0, 2, 3]), pa.array([1, 2, 3]), mask=pa.array([True, False]))
    assert lists(column) == [[], [3]]


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        (pa.string(), ["a", None, "b"]),
        (pa.large_string(), ["a", None, "b"]),
        (pa.dictionary(pa.int8(), pa.string()), ["a", None, "b"]),
        (pa.uint64(), [2**64 - 1, None, 0]),
    ],
    ids=str,
)
def test_lists_hold_what_a_categorical_may_hold(type_, words):
    column = pa.ListArray.from_arrays(pa.array([0, 2, 3]), pa.array(words, type_))
    assert lists(column) == [words[:2], words[2:]]


def test_lists_of_booleans_hold_words():
    assert lists(pa.array([[True], [None, False]])) == [["true"], [None, "false"]]


def test_a_column_of_type_null_is_empty_lists():
    assert lists(pa.nulls(2)) == [[], []]


def test_lists_that_are_all_empty_need_no_type_of_value():
    assert lists(pa.array([[], None, []], pa.list_(pa.null()))) == [[], [], []]


def test_missing_values_in_lists_are_null():
    assert lists(pa.array([["a", "?"], ["?"]]), missing=["?"]) == [["a", None], [None]]


@given(
    rows=st.lists(st.none() | st.lists(st.none() | st.integers(0, 9), max_size=6), max_size=8),
    max_length=st.integers(1, 7),
    start=st.integers(0, 8),
)
def test_a_long_list_keeps_its_last_values(rows, max_length, start):
    column = pa.array(rows, pa.list_(pa.int64())).slice(start)
    assert lists(column, max_length=max_length) == [(row or [])[-max_length:] for row in rows[start:]]


# Date parts

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]
PARTS = {"hour": lambda t: t.hour, "weekday": lambda t: t.weekday(), "day": lambda t: t.day - 1}

instants = st.integers(-(10**9), 2 * 10**9)  # seconds: 1938 to 2033; Arrow has no daylight saving time beyond 2037


def local(seconds, zone):
    return (EPOCH + timedelta(seconds=seconds)).astimezone(ZoneInfo(zone))


@given(
    seconds=st.lists(st.none() | instants, max_size=6),
    unit=st.sampled_from(sorted(PER_SECOND)),
    part=st.sampled_from(sorted(PARTS)),
    zone=st.sampled_from(ZONES),
    stored=st.sampled_from(["naive", "integer", *ZONES, "+02:00"]),
)
def test_a_part_is_read_off_the_clock_of_its_zone(seconds, unit, part, zone, stored):
    counts = pa.array([None if s is None else s * PER_SECOND[unit] for s in seconds], pa.int64())
    column = {"naive": counts.cast(pa.timestamp(unit)), "integer": counts}.get(stored)
    if column is None:
        column = counts.cast(pa.timestamp(unit, tz=stored))
    settings = {"time_unit": unit} if stored == "integer" else {}

    found = values(column, part=part, time_zone=zone, **settings)

    assert found.type == pa.int64()
    assert found.to_pylist() == [None if s is None else PARTS[part](local(s, zone)) for s in seconds]


@pytest.mark.parametrize(
    ("utc", "hour"),
    [("2026-03-29 00:59:59", 1), ("2026-03-29 01:00:00", 3), ("2026-10-25 00:30:00", 2), ("2026-10-25 01:30:00", 2)],
)
def test_hours_follow_daylight_saving_time(utc, hour):
    column = pa.array([datetime.fromisoformat(utc)])
    assert values(column, part="hour", time_zone="Europe/Berlin").to_pylist() == [hour]


@pytest.mark.parametrize("type_", [pa.int32(), pa.uint32(), pa.uint64()], ids=str)
def test_integers_of_other_widths_are_times_too(type_):
    assert values(pa.array([3 * 3600, None], type_), part="hour", time_unit="s").to_pylist() == [3, None]


@pytest.mark.parametrize("type_", [pa.date32(), pa.date64()], ids=str)
@pytest.mark.parametrize(("part", "expected"), [("hour", 0), ("weekday", 3), ("day", 0)])
def test_a_date_is_its_midnight(type_, part, expected):
    assert values(pa.array([date(2026, 1, 1), None], type_), part=part).to_pylist() == [expected, None]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize(("part", "expected"), [("weekday", 3), ("day", 0)])
def test_a_date_is_the_same_day_in_every_zone(zone, part, expected):
    assert values(pa.array([date(2026, 1, 1)]), part=part, time_zone=zone).to_pylist() == [expected]


def test_a_missing_integer_time_is_null():
    column = pa.array([0, 3600], pa.int64())
    assert values(column, part="hour", time_unit="s", missing=[0]).to_pylist() == [None, 1]


def test_an_integer_that_is_no_time_is_an_error_that_says_where():
    with pytest.raises(DataError, match=f"{WHERE}.*'x'"):
        values(pa.array([2**64 - 1], pa.uint64()), part="hour", time_unit="s")


# Wrong types

CATEGORIES = "integers, strings or booleans"
LISTS = "lists of integers, strings or booleans"
TIMES = "timestamps, or integers with `time_unit`"


@pytest.mark.parametrize(
    ("settings", "wanted", "type_"),
    [
        *[
            ({}, CATEGORIES, type_)
            for type_ in (
                pa.float64(),
                pa.decimal128(5, 2),
                pa.timestamp("ms"),
                pa.date32(),
                pa.binary(),
                pa.list_(pa.int64()),
                pa.struct({"a": pa.int64()}),
                pa.dictionary(pa.int8(), pa.float64()),
            )
        ],
        *[
            ({"type": "numeric"}, "numbers", type_)
            for type_ in (
                pa.string(),
                pa.timestamp("ms"),
                pa.date32(),
                pa.list_(pa.float64()),
                pa.dictionary(pa.int8(), pa.string()),
            )
        ],
        *[
            ({"type": "sequence"}, LISTS, type_)
            for type_ in (pa.int64(), pa.string(), pa.list_(pa.float64()), pa.list_(pa.list_(pa.int64())))
        ],
        *[
            ({"part": "hour"}, TIMES, type_)
            for type_ in (pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.time32("s"))
        ],
        ({"part": "hour", "time_unit": "s"}, TIMES, pa.float64()),
    ],
    ids=str,
)
def test_a_wrong_type_is_an_error_that_says_what_is_needed(settings, wanted, type_):
    with pytest.raises(DataError) as error:
        values(pa.nulls(1, type_), **settings)
    for part in (WHERE, "'x'", str(type_), wanted):
        assert part in str(error.value)


def test_a_number_as_categorical_is_pointed_to_numeric():
    with pytest.raises(DataError, match="type: numeric"):
        values(pa.array([0.5]))
