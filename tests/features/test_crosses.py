"""A cross is one category made of several: its id, its position in a batch, and its metadata for a model."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from features import Columns, DataError, Encoder, Features, Reader, as_tf_dataset, fit, open_data
from features.batch import NULL, SPECIAL_ROWS
from tests.features.fits import statistics_of

WHERE = "clicks.parquet, row group 3"
few = settings(max_examples=40, deadline=None, derandomize=True)


def encoder(declared, edges=None, columns=Columns("y"), vocabularies=None):  # noqa: B008 - frozen
    return Encoder(Features(columns=declared), columns, statistics_of(vocabularies, edges=edges))


def encode(encoder_, **columns):
    table = pa.table(columns)
    if "y" not in columns:
        table = table.append_column("y", pa.array(np.zeros(len(table), np.int8)))
    return encoder_(table, WHERE)


def cross_hashed(buckets, *parts):
    """Return the rows of a cross's table that TensorFlow computes from the texts of its parts."""
    texts = [tf.constant([[text.encode()] for text in part]) for part in parts]
    return (tf.sparse.to_dense(tf.sparse.cross_hashed(texts, buckets)).numpy()[:, 0] + SPECIAL_ROWS).tolist()


def ids_of_cross(first, second, one=None, other=None, buckets=1000):
    """Return the ids of `first` x `second`, columns `a` and `b` of categoricals declared as `one` and `other`."""
    declared = {
        "a": one or {"hash": 9},
        "b": other or {"hash": 9},
        "a_x_b": {"type": "cross", "of": ["a", "b"], "hash": buckets},
    }
    return encode(encoder(declared), a=first, b=second)["ids"][:, 2].tolist()


def assert_same(batch, other):
    assert list(batch) == list(other)
    for key, array in batch.items():
        assert (array.dtype, array.shape, array.tobytes()) == (other[key].dtype, other[key].shape, other[key].tobytes())


# Ids


