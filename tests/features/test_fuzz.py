"""Any table and any damaged file gives a `DataError` with a location, or the batch that a plain reading gives."""

import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import Columns, DataError, Encoder, Features, Split, check_columns, fit, open_data, split_data
from features.batch import concatenate
from tests.reference.encoding import FEATURES, encoded

ROOT = Path(__file__).parents[2]
DECLARED = Features(columns=FEATURES)
LABEL = Columns("y", "w")


def encoded_by_us(path):
    """Return the file as one batch, after the same steps as in training."""
    row_groups = open_data(str(path))
    unfitted = Encoder(DECLARED, LABEL)
    check_columns(row_groups, unfitted.input_columns, unfitted.check)
    encoder = Encoder(DECLARED, LABEL, fit(DECLARED, LABEL, row_groups, seed=1))
    return concatenate([encoder(group.read(encoder.input_columns), str(group)) for group in row_groups])


def batch_or_message(path):
    try:
        return encoded_by_us(path)
    except DataError as error:
        return str(error)


# Tables of any type


def values_of(type_):
    """Return a strategy for values of a type, including edge cases and nulls."""
    edges = {
        pa.int8(): [0, 1, -128, 127],
        pa.int64(): [0, 1, 4, 5, 2**53 + 1, 2**63 - 1, -(2**63)],
        pa.uint64(): [0, 1, 4, 2**63, 2**64 - 1],
        pa.float32(): [0.0, -0.0, 1.0, 0.5, -1.5, float("nan"), float("inf")],
        pa.float64(): [0.0, 1.0, 0.5, 5e-324, 1e-40, 3e38, 1e39, float("nan"), -float("inf")],
        pa.bool_(): [False, True],
        pa.string(): ["", "a", "A", "é", "1", "true", "\0", "a\0", "\N{PILE OF POO}", " a"],
        pa.timestamp("us", "UTC"): [datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)],
        pa.timestamp("ms"): [datetime(1, 1, 1, 5), datetime(1969, 12, 31, 23, 59, 59, 999000)],
        pa.date32(): [date(1, 1, 1), date(2026, 1, 31)],
        pa.decimal128(6, 2): [Decimal("0.00"), Decimal("1.00"), Decimal("-9999.99")],
        pa.binary(): [b"", b"\xff"],
    }
    if pa.types.is_null(type_):
        return st.none()
    if pa.types.is_dictionary(type_):
        return values_of(type_.value_type)
    if pa.types.is_list(type_):
        return st.none() | st.lists(values_of(type_.value_type), max_size=5)
    if pa.types.is_struct(type_):
        return st.just({"a": 1})
    return st.none() | st.sampled_from(edges[type_])


SCALARS = [pa.int8(), pa.int64(), pa.uint64(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.null()]
SCALARS += [pa.timestamp("us", "UTC"), pa.timestamp("ms"), pa.date32(), pa.decimal128(6, 2), pa.binary()]
ANY = [*SCALARS, pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.int64())]
ANY += [pa.list_(type_) for type_ in SCALARS] + [pa.list_(pa.list_(pa.int64())), pa.struct({"a": pa.int64()})]
CATEGORIES = [pa.int64(), pa.uint64(), pa.string(), pa.bool_(), ANY[13], ANY[14]]
NUMBERS = [pa.int8(), pa.int64(), pa.uint64(), pa.float32(), pa.float64(), pa.bool_(), pa.decimal128(6, 2)]
FITTING = {
    **dict.fromkeys(["user", "word"], CATEGORIES),
    "item": [pa.string(), ANY[13]],
    "history": [pa.list_(pa.string())],
    "shop": [pa.int64(), pa.int8()],
    "at": [pa.timestamp("us", "UTC"), pa.timestamp("ms"), pa.date32()],
    **dict.fromkeys(["price", "age"], NUMBERS),
}


