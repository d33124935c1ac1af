"""A split by hash gives all rows of a value to one split, whatever holds the value, and independent of hash buckets."""

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from features import DataError, Split, count_rows, open_data, split_data
from features.hashing import UNIFORM_SEED, cross, fingerprints, uniform

SETS = ("train", "valid", "test")
few = settings(max_examples=25, deadline=None)
SPLIT = Split(by="hash", column="user", fractions=(0.5, 0.25, 0.25))
IN_GROUPS = {
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint64": pa.uint64(),
    "string": pa.string(),
    "large_string": pa.large_string(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
}


def write(path, values, size=3):
    """Write a column `user` in row groups of `size` rows."""
    pq.write_table(pa.table({"user": values}), path, row_group_size=size)
    return str(path)


def split(path, seed=1, casts=None, **changes):
    """Return value -> its splits, and the number of rows of each split."""
    wanted = SPLIT.model_copy(update=changes)
    sets = split_data(open_data(path, casts=casts), wanted, seed)
    found = {}
    for name in SETS:
        for group in sets[name]:
            for value in group.read(["user"])["user"].to_pylist():
                found.setdefault(str(value), set()).add(name)
    return found, {name: count_rows(sets[name]) for name in SETS}


def expected(values, parts=SPLIT.fractions):
    """Return value -> its split, from TensorFlow's hash of a cross with another key."""
    crossed = tf.sparse.cross_hashed([tf.constant([[str(value)] for value in values])], 0, hash_key=UNIFORM_SEED)
    modulus = 2**63 - 1  # TensorFlow's, without buckets
    hashes = tf.sparse.to_dense(crossed).numpy()[:, 0].tolist()
    numbers = uniform(pa.array([str(value) for value in values]))
    for low, number in zip(hashes, numbers.tolist(), strict=True):  # two hashes of 64 bits have this remainder or one
        assert any(abs((low + wraps * modulus) / 2**64 - number) < 1e-15 for wraps in (0, 1, 2))
    bounds = np.cumsum(parts)[:2]
    return {str(value): {SETS[sum(number >= bounds)]} for value, number in zip(values, numbers, strict=True)}


@given(values=st.lists(st.integers(0, 2**31 - 1), min_size=30, max_size=80), seed=st.integers(0, 9))
@few
def test_no_value_is_in_two_splits_whatever_type_holds_it(tmp_path_factory, values, seed):
    users = [*range(40), *values]
    wanted = expected(list(dict.fromkeys(users)))
    for name, type_ in IN_GROUPS.items():
        folder = tmp_path_factory.mktemp(name)
        typed = pa.array(users).cast(pa.string()).cast(type_) if "int" not in name else pa.array(users, type_)
        write(folder / "b.parquet", typed.slice(0, len(users) // 2))
        write(folder / "a.parquet", typed.slice(len(users) // 2), size=7)
        found, rows = split(str(folder), seed)
        assert found == wanted
        assert sum(rows.values()) == len(users)


def test_the_values_of_a_folder_and_of_casts_are_split_as_those_of_a_column(tmp_path):
    users = list(range(60))
    wanted, _ = split(write(tmp_path / "plain.parquet", users))
    for user in users:
        folder = tmp_path / "by_user" / f"user={user}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"x": [1, 2]}), folder / "a.parquet")
    found, rows = split(str(tmp_path / "by_user"))
    assert found == wanted
    assert sum(rows.values()) == 2 * len(users)
    digits = write(tmp_path / "binary.parquet", pa.array([str(user).encode() for user in users]))
    floats = write(tmp_path / "floats.parquet", pa.array(users, pa.float64()))
    assert split(digits, casts={"user": "text"})[0] == wanted
    assert split(floats, casts={"user": "integer"})[0] == wanted


def test_files_of_other_widths_and_encodings_are_split_alike(tmp_path):
    wanted, _ = split(write(tmp_path / "one.parquet", list(range(60))))
    (tmp_path / "mixed").mkdir()
    write(tmp_path / "mixed" / "a.parquet", pa.array(range(60), pa.int16()))
    write(tmp_path / "mixed" / "b.parquet", pa.array(range(60), pa.int64()), size=11)
    assert split(str(tmp_path / "mixed"))[0] == wanted


def test_fractions_are_those_of_the_values(tmp_path):
    rng = np.random.default_rng(0)
    heavy = np.concatenate([np.arange(20_000), np.repeat(7, 30_000)])
    found, rows = split(write(tmp_path / "a.parquet", rng.permutation(heavy), size=9_000), fractions=(0.8, 0.1, 0.1))
    for name, fraction in zip(SETS, (0.8, 0.1, 0.1), strict=True):
        values = sum(sets == {name} for sets in found.values())
        assert abs(values - 20_000 * fraction) < 4 * (20_000 * fraction * (1 - fraction)) ** 0.5
    assert rows[next(iter(found["7"]))] > 30_000


@pytest.mark.parametrize("buckets", [2, 10, 1024])
def test_the_split_is_independent_of_hash_buckets_and_of_crosses(buckets):
    users = pa.array(np.arange(200_000) * 7919)
    tenths = (10 * uniform(users)).astype(int)
    for rows in (fingerprints(users) % np.uint64(buckets), cross([users], buckets).to_numpy()):
        table = np.zeros((10, buckets))
        np.add.at(table, (tenths, rows.astype(int)), 1)
        by_chance = np.outer(table.sum(1), table.sum(0)) / len(users)
        statistic, freedom = ((table - by_chance) ** 2 / by_chance).sum(), 9 * (buckets - 1)
        assert 1e-4 < chi2.sf(statistic, freedom) < 1 - 1e-4


def test_a_fraction_of_zero_leaves_its_split_empty_although_fractions_are_rounded(tmp_path, monkeypatch):
    monkeypatch.setattr("features.splits.uniform", lambda values: np.full(len(values), 1 - 2.0**-53))
    path = write(tmp_path / "a.parquet", [1, 2])
    with pytest.raises(DataError, match="leaves no rows for train"):
        split(path, fractions=(1 / 3, 2 / 3 - 1e-10, 0.0))
    found, _ = split(path, fractions=(1 - 1e-10, 0.0, 0.0))
    assert found == {"1": {"train"}, "2": {"train"}}


def test_only_the_column_is_read(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"user": list(range(50)), "other": list(range(50))}), path)
    row_groups = open_data(str(path))
    split_data(row_groups, SPLIT, seed=1)
    assert list(row_groups[0].file.contents.known()) == ["user"]


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        (pa.array([1, None, None]), ["'user' has 2 nulls", "by hash", "Remove or fill"]),
        (pa.array([None, None]), ["'user' has 2 nulls"]),
        (pa.array([[1], [2]]), ["'user' of type list<element: int64>", "expected integers, text or booleans"]),
        (pa.array([1.0, 2.0]), ["of type double", "data.cast: {user: integer}"]),
        (pa.array([b"a"]), ["of type binary", "data.cast: {user: text}"]),
        (pa.array([datetime(2026, 1, 1)]), ["of type timestamp[us]"]),
    ],
    ids=["nulls", "only nulls", "lists", "floats", "bytes", "times"],
)
def test_a_column_that_does_not_name_every_row_is_an_error_that_says_where(tmp_path, values, parts):
    path = write(tmp_path / "a.parquet", values)
    with pytest.raises(DataError) as error:
        split(path)
    for part in (f"{path}, row group 0", *parts):
        assert part in str(error.value)


def test_text_in_one_file_and_integers_in_another_are_an_error(tmp_path):
    write(tmp_path / "a.parquet", [1, 2])
    path = write(tmp_path / "b.parquet", ["1", "2"])
    with pytest.raises(DataError, match=f"{path}: column 'user' is string, but int64 in"):
        split(str(tmp_path))


def test_too_few_values_for_every_split_are_an_error(tmp_path):
    with pytest.raises(DataError, match="the split by hash leaves no rows for"):
        split(write(tmp_path / "a.parquet", ["one user"] * 40))
