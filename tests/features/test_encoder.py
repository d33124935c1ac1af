"""Values become the ids and floats of a batch, and a saved and loaded encoder computes the same ones."""

import math

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from features import Columns, DataError, Encoder, Features
from features.batch import NULL, OUT_OF_VOCABULARY, PADDING, SPECIAL_ROWS
from features.fits.moments import Moments
from tests.features.fits import statistics_of

WHERE = "clicks.parquet, row group 3"
few = settings(max_examples=50, deadline=None)


def encoder(declared, vocabularies=None, moments=None, columns=None):
    counts = {name: np.arange(len(values), 0, -1) for name, values in (vocabularies or {}).items()}
    return Encoder(Features(columns=declared), columns or Columns("y"), statistics_of(vocabularies, counts, moments))


def encode(encoder_, **columns):
    table = pa.table(columns)
    if "y" not in columns:
        table = table.append_column("y", pa.array(np.zeros(len(table), np.int8)))
    return encoder_(table, WHERE)


def ids(column, declared=None, vocabulary=None):
    vocabularies = None if vocabulary is None else {"x": vocabulary}
    return encode(encoder({"x": declared or {}}, vocabularies), x=pa.array(column))["ids"][:, 0].tolist()


def numerics(column, moments=None, **declared):
    one = encoder({"x": {"type": "numeric", **declared}}, moments={"x": Moments(*(moments or (0.0, 1.0)))})
    return encode(one, x=pa.array(column, pa.float64()))["numerics"].T.tolist()


def assert_same(batch, other):
    assert list(batch) == list(other)
    for key, array in batch.items():
        assert (array.dtype, array.shape, array.tobytes()) == (other[key].dtype, other[key].shape, other[key].tobytes())


# Vocabularies


def test_padding_null_and_out_of_vocabulary_are_the_first_three_rows_of_a_table():
    assert (PADDING, NULL, OUT_OF_VOCABULARY, SPECIAL_ROWS) == (0, 1, 2, 3)


def test_value_k_of_a_vocabulary_is_row_k_plus_3():
    assert ids(["b", "c", "a"], vocabulary=["c", "a", "b"]) == [5, 3, 4]


def test_an_unseen_value_is_row_2_and_a_null_is_row_1():
    assert ids(["a", "z", None, ""], vocabulary=["a"]) == [3, 2, 1, 2]


@pytest.mark.parametrize("column", [pa.nulls(2), pa.nulls(2, pa.string()), pa.nulls(2, pa.int32())], ids=str)
@pytest.mark.parametrize("vocabulary", [["a"], [7], pa.array([2**63], pa.uint64())], ids=str)
def test_a_column_of_nulls_is_row_1_whatever_the_vocabulary(column, vocabulary):
    assert ids(column, vocabulary=vocabulary) == [1, 1]


@pytest.mark.parametrize("column", [["a", None], [1, None], pa.array([2**63, None], pa.uint64())], ids=str)
def test_where_training_saw_nulls_only_every_value_is_unseen(column):
    assert ids(column, vocabulary=pa.array([], pa.large_string())) == [2, 1]


@pytest.mark.parametrize(
    "numbers",
    [
        pa.array([2**53, 2**53 + 1, -(2**63), 2**63 - 1], pa.int64()),
        pa.array([2**53, 2**53 + 1, 2**64 - 1, 2**64 - 2], pa.uint64()),
    ],
    ids=["int64", "uint64"],
)
def test_integers_beyond_2_to_the_53_are_told_apart_also_beside_nulls(numbers):
    column = pa.concat_arrays([numbers, pa.nulls(1, numbers.type)])
    assert ids(column, vocabulary=numbers) == [3, 4, 5, 6, 1]
    assert ids(column, vocabulary=numbers[:1]) == [3, 2, 2, 2, 1]


@pytest.mark.parametrize("declared", [{}, {"hash": 7}, {"missing": ["a"]}], ids=str)
def test_a_dictionary_of_texts_has_the_ids_of_the_texts(declared):
    column = pa.array([f"{k}" for k in range(128)] + ["a", None, "a"])
    dictionary = column.cast(pa.dictionary(pa.int16(), pa.string()))
    vocabulary = None if "hash" in declared else ["a", "5", "127"]
    assert ids(dictionary, declared, vocabulary) == ids(column, declared, vocabulary)


@pytest.mark.parametrize("type_", [pa.int8(), pa.int32(), pa.uint32(), pa.dictionary(pa.int8(), pa.int16())], ids=str)
def test_integers_of_another_width_than_fitted_are_the_same_values(type_):
    column = pa.array([7, None, 5], type_.value_type if pa.types.is_dictionary(type_) else type_)
    assert ids(column.dictionary_encode() if pa.types.is_dictionary(type_) else column, vocabulary=[5, 7]) == [4, 1, 3]