@st.composite
def tables(draw):
    """Draw a table with the columns of FEATURES and matching types; in some tables one column has any type."""
    rows = draw(st.integers(2, 12))
    odd = draw(st.sampled_from([None, None, *FITTING, "y", "w"]))
    label = st.sampled_from([0, 1]) if odd != "y" else st.sampled_from([0, 1, 2, None])
    columns = {
        "y": pa.array(draw(st.lists(label, min_size=rows, max_size=rows)), pa.int8()),
        "w": pa.array(draw(st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=rows, max_size=rows))),
    }
    for name, types in FITTING.items():
        type_ = draw(st.sampled_from(ANY if name == odd else types))
        values = values_of(type_) if name != "shop" or name == odd else st.none() | st.integers(0, 4)
        if name in ("price", "age") and name != odd:
            values = values.filter(lambda value: value is None or not abs(value) > 3.1e38)
        columns[name] = pa.array(draw(st.lists(values, min_size=rows, max_size=rows)), type_)
    if odd == "w":
        type_ = draw(st.sampled_from(ANY))
        columns["w"] = pa.array(draw(st.lists(values_of(type_), min_size=rows, max_size=rows)), type_)
    return pa.table(columns)


@settings(max_examples=150, deadline=None)
@given(table=tables(), size=st.integers(1, 12))
def test_a_table_is_encoded_as_its_rows_say_or_refused(tmp_path_factory, table, size):
    path = tmp_path_factory.mktemp("data") / "a.parquet"
    pq.write_table(table, path, row_group_size=size)
    found = batch_or_message(path)
    if isinstance(found, str):
        assert "\n" not in found
        assert str(path) in found or "training data: all" in found
    else:
        expected = encoded(pq.read_table(path, partitioning=None).to_pydict())
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            np.testing.assert_allclose(found[key], values, rtol=1e-5, atol=1e-6, err_msg=key)


# Damaged files


@pytest.mark.slow
def test_files_damaged_at_random_are_an_error_or_read_as_what_they_say():
    """Run the first of the thousands of cases of `scripts/fuzz_parquet.py`."""
    command = [sys.executable, ROOT / "scripts" / "fuzz_parquet.py", "--cases", "100"]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert result.returncode == 0, result.stdout + result.stderr
    assert "an error that names the file" in result.stdout
    assert "the result of the undamaged file" in result.stdout


def rewritten(path, old, new):
    """Replace every occurrence of some bytes in a file with as many other bytes."""
    content = path.read_bytes()
    assert old in content
    assert len(old) == len(new)
    path.write_bytes(content.replace(old, new))


def refused(path, column):
    [group] = open_data(str(path))
    with pytest.raises(DataError) as error:
        group.read([column])
    return str(error.value)


def test_a_changed_page_is_an_error_where_the_writer_left_a_checksum(tmp_path):
    path = tmp_path / "a.parquet"
    values = pa.table({"x": pa.array([0x11223344] * 50, pa.int64())})
    for has_checksum in (False, True):
        form = {"compression": "none", "use_dictionary": False, "write_statistics": False}
        pq.write_table(values, path, write_page_checksum=has_checksum, **form)
        rewritten(path, (0x11223344).to_bytes(8, "little"), (0x11223345).to_bytes(8, "little"))
        if has_checksum:
            assert re.match(rf"{path}, row group 0: cannot read the row group: .*CRC", refused(path, "x"))
        else:
            assert open_data(str(path))[0].read(["x"])["x"].to_pylist() == [0x11223345] * 50


@pytest.mark.parametrize("as_lists", [False, True])
def test_text_that_is_not_utf_8_is_an_error(tmp_path, as_lists):
    path = tmp_path / "a.parquet"
    column = pa.array([["shoes"], ["hats"]] if as_lists else ["shoes", "hats"])
    pq.write_table(pa.table({"x": column}), path, compression="none")
    rewritten(path, b"shoes", b"sho\xffs")
    type_ = "list<element: string>" if as_lists else "string"
    message = refused(path, "x")
    assert message.startswith(f"{path}, row group 0: column 'x' is not valid {type_}: ")
    assert "Invalid UTF8 sequence at string index 0" in message


def test_a_name_of_a_column_that_is_not_utf_8_is_an_error(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"shoes": [1]}), path, store_schema=False)
    rewritten(path, b"shoes", b"sho\xffs")
    with pytest.raises(DataError, match=r"a\.parquet: not a readable Parquet file"):
        open_data(str(path))


def test_times_further_apart_than_a_span_of_time_are_an_error(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"ts": [-(2**63), 5, 2**62]}), path, row_group_size=2)
    split = Split(by="time", column="ts", fractions=(0.5, 0.5, 0))
    with pytest.raises(
        DataError, match=r"'ts' ranges from -9223372036854775808 \(.*, row group 0\) to .*, row group 1\)"
    ):
        split_data(open_data(str(path)), split, seed=1)