@given(
    rows=st.lists(st.tuples(st.none() | st.text(max_size=3), st.none() | st.integers(-5, 5)), min_size=1, max_size=8),
    buckets=st.integers(1, 2**31 - 4),
)
@few
def test_the_id_of_a_cross_is_tensorflows_hash_and_row_1_where_a_part_is_null(rows, buckets):
    words, numbers = zip(*rows, strict=True)
    hashed = cross_hashed(buckets, *(["" if v is None else str(v) for v in part] for part in (words, numbers)))
    expected = [NULL if None in row else id_ for row, id_ in zip(rows, hashed, strict=True)]

    found = ids_of_cross(pa.array(words, pa.string()), pa.array(numbers, pa.int16()), buckets=buckets)

    assert found == expected


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([2**64 - 1, 2**53 + 1], pa.uint64()), [str(2**64 - 1), str(2**53 + 1)]),
        (pa.array([-3, 7], pa.int8()), ["-3", "7"]),
        (pa.array(["a", "é"]).dictionary_encode(), ["a", "é"]),
        (pa.array([5, 6]).dictionary_encode(), ["5", "6"]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_every_type_of_column_crosses_as_its_text(column, texts):
    assert ids_of_cross(column, ["x", "y"]) == cross_hashed(1000, texts, ["x", "y"])


def test_a_missing_value_is_null_in_a_cross_too():
    found = ids_of_cross(["?", "", "a"], [1, 1, 1], one={"hash": 9, "missing": ["?", ""]})

    assert found == [NULL, NULL, *cross_hashed(1000, ["a"], ["1"])]


@pytest.mark.parametrize("column", [pa.nulls(2), pa.nulls(2, pa.int64()), pa.nulls(2, pa.string())], ids=str)
def test_a_column_of_nulls_crosses_to_row_1(column):
    assert ids_of_cross(column, ["x", "y"]) == [NULL, NULL]


@pytest.mark.parametrize("one", [{"identity": 10}, {"hash": 3}, {"vocabulary": {"min_count": 2}}], ids=str)
def test_a_cross_is_of_the_values_whatever_their_own_encoding(one):
    declared = {"a": one, "b": {"hash": 9}, "a_x_b": {"type": "cross", "of": ["a", "b"], "hash": 1000}}
    encoder_ = encoder(declared, vocabularies={"a": [7]} if "vocabulary" in one else None)

    found = encode(encoder_, a=[7, 4], b=["x", "y"])["ids"][:, 2].tolist()

    assert found == cross_hashed(1000, ["7", "4"], ["x", "y"])


def test_a_part_of_a_time_is_crossed_by_its_number():
    times = pa.array([0, 3600 * 13]).cast(pa.timestamp("s"))

    assert ids_of_cross(times, ["x", "y"], one={"part": "hour"}) == cross_hashed(1000, ["0", "13"], ["x", "y"])


def test_a_bucketed_numeric_is_crossed_by_its_bucket():
    declared = {
        "price": {"type": "numeric", "as": "buckets"},
        "b": {"hash": 9},
        "cross": {"type": "cross", "of": ["price", "b"], "hash": 1000},
    }

    batch = encode(encoder(declared, edges={"price": [1.0, 2.0]}), price=[0.5, 1.0, 1.5, 99.0, None], b=["x"] * 5)

    assert batch["ids"][:, 0].tolist() == [3, 3, 4, 5, NULL]
    assert batch["ids"][:, 2].tolist() == [*cross_hashed(1000, ["0", "0", "1", "2"], ["x"] * 4), NULL]


def test_the_order_in_of_is_the_order_of_the_hash():
    declared = {
        "a": {"hash": 9},
        "b": {"hash": 9},
        "a_x_b": {"type": "cross", "of": ["a", "b"], "hash": 1000},
        "b_x_a": {"type": "cross", "of": ["b", "a"], "hash": 1000},
    }

    ids = encode(encoder(declared), a=["a"], b=["b"])["ids"][0]

    assert ids[2:].tolist() == cross_hashed(1000, ["a"], ["b"]) + cross_hashed(1000, ["b"], ["a"])


def test_a_cross_may_be_of_three_and_be_declared_before_its_parts():
    declared = {
        "all": {"type": "cross", "of": ["c", "a", "b"], "hash": 500},
        **{name: {"hash": 9} for name in "abc"},
    }

    ids = encode(encoder(declared), a=["a"], b=["b"], c=["c"])["ids"]

    assert ids[:, 0].tolist() == cross_hashed(500, ["c"], ["a"], ["b"])


def test_the_values_of_a_cross_are_the_hashes_that_its_distribution_is_measured_on():
    declared = {"a": {"hash": 9}, "b": {"hash": 9}, "a_x_b": {"type": "cross", "of": ["a", "b"], "hash": 1000}}
    table = pa.table({"a": ["p", None], "b": ["q", "r"]})

    values = encoder(declared).values(table, WHERE)["a_x_b"]

    assert values.to_pylist() == [cross_hashed(1000, ["p"], ["q"])[0] - SPECIAL_ROWS, None]
    assert pa.types.is_integer(values.type)


# The whole batch

DECLARED = {
    "user": {"dim": 8},
    "user_x_site": {"type": "cross", "of": ["user", "site"], "hash": 100},
    "price": {"type": "numeric", "as": "buckets", "dim": 3},
    "age": {"type": "numeric", "as": "embedding", "dim": 4},
    "site": {"hash": 50, "dim": 2},
    "site_x_price": {"type": "cross", "of": ["site", "price"], "hash": 70, "dim": 5},
    "history": {"type": "sequence", "table": "user", "dim": 8, "max_length": 3},
}


def rows(count=60, seed=0):
    rng = np.random.default_rng(seed)

    def some(values):
        return pa.array(values, mask=rng.random(count) < 0.2)

    return pa.table(
        {
            "user": some(rng.integers(0, 9, count)),
            "site": some(rng.integers(0, 20, count).astype(str)),
            "price": some(rng.lognormal(size=count)),
            "age": some(rng.integers(18, 80, count)),
            "history": pa.array([rng.integers(0, 9, k % 5).tolist() for k in range(count)]),
            "y": pa.array(np.arange(count) % 2),
            "w": pa.array(rng.uniform(size=count)),
        }
    )


@pytest.fixture
def path(tmp_path):
    pq.write_table(rows(), tmp_path / "a.parquet", row_group_size=25)
    return str(tmp_path / "a.parquet")


@pytest.fixture
def whole(path):
    declared = Features(columns=DECLARED)
    columns = Columns("y", "w")
    return Encoder(declared, columns, fit(declared, columns, open_data(path), 1))


def test_a_batch_has_the_shapes_of_its_spec(whole):
    batch = whole(rows(), WHERE)

    assert {key: (array.shape, array.dtype) for key, array in batch.items()} == {
        key: ((60, *shape), np.dtype(dtype)) for key, (shape, dtype) in whole.batch_spec.items()
    }
    assert batch["ids"].shape[1] == 6


def test_a_cross_of_dim_1_is_a_category_without_a_field_and_a_wider_one_has_both(whole):
    fields = {field["name"]: field["column"] for field in whole.layout["fields"]}
    tables = {table["name"]: (table["rows"], table["dim"]) for table in whole.layout["tables"]}

    assert list(fields) == ["user", "price", "age", "site", "site_x_price", "history"]
    assert fields["site_x_price"] == 5
    assert tables["site_x_price"] == (3 + 70, 5)
    assert "user_x_site" not in tables


def test_categories_are_the_features_of_one_category_with_their_column_and_rows(whole):
    users = len(whole.statistics.fits["vocabularies"]["user"].values)

    assert whole.layout["categories"] == [
        {"name": "user", "column": 0, "rows": 3 + users, "table": "user"},
        {"name": "user_x_site", "column": 1, "rows": 3 + 100, "table": None},
        {"name": "price", "column": 2, "rows": 3 + 10, "table": "price"},
        {"name": "site", "column": 4, "rows": 3 + 50, "table": "site"},
        {"name": "site_x_price", "column": 5, "rows": 3 + 70, "table": "site_x_price"},
    ]


def test_every_id_is_a_row_of_its_category(whole):
    batch = whole(rows(500, seed=5), WHERE)

    for category in whole.layout["categories"]:
        ids = batch["ids"][:, category["column"]]
        assert 0 < ids.min() <= ids.max() < category["rows"]


def test_the_file_needs_no_column_for_a_cross(whole):
    assert whole.input_columns == ["user", "price", "age", "site", "history", "y", "w"]
    whole.check(rows().schema, WHERE)


@given(cut=st.integers(0, 60))
@few
def test_a_row_has_the_same_ids_in_any_group_of_rows(cut):
    declared = {name: own for name, own in DECLARED.items() if name not in ("age", "history", "user")}
    declared["user"] = {"hash": 30}
    one = encoder(declared, edges={"price": [0.5, 1.0, 2.0]})

    apart = [one(rows()[:cut], WHERE)["ids"], one(rows()[cut:], WHERE)["ids"]]

    np.testing.assert_array_equal(np.concatenate(apart), one(rows(), WHERE)["ids"])


def test_the_encoder_that_was_saved_and_loaded_makes_the_same_bytes(whole, tmp_path):
    whole.save(tmp_path / "encoder")
    loaded = Encoder.load(tmp_path / "encoder")

    assert_same(whole(rows(300, seed=3), WHERE), loaded(rows(300, seed=3), WHERE))
    assert (loaded.layout, loaded.batch_spec) == (whole.layout, whole.batch_spec)
    assert (loaded.features, loaded.columns) == (whole.features, whole.columns)


def test_an_id_outside_identity_is_an_error_with_a_cross_of_it_too():
    with pytest.raises(DataError, match=f"{WHERE}: column 'a' holds the id 10"):
        ids_of_cross([10], ["x"], one={"identity": 10})


# Without a label


@pytest.fixture
def unlabelled(whole):
    return dataclasses.replace(whole, columns=None)


def test_without_a_label_a_batch_has_neither_label_nor_weight_and_is_else_the_same(whole, unlabelled):
    batch = whole(rows(), WHERE)
    del batch["label"], batch["weight"]

    assert_same(unlabelled(rows().drop_columns(["y", "w"]), WHERE), batch)


def test_without_a_label_the_file_needs_none(unlabelled):
    assert not {"y", "w"} & set(unlabelled.input_columns)
    assert set(unlabelled.batch_spec) == {"ids", "numerics", "sequences/history", "lengths/history"}


def test_a_label_makes_no_difference_to_what_a_model_hears(whole, unlabelled):
    assert unlabelled.layout == whole.layout


def test_an_encoder_without_a_label_is_saved_and_loaded(unlabelled, tmp_path):
    unlabelled.save(tmp_path / "encoder")
    loaded = Encoder.load(tmp_path / "encoder")

    assert loaded.columns is None
    assert_same(loaded(rows(), WHERE), unlabelled(rows(), WHERE))


def test_data_without_a_label_is_read_in_batches(unlabelled, path):
    batches = list(as_tf_dataset(Reader(open_data(path), unlabelled, batch_size=25, seed=1)))

    assert [batch["ids"].shape[0] for batch in batches] == [25, 25, 10]
    assert set(batches[0]) == set(unlabelled.batch_spec)
