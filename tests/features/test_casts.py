"""Columns read as another type, against Python's own conversions."""

import uuid
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from features import Columns, DataError, Split, open_data, split_data
from features.casts import Cast, cast_column, cast_type, to_hex
from features.kinds import Categorical, Numeric, Sequence

WHERE = "clicks.parquet, row group 3: column 'x'"
IDS = [uuid.UUID(int=k * 7919**9) for k in range(3)]


def cast(values, to, type_=None):
    column = values if isinstance(values, pa.Array) else pa.array(values, type_)
    found = cast_column(pa.chunked_array([column]), TypeAdapter(Cast).validate_python(to), WHERE)
    assert found.type == cast_type(column.type, TypeAdapter(Cast).validate_python(to), WHERE)
    return found.to_pylist()


def uuids(values):
    return pa.array([value and value.bytes for value in values], pa.uuid())


@pytest.mark.parametrize(
    ("values", "to", "expected"),
    [
        (pa.array([b"caf\xc3\xa9", None, b""]), "text", ["café", None, ""]),
        (pa.array([b"ab", None], pa.binary(2)), "text", ["ab", None]),
        (uuids([*IDS, None]), "text", [*map(str, IDS), None]),
        (uuids([*IDS, None]), "hex", [*(one.hex for one in IDS), None]),
        (pa.array([b"\xff\x00", None], pa.binary(2)), "hex", ["ff00", None]),
        (pa.array([5, None, 2**64 - 1], pa.uint64()), "text", ["5", None, str(2**64 - 1)]),
        (pa.array([True, None]), "text", ["true", None]),
        (pa.array([date(2026, 1, 31), None]), "text", ["2026-01-31", None]),
        (pa.array([Decimal(10**37), None], pa.decimal128(38, 0)), "text", [str(10**37), None]),
        (pa.array([3.0, None, float("nan"), -(2.0**53)]), "integer", [3, None, None, -(2**53)]),
        (pa.array([3.0, None], pa.float32()), "integer", [3, None]),
        (pa.array([Decimal("7.00"), None], pa.decimal128(6, 2)), "integer", [7, None]),
        (pa.array(["007", "-5", None, str(2**63 - 1)]), "integer", [7, -5, None, 2**63 - 1]),
        (pa.array([False, True, None]), "integer", [0, 1, None]),
        (pa.array([7, None], pa.uint64()), "integer", [7, None]),
        (pa.array(["0.5", "1e3", None, "-7"]), "number", [0.5, 1000.0, None, -7.0]),
        (pa.array([Decimal("0.50"), None], pa.decimal256(50, 2)), "number", [0.5, None]),
        (pa.nulls(2), "number", [None, None]),
        (pa.array([[3.0], None, [], [None, 4.0]]), "integer", [[3], None, [], [None, 4]]),
        (pa.array([[b"\x01"], None]), "hex", [["01"], None]),
        (pa.array(["2026-01-31", None]), {"timestamp": "%Y-%m-%d"}, [datetime(2026, 1, 31), None]),
        (pa.array([99991231, 10101]), {"timestamp": "%Y%m%d"}, [datetime(9999, 12, 31), datetime(1, 1, 1)]),
        (pa.array([1022026, 31012026]), {"timestamp": "%d%m%Y"}, [datetime(2026, 2, 1), datetime(2026, 1, 31)]),
        (pa.array([date(2026, 1, 31), None]), {"timestamp": "%Y%m%d"}, [datetime(2026, 1, 31), None]),
        (
            pa.array([1], pa.timestamp("ms")),
            {"timestamp": "ISO8601"},
            [datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)],
        ),
        (pa.array([50101]), {"timestamp": "%y%m%d"}, [datetime(2005, 1, 1)]),
        (
            pa.array(["2026-01-01T00:00:00.123456789", "9999-12-31", None]),
            {"timestamp": "ISO8601"},
            [datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), None],
        ),
        (pa.array([date(9999, 12, 31)]).cast(pa.date32()), "text", ["9999-12-31"]),
        (pa.array([100_000_000], pa.int32()).cast(pa.date32()), "text", [str(np.datetime64(100_000_000, "D"))]),
        (
            pa.array(["31/Jan/2026:23:30:00 -0500"]),
            {"timestamp": "%d/%b/%Y:%H:%M:%S %z"},
            [datetime(2026, 2, 1, 4, 30, tzinfo=UTC)],
        ),
        (
            pa.array(["2026-01-31T10:00:00.000001+02:00", "2026-01-31 10:00"]),
            {"timestamp": "ISO8601"},
            [datetime(2026, 1, 31, 8, 0, 0, 1, tzinfo=UTC), datetime(2026, 1, 31, 10, tzinfo=UTC)],
        ),
    ],
    ids=str,
)
def test_values_are_cast_as_python_would(values, to, expected):
    assert cast(values, to) == expected


