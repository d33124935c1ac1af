"""Lookup in a vocabulary, against a plain dict."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import DataError
from features import vocabulary_index as module
from features.vocabulary_index import VocabularyIndex, hash_texts

TEXT = pa.large_string()
texts = st.lists(st.text(max_size=20) | st.sampled_from(["", "a" * 8, "a" * 9, "a" * 16, "ü" * 400]), unique=True)


def expected(vocabulary, values):
    places = {value: place for place, value in enumerate(vocabulary)}
    return [places.get(value, -1) for value in values]


@given(vocabulary=texts, others=texts)
def test_texts_are_found_where_they_are(vocabulary, others):
    values = [*others, *reversed(vocabulary)]
    found = VocabularyIndex(pa.array(vocabulary, TEXT)).positions(pa.array(values, TEXT))
    assert found.tolist() == expected(vocabulary, values)


@given(
    vocabulary=st.lists(st.integers(-(2**63), 2**63 - 1), unique=True), others=st.lists(st.sampled_from([0, 1, 2**62]))
)
def test_integers_are_found_where_they_are(vocabulary, others):
    values = [*others, *vocabulary]
    found = VocabularyIndex(pa.array(vocabulary, pa.int64())).positions(pa.array(values, pa.int64()))
    assert found.tolist() == expected(vocabulary, values)


@given(st.lists(st.text(max_size=30)), st.integers(0, 5), st.integers(0, 5))
def test_a_slice_of_an_array_hashes_as_its_values_alone(values, start, length):
    part = pa.array(values, TEXT).slice(start, length)
    alone = pa.array(values[start : start + length], TEXT)
    assert hash_texts(part, 0).tolist() == hash_texts(alone, 0).tolist()


def test_texts_with_equal_hashes_are_distinguished(monkeypatch):
    """A seed that gives many texts one hash is abandoned; a text whose hash equals another's by chance is detected."""
    original = module.hash_texts
    monkeypatch.setattr(
        module, "hash_texts", lambda texts, seed: original(texts, seed) % np.uint64(2 if seed < 3 else 8)
    )
    index = VocabularyIndex(pa.array(["a", "b", "c"], TEXT))
    words = [chr(97 + k) for k in range(26)]
    assert index.positions(pa.array(words, TEXT)).tolist() == expected("abc", words)


def test_long_texts_that_differ_in_one_character_are_distinguished():
    long = ["x" * 600, "x" * 601, "x" * 511 + "y" + "x" * 88, "x" * 599 + "y", "x" * 512, "x" * 513]
    assert VocabularyIndex(pa.array(long, TEXT)).positions(pa.array([*long, "x" * 602], TEXT)).tolist() == [
        *range(6),
        -1,
    ]
    by_seed = [hash_texts(pa.array(long, TEXT), seed).tolist() for seed in (0, 1)]
    assert len({*by_seed[0], *by_seed[1]}) == 12


@pytest.mark.parametrize("values", [pa.array(["a", "a"], TEXT), pa.array([1, 1])], ids=["texts", "integers"])
def test_a_duplicate_value_is_an_error(values):
    with pytest.raises(DataError, match="a duplicate value"):
        VocabularyIndex(values)


def test_hashes_of_many_texts_are_spread_evenly():
    hashed = hash_texts(pa.array([f"id {k}" for k in range(20_000)], TEXT), 0)
    assert len(np.unique(hashed)) == 20_000
    for shift in (0, 28, 60):
        counts = np.bincount(((hashed >> np.uint64(shift)) % np.uint64(16)).astype(int), minlength=16)
        assert abs(counts - 1250).max() < 5 * 1250**0.5
