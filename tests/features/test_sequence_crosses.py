"""A cross of a sequence pairs each of its values with categories of the row: the pairs' ids and their metadata."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from features import Columns, DataError, Encoder, Features, Ragged, Reader, as_tf_dataset, fit, open_data
from features.batch import NULL, PADDING, SPECIAL_ROWS
from tests.features.fits import statistics_of, vocabularies_of

WHERE = "clicks.parquet, row group 3"
BUCKETS = 1000
few = settings(max_examples=40, deadline=None, derandomize=True)


def cross_of(*of, **settings):
    return {"type": "sequence_cross", "of": list(of), "hash": BUCKETS, **settings}


def encoder(declared, edges=None, vocabularies=None):
    return Encoder(Features(columns=declared), None, statistics_of(vocabularies, edges=edges))


def lists_of(batch, name):
    """Return the ids of each row without padding, which is 0."""
    padded, lengths = batch[f"sequences/{name}"], batch[f"lengths/{name}"]
    assert (padded.dtype, lengths.dtype) == (np.int32, np.int32)
    assert (padded[np.arange(padded.shape[1]) >= lengths[:, None]] == PADDING).all()
    return [row[:length].tolist() for row, length in zip(padded, lengths, strict=True)]


def ids_of(history, user, of=("user", "history"), one=None, buckets=BUCKETS, **sequence):
    """Return the ids of history x user in each row, from columns of these names."""
    declared = {
        "user": one or {"hash": 9},
        "history": {"type": "sequence", "hash": 9, **sequence},
        "pairs": cross_of(*of, hash=buckets),
    }
    return lists_of(encoder(declared)(pa.table({"user": user, "history": history}), WHERE), "pairs")


def id_of_pair(*values, buckets=BUCKETS):
    """Return the table row of TensorFlow's cross of the texts."""
    if None in values:
        return NULL
    texts = [tf.constant([[str(value).encode()]]) for value in values]
    return int(tf.sparse.to_dense(tf.sparse.cross_hashed(texts, buckets))[0, 0]) + SPECIAL_ROWS


def assert_same(batch, other):
    assert list(batch) == list(other)
    for key, array in batch.items():
        assert (array.dtype, array.shape, array.tobytes()) == (other[key].dtype, other[key].shape, other[key].tobytes())


# Ids

words, numbers = st.none() | st.text(max_size=3), st.none() | st.integers(-5, 5)


@given(
    rows=st.lists(st.tuples(numbers, st.none() | st.lists(words, max_size=4)), min_size=1, max_size=5),
    max_length=st.integers(1, 5),
    sequence_first=st.booleans(),
    buckets=st.integers(1, 2**31 - 4),
)
@few
def test_each_value_of_a_list_is_crossed_with_its_row_as_tensorflow_crosses_the_pair(
    rows, max_length, sequence_first, buckets
):
    expected = []
    for user, history in rows:
        pairs = [(user, value) for value in (history or [])[-max_length:]]
        expected.append([id_of_pair(*(pair[::-1] if sequence_first else pair), buckets=buckets) for pair in pairs])

    users, histories = zip(*rows, strict=True)
    found = ids_of(
        pa.array(histories, pa.list_(pa.string())),
        pa.array(users, pa.int16()),
        of=("history", "user") if sequence_first else ("user", "history"),
        buckets=buckets,
        max_length=max_length,
    )

    assert found == expected


def test_the_last_values_of_a_long_list_stay_in_their_order():
    found = ids_of([["a", "b", "c", "d"]], [7], max_length=3)

    assert found == [[id_of_pair(7, value) for value in "bcd"]]


def test_an_empty_list_and_a_null_one_have_no_pairs():
    assert ids_of([[], None, ["a"]], [7, 7, 7]) == [[], [], [id_of_pair(7, "a")]]


def test_a_column_of_empty_lists_has_no_pairs():
    assert ids_of(pa.array([[], []], pa.list_(pa.string())), [7, 7]) == [[], []]
    assert ids_of(pa.nulls(2), [7, 7]) == [[], []]


def test_a_pair_with_a_null_is_null_and_keeps_its_place():
    assert ids_of([["a", None], ["a", "b"]], [7, None]) == [[id_of_pair(7, "a"), NULL], [NULL, NULL]]