@pytest.mark.parametrize(("column", "vocabulary"), [([1], ["1"]), (["1"], [1])], ids=["integers", "strings"])
def test_values_of_another_type_than_fitted_are_an_error_that_names_both(column, vocabulary):
    here, trained = ("int64", "string") if column == [1] else ("string", "int64")
    with pytest.raises(DataError, match=f"{WHERE}: the values of 'x' are {here}, but {trained} in the training data"):
        ids(column, vocabulary=vocabulary)


@given(
    vocabulary=st.lists(st.text(max_size=3), unique=True, min_size=1, max_size=10),
    column=st.lists(st.none() | st.text(max_size=3), max_size=10),
)
@few
def test_rows_of_any_text_are_found_by_looking_it_up(vocabulary, column):
    column = [*column, *vocabulary[:2]]
    expected = [1 if v is None else 3 + vocabulary.index(v) if v in vocabulary else 2 for v in column]
    assert ids(pa.array(column, pa.string()), vocabulary=vocabulary) == expected


# Hashes


def farm_hash(texts, buckets):
    return (tf.strings.to_hash_bucket_fast(tf.constant(texts), buckets).numpy() + SPECIAL_ROWS).tolist()


@given(words=st.lists(st.text(max_size=8), min_size=1, max_size=8), buckets=st.integers(1, 2**31 - 4))
@few
def test_the_hash_of_text_is_tensorflows(words, buckets):
    assert ids(words, {"hash": buckets}) == farm_hash([word.encode() for word in words], buckets)


@pytest.mark.parametrize(
    ("type_", "numbers"),
    [
        (pa.int64(), [0, -1, 2**53 + 1, 2**63 - 1, -(2**63)]),
        (pa.uint64(), [0, 2**53 + 1, 2**63, 2**64 - 1]),
        (pa.int8(), [-128, 127]),
    ],
    ids=str,
)
def test_the_hash_of_an_integer_is_that_of_its_decimal(type_, numbers):
    column = pa.array([*numbers, None], type_)
    assert ids(column, {"hash": 1000}) == [*farm_hash([str(number) for number in numbers], 1000), 1]


def test_the_hash_of_a_boolean_is_that_of_its_word():
    assert ids([True, False], {"hash": 1000}) == farm_hash(["true", "false"], 1000)


@pytest.mark.parametrize("column", [pa.nulls(2), pa.nulls(2, pa.int64())], ids=str)
def test_a_column_of_nulls_hashes_to_row_1(column):
    assert ids(column, {"hash": 10}) == [1, 1]


# Identity


@pytest.mark.parametrize("type_", [pa.int8(), pa.int64(), pa.uint64(), pa.uint16()], ids=str)
def test_with_identity_id_k_is_row_k_plus_3(type_):
    assert ids(pa.array([0, None, 4, 2], type_), {"identity": 5}) == [3, 1, 7, 5]


@pytest.mark.parametrize("column", [pa.nulls(2), pa.nulls(2, pa.string())], ids=str)
def test_with_identity_a_column_of_nulls_is_row_1(column):
    assert ids(column, {"identity": 5}) == [1, 1]


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (pa.int8(), -1),
        (pa.int64(), 5),
        (pa.int64(), 2**40),
        (pa.uint64(), 5),
        (pa.uint64(), 2**63),
        (pa.int64(), -(2**63)),
    ],
    ids=str,
)
def test_an_id_outside_identity_is_an_error_that_says_where_and_what_is_allowed(type_, value):
    with pytest.raises(DataError) as error:
        ids(pa.array([0, None, value], type_), {"identity": 5})
    for part in (WHERE, "'x'", f"the id {value} ", "0 to 4"):
        assert part in str(error.value)


def test_an_id_outside_identity_in_a_list_is_an_error_where_it_is_kept():
    one = encoder({"x": {"type": "sequence", "identity": 5, "max_length": 1}})
    assert encode(one, x=[[9, 1], []])["sequences/x"].tolist() == [[4], [0]]
    with pytest.raises(DataError, match=f"{WHERE}: column 'x' holds the id 9 "):
        encode(one, x=[[0, 1], [], [0, 9]])


@pytest.mark.parametrize("column", [["1"], [True]], ids=["text", "boolean"])
def test_identity_needs_integers(column):
    with pytest.raises(DataError, match=f"{WHERE}: column 'x' must be integers for `identity`"):
        ids(column, {"identity": 5})