@given(st.lists(st.binary(max_size=5) | st.none()), st.integers(0, 3))
def test_hexadecimal_digits_are_those_of_python(values, start):
    expected = [value if value is None else value.hex() for value in values]
    assert to_hex(pa.array(values, pa.binary()).slice(start)).to_pylist() == expected[start:]


@given(st.lists(st.lists(st.integers(-(2**53), 2**53) | st.none()) | st.none()), st.integers(0, 3))
def test_lists_keep_their_lengths_and_nulls(lists, start):
    floats = pa.array(lists, pa.large_list(pa.int64())).cast(pa.large_list(pa.float64())).slice(start)
    assert cast(floats, "integer") == lists[start:]


@pytest.mark.parametrize(
    ("values", "to", "reason"),
    [
        ([b"ab", b"\xff", b"\xff"], "text", r"holds b'\\xff' \(2 such values\), which is not UTF-8 \(`hex`"),
        ([1.0, 1.5], "integer", r"holds 1.5 \(1 such values\), which has a fraction"),
        ([2.0**53 + 2], "integer", r"holds 9007199254740994.0 \(1 such values\), which is above 2\^53"),
        ([float("-inf")], "integer", r"holds -inf .* not a 64-bit integer"),
        ([Decimal("7.50"), Decimal("7.00")], "integer", r"holds 7.50 \(1 such values\), which has a fraction"),
        ([Decimal(10**20)], "integer", r"holds 1000* .* not a 64-bit integer"),
        (["1", "0x1F"], "integer", "holds '0x1F' .* not a 64-bit integer"),
        (["9" * 20], "integer", "holds '9{20}' .* not a 64-bit integer"),
        (pa.array([2**63], pa.uint64()), "integer", "holds 9223372036854775808 .* not a 64-bit integer"),
        (["1", "", ""], "number", r"holds '' \(2 such values\), which is not a number"),
        (["2026-02-30"], {"timestamp": "%Y-%m-%d"}, "holds '2026-02-30' .* not a time in the format %Y-%m-%d"),
        (["x", "x", "x", "y", None], {"timestamp": "%Y%m%d"}, r"holds 'x' \(4 such values\)"),
        (["now"], {"timestamp": "%Y-%m-%d"}, "holds 'now' .* not a time"),
        (["today", "2026-01-01"], {"timestamp": "ISO8601"}, "holds 'today' .* not a time"),
        ([2026], {"timestamp": "%d/%m/%Y"}, "holds 2026 .* not a time"),
        ([""], {"timestamp": "ISO8601"}, "holds '' .* not a time in the format ISO8601"),
        ([["1", "x"]], "integer", "holds 'x' .* not a 64-bit integer"),
    ],
    ids=str,
)
def test_a_value_that_would_be_lost_is_an_error_that_names_it(values, to, reason):
    with pytest.raises(DataError, match=f"^{WHERE} {reason}"):
        cast(values, to)


@pytest.mark.parametrize(
    ("type_", "to", "needs"),
    [
        (pa.float64(), "text", "needs text, binary, UUID"),
        (pa.decimal128(5, 2), "text", "needs text, binary"),
        (pa.timestamp("us"), "text", "needs text, binary"),
        (pa.large_string(), "hex", "needs binary or UUID"),
        (pa.large_binary(), "integer", "needs integers, floats"),
        (pa.date32(), "number", "needs integers, floats"),
        (pa.float64(), {"timestamp": "%Y"}, "needs text, integers, timestamps or dates"),
        (pa.struct({"a": pa.int64()}), "text", "needs text, binary"),
        (pa.list_(pa.date32()), "hex", "needs binary or UUID"),
    ],
    ids=str,
)
def test_a_type_that_cannot_be_cast_is_an_error_that_says_what_can(type_, to, needs):
    with pytest.raises(DataError, match=rf"^{WHERE} has type .*, but `cast: \w+` {needs}"):
        cast_type(type_, TypeAdapter(Cast).validate_python(to), WHERE)


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("txt", "must be text, hex, integer, number or"),
        ({"timestamp": "%Q"}, "'%Q' is not a strptime format"),
        ({"timestamp": "%H:%M"}, "has no year"),
        ({"timestamp": "mixed"}, "has no year"),
        ({"timestamp": "%Y%Y"}, "not a strptime format"),
        ({"timestamp": "dd/MM/yyyy"}, "has no year. Use a format such as %Y-%m-%d, or ISO8601"),
        ({"timestamp": "iso8601"}, "has no year. Use .* or ISO8601"),
        ({"timestamp": "%Y-%m-%d %Z"}, "Use %z"),
        ({"timestamp": ""}, "has no year"),
        ({"time": "%Y"}, "must be text, hex"),
    ],
    ids=str,
)
def test_a_cast_that_is_none_is_an_error(to, reason):
    with pytest.raises(ValidationError, match=reason):
        TypeAdapter(Cast).validate_python(to)


# Where columns are read


