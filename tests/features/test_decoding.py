"""Rows of tables are decoded to the values of the data."""

import numpy as np
import pyarrow as pa
import pytest

from features import Columns, Encoder, Features, decode_ids, decoded_batch, describe_row
from features.hashing import fingerprints
from tests.features.fits import statistics_of

ITEMS = pa.array(["b", "a", "c"], pa.large_string())
FEATURES = {
    "item": {"table": "items"},
    "seen": {"type": "sequence", "table": "items", "max_length": 3},
    "shop": {"identity": 5},
    "user": {"hash": 11},
    "hour": {"column": "ts", "part": "hour"},
    "day": {"column": "ts", "part": "day"},
    "price": {"type": "numeric", "as": "buckets"},
    "age": {"type": "numeric", "as": "embedding", "standardize": False},
    "height": {"type": "numeric", "standardize": False},
    "item_x_shop": {"type": "cross", "of": ["item", "shop"], "hash": 7, "dim": 2},
}


@pytest.fixture
def encoder():
    statistics = statistics_of({"items": ITEMS}, {"items": np.array([3, 2, 1])}, edges={"price": [1.5, 4.0]})
    return Encoder(Features.model_validate({"columns": FEATURES}), Columns("label"), statistics)


@pytest.fixture
def table():
    return pa.table(
        {
            "item": ["a", None, "new"],
            "seen": pa.array([["c", "new", "a", "b"], [], None]),
            "shop": [4, 0, None],
            "user": ["u", "v", None],
            "ts": pa.array([0, 3_600_000_000 * 47, None], pa.timestamp("us")),
            "price": [1.0, 9.0, None],
            "age": [3.0, 2.5, None],
            "height": [1.75, None, 2.0],
            "label": [0, 1, 1],
        }
    )


def test_an_encoded_table_is_decoded_to_its_values(encoder, table):
    found = {name: values.to_pylist() for name, values in decoded_batch(encoder, encoder(table, "here")).items()}
    buckets = (fingerprints(pa.array(["u", "v"], pa.large_string())) % np.uint64(11)).tolist()
    assert found["item"] == ["a", None, None]
    assert found["seen"] == [[None, "a", "b"], [], []]  # the last three
    assert found["shop"] == [4, 0, None]
    assert found["user"] == [*buckets, None]
    assert found["hour"] == [0, 23, None]
    assert found["day"] == [1, 2, None]
    assert found["price"] == [0, 2, None]
    assert found["age"] == [3.0, 2.5, 1.0]
    assert found["height"] == [1.75, 0.0, 2.0]
    assert sorted(found) == sorted(FEATURES)


@pytest.mark.parametrize(
    ("name", "row", "expected"),
    [
        ("item", 0, "padding"),
        ("item", 1, "null"),
        ("item", 2, "out of vocabulary"),
        ("item", 3, "'b'"),
        ("seen", 5, "'c'"),
        ("shop", 3, "0"),
        ("user", 13, "hash bucket 10"),
        ("day", 3, "1"),
        ("price", 3, "-inf < x <= 1.5"),
        ("price", 4, "1.5 < x <= 4"),
        ("price", 5, "4 < x <= inf"),
        ("age", 3, "any number"),
        ("item_x_shop", 9, "hash bucket 6"),
    ],
)
def test_a_row_in_words(encoder, name, row, expected):
    assert describe_row(encoder, name, row) == expected


def test_integers_of_64_bits_are_exact():
    values = pa.array([2**63 + 1, 7], pa.uint64())
    statistics = statistics_of({"id": values}, {"id": np.array([2, 1])})
    encoder = Encoder(Features.model_validate({"columns": {"id": {}}}), Columns("label"), statistics)
    assert decode_ids(encoder, "id", np.array([4, 3, 1])).to_pylist() == [7, 2**63 + 1, None]


def test_the_columns_of_a_feature_are_those_of_the_data(encoder):
    assert encoder.features.columns_of("hour") == ["ts"]
    assert encoder.features.columns_of("item_x_shop") == ["item", "shop"]
