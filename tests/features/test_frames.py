"""Tables in memory are read as the same table is from a file."""

import datetime
import decimal
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from error_contract import violations
from hypothesis import given, settings
from hypothesis import strategies as st

from features import DataError, count_rows, open_data, open_table
from features.casts import TimestampFormat
from features.frames import is_table
from features.row_groups import SLICE_ROWS


def rows_of(row_groups, columns):
    """Return the rows of a dataset as one table."""
    return pa.concat_tables([group.read(columns) for group in row_groups])


def frame_of(values, **options):
    return pd.DataFrame({"x": pd.Series(values, **options)})


COLUMNS = {
    "integers": ([1, 2, 3], {}),
    "nullable integers": ([1, None, 2**60], {"dtype": "Int64"}),
    "floats": ([1.5, np.nan, 2.5], {}),
    "narrow floats": ([1.5, np.nan, 2.5], {"dtype": "float16"}),
    "booleans": ([True, None, False], {"dtype": "boolean"}),
    "text": (["a", None, "c"], {}),
    "text as objects": (["a", np.nan, None], {"dtype": object}),
    "nullable text": (["a", None, "c"], {"dtype": "string"}),
    "Arrow text": (["a", None, "c"], {"dtype": pd.ArrowDtype(pa.string())}),
    "text categories": (["a", None, "a"], {"dtype": "category"}),
    "integer categories": ([7, None, 7], {"dtype": "category"}),
    "lists": ([[1, 2], None, np.array([3])], {}),
    "lists of text": ([["a"], [], ["b", None]], {}),
    "dates": ([datetime.date(2026, 1, 1), None, None], {}),
    "decimals": ([decimal.Decimal("1.5"), None, decimal.Decimal("2")], {}),
    "UUIDs": ([uuid.UUID(int=5), None, uuid.UUID(int=6)], {}),
    "times": (pd.to_datetime(["2026-01-01 10:30", None, "2026-06-01 00:00"]), {}),
    "times of a zone": (pd.to_datetime(["2026-01-01 10:30", None, "2026-06-01 00:00"]).tz_localize("Europe/Paris"), {}),
    "periods": (pd.period_range("2026-01", periods=3, freq="M"), {}),
    "nulls": ([None, None, None], {"dtype": object}),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_pandas_is_read_as_from_the_file_that_pandas_writes(name, tmp_path):
    values, options = COLUMNS[name]
    frame = frame_of(values, **options)
    frame.to_parquet(tmp_path / "x.parquet")
    expected = rows_of(open_data(str(tmp_path / "x.parquet")), ["x"])
    assert rows_of(open_table(frame, ["x"]), ["x"]).equals(expected)


def test_named_levels_of_an_index_are_columns_as_in_a_file(tmp_path):
    index = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", "y"])
    frame = pd.DataFrame({"z": [0.5, 1.5]}, index=index)
    frame.to_parquet(tmp_path / "x.parquet")
    expected = rows_of(open_data(str(tmp_path / "x.parquet")), ["x", "y", "z"])
    assert rows_of(open_table(frame, ["x", "y", "z"]), ["x", "y", "z"]).equals(expected)
    both = pd.DataFrame({"x": [7, 8]}, index=pd.Index(["a", "b"], name="x"))
    assert rows_of(open_table(both, ["x"]), ["x"])["x"].to_pylist() == [7, 8]


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(6)), st.integers(0, 6))
def test_rows_keep_their_order_whatever_the_index(order, dropped):
    frame = pd.DataFrame({"x": list("abcdef"), "y": range(6)}).iloc[order].iloc[: 6 - dropped]
    if not len(frame):
        with pytest.raises(DataError, match=r"^DataFrame: no rows\. Use data that has rows\.$"):
            open_table(frame, ["x"])
    else:
        table = rows_of(open_table(frame, ["x", "y"]), ["x", "y"])
        assert table.to_pydict() == {"x": frame["x"].tolist(), "y": frame["y"].tolist()}


def test_a_long_table_is_read_in_parts():
    numbers = np.arange(2 * SLICE_ROWS + 5)
    texts = np.where(numbers < SLICE_ROWS + 9, None, "late")  # nulls only, in the first part
    for data in (pd.DataFrame({"x": numbers, "y": texts}), pa.table({"x": numbers, "y": texts})):
        row_groups = open_table(data, ["x", "y"])
        assert [group.rows for group in row_groups] == [SLICE_ROWS, SLICE_ROWS, 5]
        table = rows_of(row_groups, ["x", "y"])
        np.testing.assert_array_equal(table["x"], numbers)
        assert table["y"].null_count == SLICE_ROWS + 9


def test_tables_with_the_arrow_interface_are_read():
    batch = pa.record_batch({"x": ["a", None]})
    assert str(open_table(batch, ["x"])[0]) == "RecordBatch, row group 0"
    polars = pytest.importorskip("polars")
    for dtype in (polars.String, polars.Categorical, polars.Enum(["a"])):
        frame = polars.DataFrame({"x": polars.Series(["a", None], dtype=dtype)})
        assert is_table(frame)
        assert rows_of(open_table(frame, ["x"]), ["x"])["x"].to_pylist() == ["a", None]


