"""The fitting pass: vocabularies, moments, and what makes training data unfit."""

import math
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import features.fits.vocabulary
from features import Columns, DataError, Features, fit, open_data

LABEL = Columns("y")
few = settings(max_examples=30, deadline=None)


def write(path, *groups):
    """Write a Parquet file with one row group for each dict of columns; without `y`, labels alternate."""
    tables = [pa.table(group) for group in groups]
    tables = [t if "y" in t.column_names else t.append_column("y", pa.array(np.arange(len(t)) % 2)) for t in tables]
    with pq.ParquetWriter(path, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)
    return str(path)


def fitted(path, declared, columns=LABEL, seed=1):
    return fit(Features(columns=declared), columns, open_data(path), seed)


def vocabulary(path, declared, table="x"):
    return fitted(path, declared).fits["vocabularies"][table].values.to_pylist()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.parquet"


# Vocabularies


def test_a_vocabulary_is_ordered_by_count_then_by_value(file):
    path = write(file, {"x": ["b", "c", "a", "c"]}, {"x": ["c", "d", "b", "a"]})
    assert vocabulary(path, {"x": {}}) == ["c", "a", "b", "d"]


@given(
    groups=st.lists(st.lists(st.none() | st.text(max_size=2), min_size=2, max_size=12), min_size=1, max_size=4),
    min_count=st.integers(1, 3),
)
@few
def test_a_vocabulary_holds_the_values_seen_min_count_times(tmp_path_factory, groups, min_count):
    file = tmp_path_factory.mktemp("data") / "a.parquet"
    path = write(file, *({"x": pa.array(group, pa.string())} for group in groups))
    words = [word for group in groups for word in group if word is not None]
    kept = {word for word in words if words.count(word) >= min_count}
    expected = sorted(kept, key=lambda word: (-words.count(word), word))
    assert vocabulary(path, {"x": {"vocabulary": {"min_count": min_count}}}) == expected


@pytest.mark.parametrize(
    ("type_", "numbers"),
    [
        (pa.int64(), [2**53 + 1, 2**53, -(2**63), 2**53 + 1]),
        (pa.uint64(), [2**64 - 1, 2**64 - 2, 0, 2**64 - 1]),
        (pa.int8(), [3, -1, 2, 3]),
    ],
    ids=str,
)
def test_a_vocabulary_of_integers_keeps_all_bits(file, type_, numbers):
    path = write(file, {"x": pa.array(numbers, type_)})
    assert vocabulary(path, {"x": {}}) == [numbers[0], *sorted(numbers[1:3])]


def test_nulls_and_missing_values_are_not_in_a_vocabulary(file):
    path = write(file, {"x": ["?", None, "a", ""]})
    assert vocabulary(path, {"x": {"missing": ["?", ""]}}) == ["a"]


def test_a_column_of_nulls_has_an_empty_vocabulary(file):
    assert vocabulary(write(file, {"x": pa.nulls(2)}), {"x": {}}) == []


def test_of_a_long_list_the_last_values_are_counted(file):
    path = write(file, {"x": [["a", "b", "c"], ["b", "c"]]})
    assert vocabulary(path, {"x": {"type": "sequence", "max_length": 2}}) == ["b", "c"]


def test_a_shared_table_counts_the_values_of_all_its_features(file):
    path = write(file, {"x": ["a", "b"], "history": [["c", "c", "b"], ["c", "b"]]})
    declared = {"x": {}, "history": {"type": "sequence", "table": "x"}}
    assert vocabulary(path, declared) == ["b", "c", "a"]
    assert list(fitted(path, declared).fits["vocabularies"]) == ["x"]


def test_only_features_with_a_vocabulary_are_counted(file):
    path = write(file, {"x": ["a", "b"], "n": [1, 2]})
    declared = {"x": {"hash": 10}, "n": {"identity": 10}, "m": {"column": "n", "type": "numeric"}}
    assert "vocabularies" not in fitted(path, declared).fits


@pytest.mark.parametrize("merge_above", [0, 3, 10**6])
def test_when_counts_are_merged_changes_nothing(file, monkeypatch, merge_above):
    monkeypatch.setattr(features.fits.vocabulary, "MERGE_ABOVE", merge_above)
    path = write(file, *({"x": [k % 3, k % 2, 5]} for k in range(6)))
    assert vocabulary(path, {"x": {}}) == [5, 0, 1, 2]