@pytest.mark.parametrize(("part", "expected"), [("hour", 3 + 23), ("weekday", 3 + 5), ("day", 3 + 30)])
def test_a_part_of_a_time_is_its_row(part, expected):
    last_second_of_january = pa.array([1_769_903_999, None]).cast(pa.timestamp("s"))  # Saturday, 23:59:59
    assert ids(last_second_of_january, {"part": part}) == [expected, 1]


# Numerics


def test_a_number_is_standardized_by_the_moments():
    assert numerics([1.0, 5.0, 3.0], moments=(3.0, 4.0)) == [[-0.5, 0.5, 0.0]]


def test_log1p_keeps_the_sign_and_comes_before_standardizing():
    found = numerics([math.e - 1, -(math.e - 1), 0.0], moments=(0.5, 2.0), transform="log1p")
    assert found == [pytest.approx([0.25, -0.75, -0.25], abs=1e-6)]


def test_without_standardize_a_number_is_as_it_is():
    assert numerics([1.5, -2.0], moments=(7.0, 3.0), standardize=False) == [[1.5, -2.0]]


@pytest.mark.parametrize(("clip", "expected"), [(10.0, [-10, 10, 9]), (2.0, [-2, 2, 2]), (None, [-50, 50, 9])])
def test_clip_bounds_the_standardized_number(clip, expected):
    assert numerics([-100.0, 100.0, 18.0], moments=(0.0, 2.0), clip=clip) == [expected]


def test_a_null_number_is_0_after_all_else():
    assert numerics([None, float("nan"), 5.0], moments=(3.0, 2.0)) == [[0, 0, 1]]
    assert numerics([None, 5.0], standardize=False) == [[0, 5]]


def test_a_missing_indicator_is_one_more_number():
    assert numerics([None, 5.0, float("nan")], moments=(3.0, 2.0), missing_indicator=True) == [[0, 1, 0], [1, 0, 1]]


def test_an_embedded_number_scales_row_3_and_a_null_is_row_1_as_it_is():
    one = encoder({"x": {"type": "numeric", "as": "embedding"}}, moments={"x": Moments(3.0, 2.0)})
    batch = encode(one, x=[5.0, None, 2.0])
    assert batch["ids"].tolist() == [[3], [1], [3]]
    assert batch["numerics"].tolist() == [[1.0], [1.0], [-0.5]]


@pytest.mark.parametrize(("value", "deviation"), [(1e300, 1.0), (3e38, 0.001)], ids=["stored", "standardized"])
def test_a_number_too_large_for_float32_is_an_error_that_says_where(value, deviation):
    with pytest.raises(DataError, match=f"{WHERE}.*'x'"):
        numerics([1.0, value], moments=(0.0, deviation), clip=None)


# Sequences


def test_a_sequence_is_padded_behind_with_0_and_has_its_length():
    one = encoder({"x": {"type": "sequence", "max_length": 3}}, {"x": ["a", "b"]})
    batch = encode(one, x=[["b", "a"], None, [], ["z", None, "a"]])
    assert batch["sequences/x"].tolist() == [[4, 3, 0], [0, 0, 0], [0, 0, 0], [2, 1, 3]]
    assert batch["lengths/x"].tolist() == [2, 0, 0, 3]


@given(
    rows=st.lists(st.none() | st.lists(st.none() | st.integers(0, 9), max_size=6), min_size=1, max_size=8),
    max_length=st.integers(1, 7),
)
@few
def test_a_sequence_keeps_the_last_values_in_order(rows, max_length):
    one = encoder({"x": {"type": "sequence", "identity": 10, "max_length": max_length}})
    batch = encode(one, x=pa.array(rows, pa.list_(pa.int64())))
    kept = [[NULL if id_ is None else id_ + 3 for id_ in (row or [])[-max_length:]] for row in rows]
    assert batch["sequences/x"].tolist() == [row + [0] * (max_length - len(row)) for row in kept]
    assert batch["lengths/x"].tolist() == [len(row) for row in kept]


def test_a_column_of_type_null_is_padding_only():
    one = encoder({"x": {"type": "sequence", "max_length": 2}}, {"x": ["a"]})
    batch = encode(one, x=pa.nulls(2))
    assert batch["sequences/x"].tolist() == [[0, 0], [0, 0]]
    assert batch["lengths/x"].tolist() == [0, 0]


def test_a_sequence_and_a_categorical_of_one_table_have_the_same_rows():
    one = encoder({"item": {}, "x": {"type": "sequence", "table": "item", "max_length": 2}}, {"item": ["a", "b"]})
    batch = encode(one, item=["b", "a"], x=[["b"], ["a", "b"]])
    assert batch["ids"].tolist() == [[4], [3]]
    assert batch["sequences/x"].tolist() == [[4, 0], [3, 4]]


