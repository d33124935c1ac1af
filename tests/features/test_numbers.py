"""Numbers of every type as float64, against Python's own conversion."""

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.numbers import as_floats

FORMS = [(5, 2), (15, 0), (15, 4), (15, 15), (16, 4), (18, 6), (38, 10), (38, 37)]


@pytest.mark.parametrize(("precision", "scale"), FORMS)
@given(data=st.data(), start=st.integers(0, 3))
def test_a_decimal_is_the_nearest_float(precision, scale, data, start):
    unscaled = st.integers(-(10**precision) + 1, 10**precision - 1)
    values = data.draw(st.lists(unscaled.map(lambda n: Decimal(f"{n}E-{scale}")) | st.none()))
    make = pa.decimal256 if precision == 16 else pa.decimal128
    found = as_floats(pa.array(values, make(precision, scale)).slice(start))
    assert found.type == pa.float64()
    assert found.to_pylist() == [None if value is None else float(value) for value in values][start:]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([2**53 + 1, None, -5], pa.int64()),
        pa.array([2**64 - 1, None], pa.uint64()),
        pa.array([True, None, False]),
        pa.array([0.1, None], pa.float32()),
        pa.nulls(2, pa.float64()),
        pa.nulls(2),
    ],
    ids=lambda column: str(column.type),
)
def test_other_numbers_are_those_of_python(column):
    assert as_floats(column).to_pylist() == [None if value is None else float(value) for value in column.to_pylist()]