@given(
    values=st.lists(st.none() | st.integers(0, 9), min_size=2, max_size=40)
    | st.lists(st.none() | st.text("ab", max_size=3), min_size=2, max_size=40),
    sizes=st.lists(st.integers(2, 9), min_size=1, max_size=20),
    merge_above=st.sampled_from([0, 1, 4, 10**6]),
)
@few
def test_neither_row_groups_nor_merges_change_a_vocabulary(tmp_path_factory, values, sizes, merge_above):
    folder = tmp_path_factory.mktemp("data")
    ends = [end for end in np.cumsum(sizes).tolist() if end < len(values)]
    column, labels = pa.array(values), np.arange(len(values)) % 2
    parts = [slice(*cut) for cut in pairwise([0, *ends, len(values)])]
    whole = fitted(write(folder / "whole.parquet", {"x": column, "y": labels}), {"x": {}})
    divided = write(folder / "divided.parquet", *({"x": column[part], "y": labels[part]} for part in parts))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(features.fits.vocabulary, "MERGE_ABOVE", merge_above)
        found = fitted(divided, {"x": {}})
    assert found.fits["vocabularies"]["x"].values.equals(whole.fits["vocabularies"]["x"].values)
    assert found.fits["vocabularies"]["x"].counts.tolist() == whole.fits["vocabularies"]["x"].counts.tolist()


def test_merging_takes_time_in_proportion_to_what_is_counted(file, monkeypatch):
    """64 row groups share no value, and values are merged when as many wait as are merged already."""
    merged = []
    merge = features.fits.vocabulary.ValueCounts._merge_counted

    def watched(counter):
        merged.append(sum(map(len, counter.counted)))
        merge(counter)

    monkeypatch.setattr(features.fits.vocabulary, "MERGE_ABOVE", 0)
    monkeypatch.setattr(features.fits.vocabulary.ValueCounts, "_merge_counted", watched)
    path = write(file, *({"x": [2 * k, 2 * k + 1]} for k in range(64)))
    assert len(vocabulary(path, {"x": {}})) == 128
    assert sum(merged) <= 4 * 128


def test_a_vocabulary_may_hold_max_distinct_values(file):
    path = write(file, {"x": [1, 2]}, {"x": [3, 1]})
    assert vocabulary(path, {"x": {"vocabulary": {"max_distinct": 3}}}) == [1, 2, 3]


@pytest.mark.parametrize("min_count", [1, 2])
def test_more_than_max_distinct_values_are_an_error_that_suggests_hash(file, min_count):
    path = write(file, {"x": [1, 2]}, {"x": [3, 1]})
    with pytest.raises(DataError, match=r"table 'x': more than 2 distinct values.*`hash`"):
        vocabulary(path, {"x": {"vocabulary": {"max_distinct": 2, "min_count": min_count}}})


def test_a_known_vocabulary_keeps_its_places_and_grows_by_values_seen_min_count_times(tmp_path):
    declared = {"x": {"vocabulary": {"min_count": 2}}}
    before = fitted(write(tmp_path / "a.parquet", {"x": ["b", "b", "a", "a", "a", "once"]}), declared)
    path = write(tmp_path / "b.parquet", {"x": ["new", "b", "new", "rare", "newer", "newer", "newer", "once"]})

    grown = fit(Features(columns=declared), LABEL, open_data(path), 1, before)

    assert grown.fits["vocabularies"]["x"].values.to_pylist() == ["a", "b", "newer", "new"]
    assert grown.fits["vocabularies"]["x"].counts.tolist() == [3, 2 + 1, 3, 2]


def test_known_moments_and_edges_stay(tmp_path):
    declared = {"x": {"type": "numeric"}, "y2": {"type": "numeric", "as": "buckets", "buckets": 2}}
    numbers = {"x": [1.0, 2.0, 3.0, 4.0], "y2": [1.0, 2.0, 3.0, 4.0]}
    before = fitted(write(tmp_path / "a.parquet", numbers), declared)
    path = write(tmp_path / "b.parquet", {name: [100 * x for x in column] for name, column in numbers.items()})

    after = fit(Features(columns=declared), LABEL, open_data(path), 1, before)

    assert after.fits["moments"] == before.fits["moments"]
    assert after.fits["edges"]["y2"].ends.tolist() == before.fits["edges"]["y2"].ends.tolist()