def test_only_columns_that_are_asked_for_are_converted():
    frame = pd.DataFrame({"x": [1, 2], "other": pd.Series([1, "a"], dtype=object)})
    [group] = open_table(frame, ["x"])
    assert group.file.schema.names == ["x", "other"]  # for messages
    assert group.read(["x"])["x"].to_pylist() == [1, 2]


def test_casts_apply_as_to_a_file():
    casts = {"x": "integer", "t": TimestampFormat(timestamp="%Y-%m-%d")}
    frame = pd.DataFrame({"x": [1.0, np.nan], "t": ["2026-01-31", None]})
    table = rows_of(open_table(frame, ["x", "t"], casts), ["x", "t"])
    assert table["x"].to_pylist() == [1, None]
    assert table["t"].to_pylist() == [datetime.datetime(2026, 1, 31), None]
    with pytest.raises(DataError, match=r"^DataFrame, row group 0: column 'x' holds 1\.5 \(1 such values\), which has"):
        open_table(pd.DataFrame({"x": [1.5]}), ["x"], casts)[0].read(["x"])


UNION = pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])])
CANNOT = "cannot be converted: "
BAD = {
    "text after numbers": (frame_of([1, "a"], dtype=object), f"DataFrame: column 'x' (object) {CANNOT}Could not"),
    "numbers after text": (frame_of(["a", 1], dtype=object), f"DataFrame: column 'x' (object) {CANNOT}Expected bytes"),
    "a late number": (frame_of(["a"] * 2 * SLICE_ROWS + [1], dtype=object), f"DataFrame: column 'x' (object) {CANNOT}"),
    "a huge integer": (frame_of([2**70], dtype=object), f"DataFrame: column 'x' (object) {CANNOT}Python int too large"),
    "objects": (frame_of([object()], dtype=object), f"DataFrame: column 'x' (object) {CANNOT}"),
    "not UTF-8": (frame_of(["\ud800"], dtype=object), f"DataFrame: column 'x' (object) {CANNOT}'utf-8' codec"),
    "sparse": (frame_of(pd.arrays.SparseArray([0, 1])), f"DataFrame: column 'x' (Sparse[int64, 0]) {CANNOT}"),
    "complex": (frame_of([1j]), f"DataFrame: column 'x' (complex128) {CANNOT}"),
    "a union": (pa.table({"x": UNION}), f"Table: column 'x' (dense_union<0: int64=0>) {CANNOT}"),
    "null in a dictionary": (
        pa.table({"x": pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None]))}),
        "Table: rows 0 to 1 cannot be stored as Parquet: Writing DictionaryArray with null",
    ),
    "levels of names": (
        pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("x", "a")])),
        "DataFrame: column names have 2 levels. Join them, or choose one with `droplevel`.",
    ),
    "no rows": (frame_of([], dtype=object), "DataFrame: no rows. Use data that has rows."),
    "no columns": (pd.DataFrame(index=[1, 2]), "DataFrame: no columns. Use data that has columns."),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_an_error_of_one_line(name):
    data, message = BAD[name]
    with pytest.raises(DataError) as error:
        open_table(data, ["x"])
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
    assert not violations(str(error.value))


@pytest.mark.parametrize("data", ["x.parquet", pd.Series([1]), [1, 2], None, {"x": [1]}, np.zeros((2, 2))])
def test_what_is_no_table_is_told_apart(data):
    assert not is_table(data)


def test_positions_are_those_of_selected_rows():
    [group] = open_table(pa.table({"x": range(11)}), ["x"])
    assert group.positions.tolist() == list(range(11))
    mask = np.arange(11) % 3 == 1
    selected = group.select(mask)
    assert selected.positions.tolist() == [1, 4, 7, 10]
    assert selected.select(np.array([True, False, False, True])).positions.tolist() == [1, 10]
    assert count_rows([selected]) == 4


@pytest.mark.parametrize("data", ["clicks.parquet", Path("clicks"), None, [1, 2]])
def test_what_is_no_table_is_named_and_files_have_their_own_function(data):
    with pytest.raises(DataError) as error:
        open_table(data, ["a"])
    name = type(data).__name__
    assert str(error.value) == f"{name}: expected a DataFrame or another table. Use `open_data` for files."
    assert not violations(str(error.value))


@pytest.mark.parametrize("table", [pd.DataFrame({"a": [1]}), pa.table({"a": [1]})], ids=["pandas", "arrow"])
def test_a_table_in_memory_has_a_function_of_its_own(table):
    with pytest.raises(DataError) as error:
        open_data(table)
    name = type(table).__name__
    assert str(error.value) == (
        f"data: expected a path or a list of paths, got {name}. Use `open_table` for a table in memory."
    )
    assert not violations(str(error.value))