# The whole batch

DECLARED = {
    "user": {"dim": 8},
    "price": {"type": "numeric", "missing_indicator": True},
    "history": {"type": "sequence", "table": "user", "dim": 8, "max_length": 3, "pooling": "sum"},
    "age": {"type": "numeric", "as": "embedding", "dim": 4},
    "site": {"hash": 100, "dim": 2},
    "slot": {"identity": 5, "dim": 1},
    "hour": {"column": "ts", "part": "hour", "time_zone": "Asia/Tokyo", "dim": 3},
    "visits": {"column": "age", "type": "numeric", "transform": "log1p", "clip": None},
    "tags": {"type": "sequence", "hash": 7, "max_length": 2},
}
COLUMNS = {
    "user": ["é", "b", None, "z"],
    "price": [1.5, None, 0.1, 7.0],
    "history": [["b", "é"], None, ["z", "b", "b", "é"], []],
    "age": [10, 20, None, 30],
    "site": [1, 2, None, 4],
    "slot": [0, 4, None, 1],
    "ts": pa.array([0, 3600, None, 7200]).cast(pa.timestamp("s")),
    "tags": [[1], [2, 3, 4], [], None],
    "y": [0, 1, 1, 0],
    "w": [1.0, 0.5, 2.0, 0.0],
}


@pytest.fixture
def whole():
    moments = {"price": Moments(0.1 + 0.2, 1 / 3), "age": Moments(20.0, 7.0), "visits": Moments(2.5, 0.7)}
    return encoder(DECLARED, {"user": ["é", "b"]}, moments, Columns("y", "w"))


def test_the_columns_of_a_batch_stand_in_declared_order(whole):
    batch = encode(whole, **COLUMNS)
    assert batch["ids"].tolist()[1] == [4, 3, *farm_hash(["2"], 100), 7, 3 + 10]
    assert batch["ids"].tolist()[2] == [1, 1, 1, 1, 1]
    assert batch["numerics"][1].tolist() == pytest.approx([0, 1, 0, (math.log1p(20) - 2.5) / 0.7], abs=1e-6)
    assert batch["label"].tolist() == [0, 1, 1, 0]
    assert batch["weight"].tolist() == [1.0, 0.5, 2.0, 0.0]


def test_a_batch_has_the_shapes_and_types_of_its_spec(whole):
    batch = encode(whole, **COLUMNS)
    assert {key: (array.shape, array.dtype) for key, array in batch.items()} == {
        key: ((4, *shape), np.dtype(dtype)) for key, (shape, dtype) in whole.batch_spec.items()
    }


def test_a_batch_of_numerics_or_of_sequences_only_has_the_shapes_of_its_spec():
    one = encoder({"x": {"type": "sequence", "hash": 5}})
    batch = encode(one, x=[[1], [2]])
    assert batch["ids"].shape == (2, *one.batch_spec["ids"][0]) == (2, 0)
    assert batch["numerics"].shape == (2, *one.batch_spec["numerics"][0]) == (2, 0)


def test_the_layout_names_every_table_with_its_rows_and_width(whole):
    assert [(table["name"], table["rows"], table["dim"]) for table in whole.layout["tables"]] == [
        ("user", 3 + 2, 8),
        ("age", 3 + 1, 4),
        ("site", 3 + 100, 2),
        ("slot", 3 + 5, 1),
        ("hour", 3 + 24, 3),
        ("tags", 3 + 7, 16),
    ]


def test_the_layout_says_where_each_field_is_in_the_batch(whole):
    assert whole.layout["fields"] == [
        {"name": "user", "column": 0, "table": "user"},
        {"name": "history", "column": None, "table": "user", "sequence": "history", "pooling": "sum"},
        {"name": "age", "column": 1, "table": "age", "scale": 2},
        {"name": "site", "column": 2, "table": "site"},
        {"name": "slot", "column": 3, "table": "slot"},
        {"name": "hour", "column": 4, "table": "hour"},
        {"name": "tags", "column": None, "table": "tags", "sequence": "tags", "pooling": "mean"},
    ]


def test_the_layout_names_each_column_of_numerics_and_which_are_inputs_of_their_own(whole):
    assert whole.layout["numerics"] == ["price", "price is null", "age", "visits"]
    assert whole.layout["plain"] == [0, 1, 3]