def test_known_values_count_towards_max_distinct(tmp_path):
    declared = {"x": {"vocabulary": {"max_distinct": 3}}}
    before = fitted(write(tmp_path / "a.parquet", {"x": ["a", "b"]}), declared)
    path = write(tmp_path / "b.parquet", {"x": ["c", "d"]})

    with pytest.raises(DataError, match="table 'x': more than 3 distinct values"):
        fit(Features(columns=declared), LABEL, open_data(path), 1, before)


def test_a_table_that_had_no_value_may_get_some_of_any_type(tmp_path):
    before = fitted(write(tmp_path / "a.parquet", {"x": pa.nulls(4)}), {"x": {}})
    path = write(tmp_path / "b.parquet", {"x": [7, 7, 8, None]})

    grown = fit(Features(columns={"x": {}}), LABEL, open_data(path), 1, before)
    assert grown.fits["vocabularies"]["x"].values.to_pylist() == [7, 8]


def test_integers_of_several_widths_are_one_vocabulary(tmp_path):
    write(tmp_path / "a.parquet", {"x": pa.array([1, 2], pa.int32())})
    write(tmp_path / "b.parquet", {"x": pa.array([2, 3], pa.int64())})
    assert vocabulary(str(tmp_path), {"x": {}}) == [2, 1, 3]


def test_a_column_may_be_of_type_null_in_one_of_the_files(tmp_path):
    write(tmp_path / "a.parquet", {"x": pa.nulls(2)})
    write(tmp_path / "b.parquet", {"x": ["b", "a"]})
    assert vocabulary(str(tmp_path), {"x": {}}) == ["a", "b"]


def test_a_column_may_be_a_dictionary_in_one_of_the_files(tmp_path):
    write(tmp_path / "a.parquet", {"x": pa.array(["a", "b"]).dictionary_encode()})
    write(tmp_path / "b.parquet", {"x": ["b", "c"]})
    assert vocabulary(str(tmp_path), {"x": {}}) == ["b", "a", "c"]


ZONED = pa.timestamp("us", tz="UTC")
WORDS = pa.array(["a", "b"])


@pytest.mark.parametrize(
    ("declared", "one", "other"),
    [
        ({"hash": 5}, {"y": [False, True]}, {"y": [0, 1]}),
        ({"type": "numeric"}, {"x": [0.5, 1.5]}, {"x": [True, False]}),
        ({"part": "hour"}, {"x": pa.array([0, 1], pa.timestamp("us"))}, {"x": pa.array([0, 1], ZONED)}),
        (
            {"type": "sequence"},
            {"x": pa.ListArray.from_arrays(pa.array([0, 1, 2]), WORDS)},
            {"x": pa.ListArray.from_arrays(pa.array([0, 1, 2]), WORDS.dictionary_encode())},
        ),
    ],
    ids=["label", "numeric", "time", "sequence"],
)
def test_files_of_different_types_that_mean_the_same_are_one_training_set(tmp_path, declared, one, other):
    write(tmp_path / "a.parquet", {"x": [1, 2], **one})
    write(tmp_path / "b.parquet", {"x": [1, 2], **other})
    assert set(fitted(str(tmp_path), {"x": declared}).meanings) == {"x", "y"}


def test_numbers_and_text_in_one_column_are_an_error_that_names_the_file(tmp_path):
    write(tmp_path / "a.parquet", {"x": [1, 2]})
    path = write(tmp_path / "b.parquet", {"x": ["1", "2"]})
    with pytest.raises(DataError, match=f"{path}: column 'x' is string, but int64 in"):
        vocabulary(str(tmp_path), {"x": {}})


def test_numbers_and_text_of_two_columns_that_share_a_table_are_an_error(tmp_path):
    path = write(tmp_path / "a.parquet", {"x": [1, 2], "z": ["1", "2"]})
    with pytest.raises(DataError, match=f"{path}, row group 0.*table 'x' are string, but int64 in earlier rows"):
        vocabulary(str(tmp_path), {"x": {}, "z": {"table": "x"}})


# Moments

numbers = st.none() | st.just(float("nan")) | st.integers(-(10**6), 10**6).map(lambda k: k / 1000)


