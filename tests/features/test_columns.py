"""Columns of several files: types that mean the same are accepted, others are rejected."""

import datetime
import decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features import DataError, check_agreement, open_data, unified_schema


@pytest.fixture
def files(tmp_path):
    """Write each array as column `x` of a file of its own and return the row groups."""

    def write(*arrays):
        for k, array in enumerate(arrays):
            pq.write_table(pa.table({"x": array}), tmp_path / f"{k}.parquet")
        return open_data(str(tmp_path))

    return write


INTEGERS = pa.array([1, 2], pa.int64())
TEXT = pa.array(["1", "2"])
MORNING = datetime.datetime(2026, 1, 1, 6)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (INTEGERS, pa.array([3], pa.uint8())),
        (TEXT, pa.array(["3"], pa.large_string())),
        (TEXT, pa.array(["3"]).dictionary_encode()),
        (INTEGERS, pa.array([3], pa.int16()).dictionary_encode()),
        (pa.array([[1]]), pa.array([[2]], pa.large_list(pa.int8()))),
        (pa.array([MORNING], pa.timestamp("us")), pa.array([MORNING], pa.timestamp("ms", "UTC"))),
        (INTEGERS, pa.nulls(2)),
        (pa.array([[1]]), pa.array([[]], pa.list_(pa.null()))),
        (pa.nulls(2), INTEGERS),
    ],
    ids=lambda array: str(array.type),
)
def test_width_and_encoding_do_not_matter(files, one, other):
    check_agreement(files(one, other), ["x"], numbers=[])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (INTEGERS, TEXT),
        (INTEGERS, pa.array([1.0])),
        (INTEGERS, pa.array([True])),
        (INTEGERS, pa.array([3], pa.uint64())),
        (TEXT, pa.array([["1"]])),
        (pa.array([[1]]), pa.array([["1"]])),
        (pa.array([MORNING], pa.timestamp("us")), pa.array([MORNING.date()])),
    ],
    ids=lambda array: str(array.type),
)
def test_another_meaning_is_an_error_that_names_both_files(files, one, other):
    row_groups = files(one, one, other)
    with pytest.raises(DataError) as error:
        check_agreement(row_groups, ["x"], numbers=[])
    message = str(error.value)
    stored = [str(array.type).replace("item", "element") for array in (other, one)]  # Parquet's name for it
    assert "2.parquet: column 'x' is {}, but {} in ".format(*stored) in message
    assert "0.parquet" in message


@pytest.mark.parametrize("other", [pa.array([1.5]), pa.array([True]), pa.array([decimal.Decimal("1.5")])], ids=str)
def test_where_any_number_will_do_numbers_agree(files, other):
    check_agreement(files(INTEGERS, other), ["x"], numbers=["x"])


def test_a_number_and_a_text_never_agree(files):
    row_groups = files(INTEGERS, TEXT)
    with pytest.raises(DataError, match="column 'x' is string"):
        check_agreement(row_groups, ["x"], numbers=["x"])


def test_files_of_nulls_do_not_hide_a_difference(files):
    row_groups = files(pa.nulls(1), INTEGERS, TEXT)
    with pytest.raises(DataError, match=r"2\.parquet: column 'x' is string, but int64 in .*1\.parquet"):
        check_agreement(row_groups, ["x"], numbers=[])


@pytest.mark.parametrize(
    ("types", "unified"),
    [
        ((pa.int32(), pa.int64()), pa.int64()),
        ((pa.string(), pa.large_string()), pa.large_string()),
        ((pa.timestamp("ms"), pa.timestamp("us")), pa.timestamp("us")),
        ((pa.null(), pa.int8()), pa.int8()),
        ((pa.timestamp("us"), pa.timestamp("ns")), pa.timestamp("us")),
        ((pa.timestamp("ns"), pa.null()), pa.timestamp("ns")),
        ((pa.dictionary(pa.int8(), pa.string()), pa.string_view()), pa.large_string()),
        ((pa.timestamp("us", "Asia/Tokyo"), pa.timestamp("us", "UTC")), pa.timestamp("us", "UTC")),
    ],
    ids=str,
)
def test_a_unified_schema_holds_every_file(files, types, unified):
    row_groups = files(*(pa.nulls(1, type_) for type_ in types))
    assert unified_schema(row_groups, ["x"]) == pa.schema({"x": unified})


def test_without_a_common_type_there_is_no_unified_schema(files):
    row_groups = files(pa.array([MORNING], pa.timestamp("us", "UTC")), pa.array([MORNING], pa.timestamp("us")))
    with pytest.raises(DataError, match=r"1\.parquet: pass-through column 'x' is .*, but .*UTC.* no type holds both"):
        unified_schema(row_groups, ["x"])


@pytest.mark.parametrize("types", [(pa.uint64(), pa.int64()), (pa.int64(), pa.float64())], ids=str)
def test_a_type_that_would_lose_values_is_no_unified_schema(files, types):
    row_groups = files(*(pa.nulls(1, type_) for type_ in types))
    with pytest.raises(DataError, match="no type holds both"):
        unified_schema(row_groups, ["x"])


def test_what_the_columns_hold_is_returned_and_compared_with_what_training_held(files):
    row_groups = files(INTEGERS, pa.nulls(1))
    assert check_agreement(row_groups, ["x"], numbers=[]) == {"x": "integer"}
    assert check_agreement(row_groups, ["x"], numbers=["x"]) == {"x": "number"}
    assert check_agreement(row_groups, ["x"], [], trained={"x": "integer"}) == {"x": "integer"}
    with pytest.raises(DataError, match=r"0\.parquet: column 'x' is int64, but text in training"):
        check_agreement(row_groups, ["x"], [], trained={"x": "text"})


def test_a_column_of_nulls_alone_holds_nothing(files):
    assert check_agreement(files(pa.nulls(1)), ["x"], numbers=[]) == {}