def test_every_id_of_a_batch_is_a_row_of_its_table(whole):
    batch = encode(whole, **COLUMNS)
    rows = {table["name"]: table["rows"] for table in whole.layout["tables"]}
    for field in whole.layout["fields"]:
        found = batch[f"sequences/{field['sequence']}"] if "sequence" in field else batch["ids"][:, field["column"]]
        assert found.min() >= 0
        assert found.max() < rows[field["table"]]


def test_input_columns_are_those_of_features_label_and_weight_each_once(whole):
    assert sorted(whole.input_columns) == sorted(COLUMNS)


@given(order=st.permutations(range(4)))
@few
def test_a_row_is_encoded_the_same_wherever_it_stands(order):
    one = encoder({name: own for name, own in DECLARED.items() if own.get("type") != "numeric"}, {"user": ["é", "b"]})
    table = pa.table(COLUMNS)
    batch, moved = one(table, WHERE), one(table.take(pa.array(order)), WHERE)
    assert_same({key: array[list(order)] for key, array in batch.items()}, moved)


def test_check_refuses_a_column_of_a_wrong_type(whole):
    schema = pa.table({**COLUMNS, "user": [0.5] * 4}).schema
    with pytest.raises(DataError, match=r"clicks\.parquet: column 'user' has type double"):
        whole.check(schema, "clicks.parquet")
    whole.check(pa.table(COLUMNS).schema, "clicks.parquet")


@pytest.mark.parametrize(("bad", "message"), [({"y": [0, 1, 1, 2]}, "'y' is 2"), ({"w": [-1.0] * 4}, "'w' is -1.0")])
def test_a_bad_label_or_weight_is_an_error_that_says_where(whole, bad, message):
    with pytest.raises(DataError, match=f"{WHERE}: {message} "):
        encode(whole, **{**COLUMNS, **bad})


# Saving


def test_an_encoder_that_was_saved_and_loaded_makes_the_same_bytes(whole, tmp_path):
    whole.save(tmp_path / "run" / "encoder")
    loaded = Encoder.load(tmp_path / "run" / "encoder")
    assert_same(encode(whole, **COLUMNS), encode(loaded, **COLUMNS))
    assert (loaded.layout, loaded.batch_spec) == (whole.layout, whole.batch_spec)
    assert loaded.input_columns == whole.input_columns


@pytest.mark.parametrize(
    "vocabulary",
    [
        pa.array([2**63 - 1, -(2**63), 2**53 + 1], pa.int64()),
        pa.array([2**64 - 1, 0], pa.uint64()),
        pa.array(["", "é\n", "a"], pa.large_string()),
        pa.array([], pa.large_string()),
        pa.array([], pa.int64()),
    ],
    ids=str,
)
def test_a_vocabulary_is_saved_bit_for_bit(tmp_path, vocabulary):
    encoder({"x": {}}, {"x": vocabulary}).save(tmp_path / "encoder")
    loaded = Encoder.load(tmp_path / "encoder").statistics.fits["vocabularies"]["x"].values
    assert loaded.type == vocabulary.type
    assert loaded.to_pylist() == vocabulary.to_pylist()


@given(mean=st.floats(allow_nan=False, allow_infinity=False), deviation=st.floats(1e-300, 1e300))
@settings(max_examples=20, deadline=None)
def test_moments_are_saved_bit_for_bit(tmp_path_factory, mean, deviation):
    folder = tmp_path_factory.mktemp("run") / "encoder"
    encoder({"x": {"type": "numeric"}}, moments={"x": Moments(mean, deviation)}).save(folder)
    assert Encoder.load(folder).statistics.fits["moments"] == {"x": Moments(mean, deviation)}


def test_names_that_no_file_could_have_are_saved(tmp_path):
    encoder({"a/b\0": {}, "..": {}}, {"a/b\0": ["x"], "..": ["y"]}).save(tmp_path / "encoder")
    loaded = Encoder.load(tmp_path / "encoder")
    fits = loaded.statistics.fits["vocabularies"]
    assert {name: fit.values.to_pylist() for name, fit in fits.items()} == {"a/b\0": ["x"], "..": ["y"]}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        *[("encoder.json", None), ("encoder.json", "{"), ("encoder.json", "[]"), ("encoder.json", "{}")],
        *[("vocabulary-000.parquet", None), ("vocabulary-000.parquet", "no data")],
    ],
)
def test_a_damaged_encoder_is_an_error_that_names_the_folder(whole, tmp_path, file, text):
    folder = tmp_path / "encoder"
    whole.save(folder)
    (folder / file).unlink()
    if text is not None:
        (folder / file).write_text(text)
    with pytest.raises(DataError, match=f"{folder}: damaged encoder"):
        Encoder.load(folder)