@given(
    groups=st.lists(st.lists(numbers, min_size=2, max_size=10), min_size=1, max_size=4),
    transform=st.sampled_from(["none", "log1p"]),
)
@few
def test_moments_are_those_of_the_transformed_numbers_of_all_row_groups(tmp_path_factory, groups, transform):
    file = tmp_path_factory.mktemp("data") / "a.parquet"
    path = write(file, *({"x": pa.array(group, pa.float64())} for group in groups))
    known = [x for group in groups for x in group if x is not None and not math.isnan(x)]
    assume(len(set(known)) > 1)
    if transform == "log1p":
        known = [math.copysign(math.log1p(abs(x)), x) for x in known]

    moments = fitted(path, {"x": {"type": "numeric", "transform": transform}}).fits["moments"]["x"]

    assert moments.mean == pytest.approx(np.mean(known), rel=1e-9, abs=1e-9)
    assert moments.deviation == pytest.approx(np.std(known), rel=1e-9)


def test_moments_of_large_numbers_close_together_lose_no_digits(file):
    path = write(file, *({"x": [1e9 + k, 1e9 + k + 1]} for k in range(0, 10, 2)))
    moments = fitted(path, {"x": {"type": "numeric"}}).fits["moments"]["x"]
    assert moments.mean == 1e9 + 4.5
    assert moments.deviation == pytest.approx(np.std(np.arange(10)), rel=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 + 0.1, 3.0])
@pytest.mark.parametrize("sizes", [[3], [2, 5, 3]], ids=str)
def test_a_constant_has_deviation_1(file, value, sizes):
    path = write(file, *({"x": [value] * size} for size in sizes))
    assert fitted(path, {"x": {"type": "numeric"}}).fits["moments"]["x"].deviation == 1


@pytest.mark.parametrize("column", [pa.nulls(2), pa.nulls(2, pa.float64()), pa.array([float("nan")] * 2)], ids=str)
def test_a_numeric_without_a_value_has_mean_0_and_deviation_1(file, column):
    moments = fitted(write(file, {"x": column}), {"x": {"type": "numeric"}}).fits["moments"]["x"]
    assert (moments.mean, moments.deviation) == (0, 1)


# Data that is not fit for training


@pytest.mark.parametrize("label", [0, 1])
def test_labels_of_one_class_are_an_error(file, label):
    path = write(file, {"x": [1, 2], "y": [label] * 2}, {"x": [3], "y": [label]})
    with pytest.raises(DataError, match=f"all 3 labels of 'y' are {label}\\. Use training data with both classes"):
        fitted(path, {"x": {}})


def test_labels_of_one_class_in_each_row_group_are_two_classes(file):
    path = write(file, {"x": [1, 2], "y": [0, 0]}, {"x": [3], "y": [1]})
    assert vocabulary(path, {"x": {}}) == [1, 2, 3]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"y": [1, 2]}, "'y' has the values 1 and 2"),
        ({"w": [-1.0, 1.0]}, "'w' is -1.0"),
        ({"n": [0.5, float("inf")]}, "'n' holds inf"),
    ],
    ids=["label", "weight", "number"],
)
def test_bad_values_anywhere_in_the_data_are_found(file, bad, message):
    good = {"x": [1, 2], "y": [0, 1], "w": [1.0, 1.0], "n": [0.5, 1.5]}
    path = write(file, good, {**good, **bad})
    with pytest.raises(DataError, match=f"{path}, row group 1.*{message}"):
        fitted(path, {"x": {}, "n": {"type": "numeric"}}, Columns("y", "w"))


# Classes


@pytest.mark.parametrize("weight", [None, "w"])
def test_log_odds_are_those_of_the_labels_weighted_as_the_loss_weights_rows(file, weight):
    random = np.random.default_rng(1)
    labels, weights = random.random(300) < 0.03, random.exponential(size=300).astype(np.float32)
    weights[:5] = 0
    groups = [{"y": labels[k : k + 100].astype(int), "w": weights[k : k + 100]} for k in (0, 100, 200)]
    path = write(file, *({"x": ["a"] * 100, **group} for group in groups))

    found = fitted(path, {"x": {"hash": 7}}, Columns("y", weight)).log_odds

    exact = weights.astype(np.float64) if weight else np.ones(300)
    rate = np.average(labels, weights=exact)
    assert found == pytest.approx(math.log(rate / (1 - rate)), rel=1e-12)


def test_log_odds_of_tiny_and_huge_weights_are_finite(file):
    path = write(file, {"x": ["a", "b"], "y": [0, 1], "w": pa.array([3e38, 1e-45], pa.float32())})

    found = fitted(path, {"x": {}}, Columns("y", "w")).log_odds

    negative, positive = (float(np.float32(weight)) for weight in (3e38, 1e-45))
    assert found == pytest.approx(math.log(positive) - math.log(negative), rel=1e-12)