def test_a_missing_value_is_null_in_a_pair_too():
    assert ids_of([["a", "?"], ["a"]], [7, -1], one={"hash": 9, "missing": [-1]}, missing=["?"]) == [
        [id_of_pair(7, "a"), NULL],
        [NULL],
    ]


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array([[True, False]]), ["true", "false"]),
        (pa.array([[2**64 - 1, 2**53 + 1]], pa.list_(pa.uint64())), [2**64 - 1, 2**53 + 1]),
        (pa.array([[-3, 7]], pa.large_list(pa.int8())), [-3, 7]),
        (pa.array([[5, 6]], pa.list_(pa.int64(), 2)), [5, 6]),
        (pa.array([["a", "é"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))), ["a", "é"]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_every_type_of_list_crosses_as_its_texts(column, texts):
    assert ids_of(column, ["x"]) == [[id_of_pair("x", text) for text in texts]]


@pytest.mark.parametrize("own", [{"identity": 10}, {"hash": 3}, {"vocabulary": {"min_count": 2}}], ids=str)
def test_a_pair_is_of_the_values_whatever_their_own_encoding(own):
    declared = {
        "item": own,
        "history": {"type": "sequence", "table": "item", **own},
        "pairs": cross_of("item", "history"),
    }
    encoder_ = encoder(declared, vocabularies={"item": [7]} if "vocabulary" in own else None)

    batch = encoder_(pa.table({"item": [7, 4], "history": [[4, 7], [4]]}), WHERE)

    assert lists_of(batch, "pairs") == [[id_of_pair(7, 4), id_of_pair(7, 7)], [id_of_pair(4, 4)]]


def test_a_sequence_may_be_crossed_with_several_categories_and_be_declared_after():
    declared = {
        "all": cross_of("price", "history", "hour"),
        "history": {"type": "sequence", "hash": 9},
        "price": {"type": "numeric", "as": "buckets"},
        "hour": {"part": "hour"},
    }
    table = pa.table(
        {
            "price": [0.5, 99.0, None],
            "history": [["a", "b"], ["a"], ["a"]],
            "hour": pa.array([0, 3600 * 13, 0]).cast(pa.timestamp("s")),
        }
    )

    batch = encoder(declared, edges={"price": [1.0, 2.0]})(table, WHERE)

    assert lists_of(batch, "all") == [[id_of_pair(0, "a", 0), id_of_pair(0, "b", 0)], [id_of_pair(2, "a", 13)], [NULL]]


def test_two_sequences_are_crossed_apart_each_to_its_own_length():
    declared = {
        "user": {"hash": 9},
        "seen": {"type": "sequence", "hash": 9, "max_length": 2},
        "bought": {"type": "sequence", "hash": 9, "max_length": 4},
        "user_x_seen": cross_of("user", "seen"),
        "user_x_bought": cross_of("user", "bought"),
    }
    batch = encoder(declared)(pa.table({"user": ["u"], "seen": [["a", "b", "c"]], "bought": [["d", "e", "f"]]}), WHERE)

    assert lists_of(batch, "user_x_seen") == [[id_of_pair("u", value) for value in "bc"]]
    assert lists_of(batch, "user_x_bought") == [[id_of_pair("u", value) for value in "def"]]
    assert batch["sequences/user_x_bought"].shape == (1, 4)


def test_an_id_outside_identity_is_an_error_with_a_cross_of_it_too():
    declared = {
        "user": {"hash": 9},
        "history": {"type": "sequence", "identity": 10},
        "pairs": cross_of("user", "history"),
    }
    with pytest.raises(DataError, match=f"{WHERE}: column 'history' holds the id 10"):
        encoder(declared)(pa.table({"user": ["u"], "history": [[3, 10]]}), WHERE)


def test_the_values_are_the_hashes_that_a_distribution_is_measured_on():
    declared = {"user": {"hash": 9}, "history": {"type": "sequence", "hash": 9}, "a": cross_of("user", "history")}
    table = pa.table({"user": ["u", None, "v"], "history": [["p", "q"], ["p"], []]})

    values = encoder(declared).values(table, WHERE)["a"]

    assert isinstance(values, Ragged)
    assert values.flat.type == pa.int64()
    hashes = [id_of_pair("u", value) - SPECIAL_ROWS for value in "pq"]
    assert (values.flat.to_pylist(), values.lengths.tolist()) == ([*hashes, None], [2, 1, 0])


# The whole batch

DECLARED = {
    "user": {"dim": 8},
    "user_x_history": cross_of("user", "history", hash=100),
    "price": {"type": "numeric", "as": "buckets", "dim": 3},
    "site": {"hash": 50, "dim": 2},
    "history": {"type": "sequence", "table": "user", "dim": 8, "max_length": 3},
    "tags": {"type": "sequence", "hash": 30, "dim": 4, "max_length": 5, "pooling": "none"},
    "site_x_tags": cross_of("tags", "site", hash=70, dim=5, pooling="mean"),
    "site_x_history": cross_of("site", "history", hash=60, dim=6, pooling="none"),
}
SEQUENCE_CROSSES = ("user_x_history", "site_x_tags", "site_x_history")
WITHOUT = {name: own for name, own in DECLARED.items() if name not in SEQUENCE_CROSSES}


def rows(count=60, seed=0):
    rng = np.random.default_rng(seed)

    def some(values):
        return pa.array(values, mask=rng.random(count) < 0.2)

    def some_lists(limit, longest):
        lists = [rng.integers(0, limit, rng.integers(0, longest + 1)).tolist() for _ in range(count)]
        return pa.array([None if rng.random() < 0.1 else one for one in lists], pa.list_(pa.int64()))

    return pa.table(
        {
            "user": some(rng.integers(0, 9, count)),
            "site": some(rng.integers(0, 20, count).astype(str)),
            "price": some(rng.lognormal(size=count)),
            "history": some_lists(9, 6),
            "tags": some_lists(40, 4),
            "y": pa.array(np.arange(count) % 2),
        }
    )


@pytest.fixture
def path(tmp_path):
    pq.write_table(rows(), tmp_path / "a.parquet", row_group_size=25)
    return str(tmp_path / "a.parquet")


@pytest.fixture
def fitted(path):
    def fit_(declared):
        features, columns = Features(columns=declared), Columns("y")
        return Encoder(features, columns, fit(features, columns, open_data(path), 1))

    return fit_


@pytest.fixture
def whole(fitted):
    return fitted(DECLARED)


def test_a_batch_has_the_shapes_of_its_spec(whole):
    batch = whole(rows(), WHERE)

    assert {key: (array.shape, array.dtype) for key, array in batch.items()} == {
        key: ((60, *shape), np.dtype(dtype)) for key, (shape, dtype) in whole.batch_spec.items()
    }
    widths = {name: batch[f"sequences/{name}"].shape[1] for name in SEQUENCE_CROSSES}
    assert widths == {"user_x_history": 3, "site_x_tags": 5, "site_x_history": 3}
    assert batch["ids"].shape[1] == 3


def test_a_row_has_as_many_pairs_as_its_sequence_has_values(whole):
    batch = whole(rows(500, seed=2), WHERE)

    for name, sequence in {"user_x_history": "history", "site_x_tags": "tags", "site_x_history": "history"}.items():
        np.testing.assert_array_equal(batch[f"lengths/{name}"], batch[f"lengths/{sequence}"])


def test_every_id_is_a_row_of_its_history(whole):
    batch = whole(rows(500, seed=5), WHERE)

    assert len(whole.layout["sequences"]) == 5
    for history in whole.layout["sequences"]:
        ids = np.concatenate(lists_of(batch, history["name"]))
        assert 0 < ids.min() <= ids.max() < history["rows"]


def test_other_features_and_the_tables_that_they_share_are_as_they_are_without_it(fitted, whole):
    alone = fitted(WITHOUT)

    batch, expected = whole(rows(), WHERE), alone(rows(), WHERE)

    assert_same({key: batch[key] for key in expected}, expected)
    assert [table for table in whole.layout["tables"] if table["name"] not in SEQUENCE_CROSSES] == (
        alone.layout["tables"]
    )
    assert vocabularies_of(whole) == vocabularies_of(alone)


def test_a_table_of_its_own_belongs_to_what_has_vectors(whole):
    tables = {table["name"]: (table["rows"], table["dim"]) for table in whole.layout["tables"]}

    assert {name: tables.get(name) for name in SEQUENCE_CROSSES} == {
        "user_x_history": None,
        "site_x_tags": (3 + 70, 5),
        "site_x_history": (3 + 60, 6),
    }


def test_a_field_is_what_is_pooled_and_has_a_width_above_1(whole):
    fields = {field["name"]: field for field in whole.layout["fields"]}

    assert list(fields) == ["user", "price", "site", "history", "site_x_tags"]
    assert fields["site_x_tags"] == {
        "name": "site_x_tags",
        "column": None,
        "table": "site_x_tags",
        "sequence": "site_x_tags",
        "pooling": "mean",
    }


def test_histories_are_sequences_and_crosses_of_them_pooled_or_not(whole):
    users = len(whole.statistics.fits["vocabularies"]["user"].values)
    assert whole.layout["sequences"] == [
        {"name": "user_x_history", "rows": 3 + 100, "table": None, "crossed": True},
        {
            "name": "history",
            "rows": 3 + users,
            "table": "user",
            "crossed": False,
        },
        {"name": "tags", "rows": 3 + 30, "table": "tags", "crossed": False},
        {"name": "site_x_tags", "rows": 3 + 70, "table": "site_x_tags", "crossed": True},
        {"name": "site_x_history", "rows": 3 + 60, "table": "site_x_history", "crossed": True},
    ]


def test_a_cross_of_a_sequence_is_no_category(whole):
    assert [category["name"] for category in whole.layout["categories"]] == ["user", "price", "site"]
    assert whole.features.categories == ["user", "price", "site"]


def test_the_file_needs_no_column_for_it(whole):
    assert whole.input_columns == ["user", "price", "site", "history", "tags", "y"]
    whole.check(rows().schema, WHERE)


@given(cut=st.integers(0, 60))
@few
def test_a_row_has_the_same_pairs_in_any_group_of_rows(cut):
    declared = {**DECLARED, "user": {"hash": 9}, "history": {"type": "sequence", "hash": 9, "max_length": 3}}
    one = encoder(declared, edges={"price": [0.5, 1.0, 2.0]})

    apart = [one(rows()[:cut], WHERE), one(rows()[cut:], WHERE)]

    for key, array in one(rows(), WHERE).items():
        np.testing.assert_array_equal(np.concatenate([part[key] for part in apart]), array)


def test_the_encoder_that_was_saved_and_loaded_makes_the_same_bytes(whole, tmp_path):
    whole.save(tmp_path / "encoder")
    loaded = Encoder.load(tmp_path / "encoder")

    assert_same(whole(rows(300, seed=3), WHERE), loaded(rows(300, seed=3), WHERE))
    assert (loaded.layout, loaded.batch_spec) == (whole.layout, whole.batch_spec)
    assert loaded.features == whole.features


def test_without_a_label_a_batch_is_else_the_same(whole):
    batch = whole(rows(), WHERE)
    del batch["label"], batch["weight"]

    assert_same(dataclasses.replace(whole, columns=None)(rows().drop_columns(["y"]), WHERE), batch)


def test_data_is_read_in_batches(whole, path):
    batches = list(as_tf_dataset(Reader(open_data(path), whole, batch_size=25, seed=1)))

    assert [batch["sequences/site_x_tags"].shape for batch in batches] == [(25, 5), (25, 5), (10, 5)]
    assert set(batches[0]) == set(whole.batch_spec)


# Settings

PARTS = {
    "user": {},
    "item": {},
    "price": {"type": "numeric", "as": "buckets"},
    "age": {"type": "numeric"},
    "history": {"type": "sequence"},
    "tags": {"type": "sequence"},
}


def declared_with(own, **defaults):
    return Features(defaults=defaults, columns={**PARTS, "a": own}).columns["a"]


def message(own, **defaults):
    with pytest.raises(ValidationError) as error:
        declared_with(own, **defaults)
    return str(error.value)


def test_it_has_width_1_and_sums():
    feature = declared_with(cross_of("item", "history", "price"))

    assert feature.of == ("item", "history", "price")
    assert (feature.hash, feature.dim, feature.pooling) == (BUCKETS, 1, "sum")


def test_default_dim_and_pooling_reach_it_and_its_own_override_them():
    defaults = {"dim": 8, "pooling": "mean"}
    one, other = (declared_with(cross_of("item", "history", **own), **defaults) for own in ({}, {"dim": 1}))

    assert (one.dim, one.pooling) == (8, "mean")
    assert (other.dim, other.pooling) == (1, "mean")


def test_a_default_hash_does_not_reach_it():
    assert declared_with(cross_of("item", "history"), hash=7).hash == BUCKETS
    assert "Field required" in message({"type": "sequence_cross", "of": ["item", "history"]}, hash=7)


def test_other_defaults_do_not_reach_it():
    defaults = {"vocabulary": {"min_count": 2}, "missing": ["?"], "max_length": 3, "transform": "log1p"}
    assert declared_with(cross_of("item", "history"), **defaults).dim == 1


def test_it_names_features_as_columns_does():
    columns = {1: {}, 2: {"type": "sequence"}, "both": {"type": "sequence_cross", "of": [1, 2], "hash": 10}}
    assert Features.model_validate({"columns": columns}).crosses["both"].of == ("1", "2")


def test_it_is_read_back_from_its_dump_as_it_was():
    features = Features(columns={"a": cross_of("history", "user", dim=4, pooling="none"), **PARTS})
    assert Features.model_validate(features.model_dump(mode="json", by_alias=True)) == features


def test_it_is_told_from_the_features_that_read_a_column():
    features = Features(columns={**PARTS, "a": cross_of("user", "history")})
    assert list(features.of_columns) == list(PARTS)
    assert list(features.crosses) == ["a"]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (cross_of("user", "histroy"), "columns.a.of: no feature 'histroy'; did you mean 'history'?"),
        (
            cross_of("user", "item"),
            "columns.a.of: must have exactly one sequence. For none, use `type: cross`. Received: none",
        ),
        (cross_of("history", "user", "tags"), "columns.a.of: must have exactly one sequence. Received: history, tags"),
        (cross_of("history", "user", "history"), "columns.a.of: duplicate feature 'history'"),
        (cross_of("user", "history", "user"), "columns.a.of: duplicate feature 'user'"),
        (
            cross_of("age", "history"),
            "columns.a.of: 'age' is a numeric feature. A sequence_cross takes one sequence, categorical and numeric "
            "features `as: buckets`",
        ),
        (
            cross_of("a", "history"),
            "columns.a.of: 'a' is a sequence_cross feature. A sequence_cross takes one sequence",
        ),
        (
            {**cross_of("user", "history"), "type": "cross"},
            "columns.a.of: 'history' is a sequence feature. A cross takes categorical and numeric features `as: "
            "buckets`. For a sequence, use `type: sequence_cross`.",
        ),
        (cross_of("history"), "at least 2 items"),
        (cross_of("user", "history", pooling="max"), "'mean', 'sum' or 'none'"),
        (
            cross_of("user", "history", max_length=3),
            "'max_length' is not a key of type sequence_cross, but of sequence",
        ),
        (
            cross_of("user", "history", column="x"),
            "'column' is not a key of type sequence_cross, but of categorical, numeric",
        ),
        (cross_of("user", "history", dims=3), "unknown key 'dims'; did you mean 'dim'?"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else None,
)
def test_a_mistake_is_named_with_what_to_do(own, expected):
    assert expected in message(own)


@pytest.mark.parametrize("kind", ["cross", "sequence_cross"])
def test_no_cross_is_of_a_cross_of_a_sequence(kind):
    columns = {**PARTS, "a": cross_of("user", "history"), "b": {**cross_of("item", "a"), "type": kind}}
    with pytest.raises(ValidationError, match=r"columns\.b\.of: 'a' is a sequence_cross feature. A"):
        Features(columns=columns)


def test_no_feature_shares_its_table():
    columns = {**PARTS, "a": cross_of("user", "history"), "friend": {"table": "a"}}
    with pytest.raises(ValidationError, match="'friend' cannot use table 'a', which belongs to a sequence_cross"):
        Features(columns=columns)