def test_a_cast_column_has_its_type_wherever_it_is_read(tmp_path):
    table = pa.table({"at": ["20260103", "20260101", "20260102"], "id": [1.0, None, 3.0], "y": ["1", "0", "1"]})
    pq.write_table(table, tmp_path / "a.parquet")
    casts = TypeAdapter(dict[str, Cast]).validate_python(
        {"at": {"timestamp": "%Y%m%d"}, "id": "integer", "y": "number", "elsewhere": "hex"}
    )
    groups = open_data(str(tmp_path), casts=casts)
    assert groups[0].file.schema.types == [pa.timestamp("us"), pa.int64(), pa.float64()]
    sets = split_data(groups, Split(by="time", column="at", fractions=(0.67, 0, 0.33)), seed=1)
    assert sets["train"][0].read(["id", "y"]).to_pydict() == {"id": [None, 3], "y": [0.0, 1.0]}
    assert Columns("y").labels(sets["test"][0].read(["y"]), "here").tolist() == [1.0]


@pytest.mark.parametrize(
    ("folder", "to", "expected"),
    [
        ("k=007", "integer", 7),
        ("k=007", "text", "007"),
        ("k=12", "text", "12"),
        ("k=1.10", "number", 1.1),
        ("k=20260131", {"timestamp": "%Y%m%d"}, datetime(2026, 1, 31)),
        ("k=2026-01-31", {"timestamp": "%Y-%m-%d"}, datetime(2026, 1, 31)),
        ("k=2026-01-31%2010%3A00", {"timestamp": "ISO8601"}, datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("k=__HIVE_DEFAULT_PARTITION__", "integer", None),
    ],
    ids=str,
)
def test_what_a_folder_says_is_cast_from_its_text(tmp_path, folder, to, expected):
    (tmp_path / folder).mkdir()
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / folder / "a.parquet")
    group = open_data(str(tmp_path), casts={"k": TypeAdapter(Cast).validate_python(to)})[0]
    assert group.read(["k", "x"]).to_pydict() == {"k": [expected] * 2, "x": [1, 2]}


def test_a_value_that_cannot_be_cast_names_file_row_group_and_column(tmp_path):
    pq.write_table(pa.table({"x": ["1", "2", "?"]}), tmp_path / "a.parquet", row_group_size=2)
    groups = open_data(str(tmp_path), casts={"x": "integer"})
    assert groups[0].read(["x"])["x"].to_pylist() == [1, 2]
    with pytest.raises(DataError, match=rf"^{tmp_path}/a\.parquet, row group 1: column 'x' holds '\?'"):
        groups[1].read(["x"])


def test_a_type_that_cannot_be_cast_names_the_file_when_it_is_opened(tmp_path):
    pq.write_table(pa.table({"x": [{"a": 1}]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=rf"^{tmp_path}/a\.parquet: column 'x' has type struct"):
        open_data(str(tmp_path), casts={"x": "integer"})


@pytest.mark.parametrize(
    ("feature", "type_", "hint"),
    [
        (Categorical, pa.large_binary(), r"`data.cast: \{x: text\}` or `\{x: hex\}`"),
        (Categorical, pa.uuid(), r"`data.cast: \{x: text\}` or `\{x: hex\}`"),
        (
            Categorical,
            pa.float64(),
            r"For ids, set `data.cast: \{x: integer\}`; for a number, use `type: numeric`",
        ),
        (Sequence, pa.list_(pa.float32()), r"`data.cast: \{x: integer\}`"),
        (Sequence, pa.list_(pa.uuid()), r"`\{x: hex\}`"),
        (Numeric, pa.large_string(), r"`data.cast: \{x: number\}`"),
    ],
    ids=str,
)
def test_a_type_that_a_feature_cannot_take_names_the_cast_that_helps(feature, type_, hint):
    declared = feature(name="x", column="x", **({} if feature is Numeric else {"table": "x", "hash": 5}))
    with pytest.raises(DataError, match=hint):
        declared.check_type(declared.column, type_, WHERE)


def test_the_error_of_a_list_names_the_list():
    with pytest.raises(DataError, match=r"has type list<item: int64>, but `cast: hex` needs binary or UUID"):
        cast_type(pa.large_list(pa.int64()), "hex", WHERE)


def test_a_text_that_is_to_have_an_hour_names_the_cast_that_helps():
    declared = Categorical(name="x", column="x", table="x", part="hour")
    with pytest.raises(DataError, match=r"`data.cast: \{x: \{timestamp: FORMAT\}\}`"):
        declared.check_type(declared.column, pa.large_string(), WHERE)


@pytest.mark.parametrize("type_", [pa.decimal128(5, 2), pa.decimal256(50, 1)], ids=str)
def test_decimals_are_labels_and_weights(type_):
    table = pa.table(
        {"y": pa.array([Decimal(1), Decimal(0)], type_), "w": pa.array([Decimal("0.5"), Decimal(2)], type_)}
    )
    assert Columns("y", "w").labels(table, WHERE).tolist() == [1.0, 0.0]
    assert Columns("y", "w").weights(table, WHERE).tolist() == [0.5, 2.0]
