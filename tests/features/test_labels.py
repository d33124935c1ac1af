"""Labels and weights are checked, and an unusable one is an error that names its location."""

import numpy as np
import pyarrow as pa
import pytest

from features import OTHER_LABELS, Columns, DataError

WHERE = "clicks.parquet, row group 3"


def labels(column):
    return Columns("y").labels(pa.table({"y": column}), WHERE)


def weights(column):
    return Columns("y", "w").weights(pa.table({"w": column}), WHERE)


@pytest.mark.parametrize(
    "type_", [pa.bool_(), pa.int8(), pa.uint8(), pa.int64(), pa.uint64(), pa.float32(), pa.float64()], ids=str
)
def test_labels_of_every_type_become_float32(type_):
    found = labels(pa.array([0, 1, 1]).cast(type_))
    assert found.dtype == np.float32
    assert found.tolist() == [0, 1, 1]


def test_labels_in_chunks_are_joined():
    assert labels(pa.chunked_array([[0], [1, 1]])).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("column", "value", "count"),
    [
        ([0, 1, 2, -1], "2", 2),
        ([0, None, 1], "null", 1),
        ([True, None, None], "null", 2),
        ([0.0, 0.5], "0.5", 1),
        ([1.0, float("nan")], "nan", 1),
        ([1.0, float("inf")], "inf", 1),
    ],
    ids=str,
)
def test_a_label_other_than_0_and_1_is_an_error_that_says_where(column, value, count):
    with pytest.raises(DataError) as error:
        labels(pa.array(column))
    for part in (WHERE, "'y'", f"is {value} ({count} such rows)", "0 or 1"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ([1, 2, 1, 1], "'y' has the values 1 and 2, but"),
        ([-1, 1, None], "'y' has the values -1 and 1, but"),
        ([2.0, 1.0, float("nan")], "'y' has the values 1 and 2, but"),
        ([1, 5, 3], "'y' is 5 (2 such rows), but"),
        ([0.1, 0.7, 0.0], "'y' is 0.1 (2 such rows), but"),
        ([0] * 9 + [2], "'y' is 2 (1 such rows), but"),
    ],
    ids=str,
)
def test_labels_with_other_values_are_to_be_mapped_unless_they_are_few(column, found):
    with pytest.raises(DataError) as error:
        labels(pa.array(column))
    advice = "Correct the rows, or set `data.bad_rows`." if len(column) == 10 else OTHER_LABELS
    assert str(error.value).startswith(f"{WHERE}: {found}")
    assert str(error.value).endswith(f"a label must be 0 or 1. {advice}")


@pytest.mark.parametrize("type_", [pa.string(), pa.null(), pa.timestamp("s"), pa.list_(pa.int64())], ids=str)
def test_a_label_of_a_wrong_type_is_an_error(type_):
    with pytest.raises(DataError, match=f"{WHERE}: label 'y' has type .*, expected 0 and 1, or booleans"):
        labels(pa.nulls(2, type_))


def test_without_a_weight_column_every_row_weighs_1():
    found = Columns("y").weights(pa.table({"y": [0, 1, 1]}), WHERE)
    assert found.dtype == np.float32
    assert found.tolist() == [1, 1, 1]


@pytest.mark.parametrize("type_", [pa.int8(), pa.uint64(), pa.float32(), pa.float64()], ids=str)
def test_weights_of_every_type_become_float32(type_):
    found = weights(pa.array([0, 1, 3]).cast(type_))
    assert found.dtype == np.float32
    assert found.tolist() == [0, 1, 3]


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.5, "-0.5"), (None, "null"), (float("nan"), "nan"), (float("inf"), "inf"), (1e300, r"1e\+300")],
    ids=str,
)
def test_a_weight_that_float32_cannot_hold_or_below_0_is_an_error_that_says_where(value, text):
    with pytest.raises(DataError, match=f"{WHERE}: 'w' is {text} "):
        weights(pa.array([1.0, value]))


@pytest.mark.parametrize("type_", [pa.string(), pa.null(), pa.bool_()], ids=str)
def test_a_weight_of_a_wrong_type_is_an_error(type_):
    with pytest.raises(DataError, match=f"{WHERE}: weight 'w' has type {type_}, expected numbers"):
        weights(pa.nulls(2, type_))


def test_names_are_the_columns_to_read():
    assert Columns("y").names == ["y"]
    assert Columns("y", "w").names == ["y", "w"]
