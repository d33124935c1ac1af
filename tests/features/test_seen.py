"""Ids that never occur in the training data use the row of unknown values, however the ids are computed."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import NULL, OUT_OF_VOCABULARY, PADDING, Columns, DataError, Encoder, Features, fit_encoder, open_data

few = settings(max_examples=25, deadline=None, derandomize=True)
DECLARED = {
    "a": {"hash": 7},
    "b": {"identity": 9},
    "hour": {"column": "t", "part": "hour"},
    "x": {"type": "numeric", "as": "buckets", "buckets": 3},
    "word": {},
    "list": {"type": "sequence", "table": "b", "identity": 9},
    "a_x_x": {"type": "cross", "of": ["a", "x"], "hash": 11},
    "word_x_list": {"type": "sequence_cross", "of": ["word", "list"], "hash": 13},
}
TRACKED = ("a", "b", "hour", "a_x_x")


def rows_of(size, seed, words="pqrs"):
    """Return rows with nulls, empty lists and a label."""
    random = np.random.default_rng(seed)
    lists = [random.integers(0, 9, random.integers(0, 4)).tolist() for _ in range(size)]
    return pa.table(
        {
            "a": pa.array(
                [None if k == 0 else words[k % len(words)] for k in random.integers(0, 9, size)], pa.string()
            ),
            "b": pa.array(random.integers(0, 9, size), mask=random.random(size) < 0.2),
            "t": pa.array(random.integers(0, 10**5, size).astype("datetime64[s]")),
            "x": random.normal(size=size),
            "word": pa.array([words[k] for k in random.integers(0, len(words), size)]),
            "list": pa.array(lists, pa.list_(pa.int64())),
            "y": np.arange(size) % 2,
        }
    )


def written(path, *groups):
    with pq.ParquetWriter(path, groups[0].schema) as writer:
        for group in groups:
            writer.write_table(group)
    return open_data(str(path))


def fitted(row_groups, declared=DECLARED, known=None, **settings_):
    return fit_encoder(Features(columns=declared, **settings_), Columns("y"), row_groups, 1, known)


def ids_by_feature(encoder, table):
    """Return, by feature, the table rows of its values."""
    values = encoder.values(table, "here")
    return {name: encoder.ids(name, values[name], "here") for name in encoder.features.columns}


@given(seed=st.integers(0, 10**6), sizes=st.tuples(st.integers(2, 8), st.integers(2, 8)))
@few
def test_an_id_of_the_training_data_keeps_its_row_and_another_becomes_unknown(tmp_path_factory, seed, sizes):
    train = [rows_of(size, seed + k) for k, size in enumerate(sizes)]
    row_groups = written(tmp_path_factory.mktemp("data") / "a.parquet", *train)
    shared, own = fitted(row_groups), fitted(row_groups, unseen="own")
    of_train = ids_by_feature(own, pa.concat_tables(train))
    by_table = {name: set(ids.tolist()) for name, ids in of_train.items()}
    by_table["b"] = by_table["list"] = by_table["b"] | by_table["list"]  # features that share a table
    other = rows_of(40, seed + 99, words="pqrstuv")

    for table in (pa.concat_tables(train), other):
        found, before = ids_by_feature(shared, table), ids_by_feature(own, table)
        for name, ids in before.items():
            is_known = [id_ in by_table[name] or id_ <= OUT_OF_VOCABULARY for id_ in ids.tolist()]
            if name in ("word", "x"):
                is_known = np.ones(len(ids), bool)
            np.testing.assert_array_equal(found[name], np.where(is_known, ids, OUT_OF_VOCABULARY), name)
            assert found[name].dtype == np.int32


def test_padding_and_null_stay_what_they_are(tmp_path):
    train = rows_of(30, 1)
    encoder = fitted(written(tmp_path / "a.parquet", train.filter(train["b"].is_valid())))
    empty = pa.table({**{name: train[name][:2] for name in train.column_names}, "b": pa.nulls(2, pa.int64())})
    empty = empty.set_column(empty.schema.get_field_index("list"), "list", pa.array([[], None], pa.list_(pa.int64())))

    batch = encoder(empty, "here")

    assert batch["ids"][:, 1].tolist() == [NULL, NULL]
    assert (batch["sequences/list"] == PADDING).all()


def test_seen_rows_are_saved(tmp_path):
    encoder = fitted(written(tmp_path / "a.parquet", rows_of(5, 1)))
    encoder.save(tmp_path / "encoder")

    loaded = Encoder.load(tmp_path / "encoder")

    assert list(loaded.seen) == ["a", "b", "hour", "a_x_x", "word_x_list"]
    for table, rows in encoder.seen.items():
        np.testing.assert_array_equal(loaded.seen[table], rows)
        assert loaded.seen[table].dtype == bool


def test_what_was_seen_before_counts_as_seen(tmp_path):
    first, second = rows_of(6, 1), rows_of(6, 2)
    one = fitted(written(tmp_path / "a.parquet", first))
    both = fitted(written(tmp_path / "b.parquet", second), known=one)
    alone = fitted(written(tmp_path / "b.parquet", second))

    for table in TRACKED[:3]:  # the bucket of a cross depends on what came first
        np.testing.assert_array_equal(both.seen[table], one.seen[table] | alone.seen[table])


def test_a_table_that_was_trained_without_a_record_keeps_all_its_ids(tmp_path):
    data = written(tmp_path / "a.parquet", rows_of(6, 1))
    assert fitted(data, known=fitted(data, unseen="own")).seen == {}


def test_own_rows_cost_no_reading_of_the_columns(tmp_path):
    declared = {"a": {"hash": 7}, "b": {"identity": 9}}
    own, shared = (written(tmp_path / name, rows_of(6, 1)) for name in ("own.parquet", "shared.parquet"))

    fitted(own, declared, unseen="own")
    fitted(shared, declared)

    assert set(own[0].file.contents.known()) == {"y"}
    assert set(shared[0].file.contents.known()) == {"y", "a", "b"}


def test_an_id_outside_identity_is_an_error_of_the_fitting_pass(tmp_path):
    data = written(tmp_path / "a.parquet", pa.table({"b": [1, 9], "y": [0, 1]}))
    with pytest.raises(DataError, match=r"a.parquet.*'b' holds the id 9"):
        fitted(data, {"b": {"identity": 9}})


def test_examples_of_weight_0_do_not_count(tmp_path):
    table = pa.table({"b": [1, 2, 3], "y": [0, 1, 0], "w": [1.0, 0.5, 0.0]})
    features = Features(columns={"b": {"identity": 9}, "list": {"type": "sequence", "table": "b", "identity": 9}})
    table = table.append_column("list", pa.array([[4], [], [5, 6]], pa.list_(pa.int64())))

    encoder = fit_encoder(features, Columns("y", "w"), written(tmp_path / "a.parquet", table), 1)

    assert np.flatnonzero(encoder.seen["b"]).tolist() == [0, 1, 2, 4, 5, 7]  # ids 1, 2 and 4 behind the special rows


def test_a_record_that_is_too_short_is_refused(tmp_path):
    encoder = fitted(written(tmp_path / "a.parquet", rows_of(5, 1)))
    encoder.save(tmp_path / "encoder")
    pq.write_table(pa.table({"bits": np.zeros(1, np.uint8)}), tmp_path / "encoder" / "seen-001.parquet")

    with pytest.raises(DataError, match=r"damaged encoder: seen-001.parquet has 1 bytes, expected 2"):
        Encoder.load(tmp_path / "encoder")
