"""Integers that look like ids are categories, and quantities are numbers."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_columns import IDS, QUANTITIES

from ctr.evaluation.integer_columns import classify_integers

ROWS = 10_000
TAKEN_FOR_IDS = {"uniform, 0 to 99"}
SOMETIMES_TAKEN_FOR_IDS = {"prices of 300 products"}
TAKEN_FOR_QUANTITIES = {"1,000 ids numbered by frequency", "codes in five blocks"}
TOO_MANY = {name for name in IDS if name.startswith("10,000")}


def classified(values, bins=10, type_=None):
    return classify_integers([pa.array(values, type_)], bins)


def chosen(families, names):
    """Return how many of nine columns of each family are categories."""
    return {
        name: sum(
            classified(families[name](np.random.default_rng([1, seed]), ROWS)).column_type == "categorical"
            for seed in range(9)
        )
        for name in names
    }


@pytest.mark.medium
def test_quantities_are_numbers():
    found = chosen(QUANTITIES, QUANTITIES.keys() - TAKEN_FOR_IDS - SOMETIMES_TAKEN_FOR_IDS)
    assert set(found.values()) == {0}, found


@pytest.mark.medium
def test_ids_are_categories():
    found = chosen(IDS, IDS.keys() - TAKEN_FOR_QUANTITIES - TOO_MANY)
    assert min(found.values()) >= 8, found


@pytest.mark.medium
def test_what_only_a_user_can_tell_is_as_documented():
    assert chosen(QUANTITIES, TAKEN_FOR_IDS) == {"uniform, 0 to 99": 9}
    assert set(chosen(IDS, TAKEN_FOR_QUANTITIES).values()) == {0}


def ids(distinct=200, rows=4000, seed=0):
    rng = np.random.default_rng(seed)
    weights = rng.lognormal(size=distinct)
    return rng.choice(distinct, rows, p=weights / weights.sum())


@pytest.mark.medium
@given(step=st.integers(1, 10**6), start=st.integers(-(10**12), 10**12), seed=st.integers(0, 99), is_id=st.booleans())
@settings(max_examples=50, deadline=None)
def test_unit_and_zero_do_not_matter(step, start, seed, is_id):
    values = ids(seed=seed) if is_id else np.random.default_rng(seed).poisson(60, 4000)
    assert classified(values * step + start).column_type == classified(values).column_type


@pytest.mark.medium
@given(cuts=st.lists(st.integers(0, 4000), max_size=5), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_chunks_and_the_order_of_rows_do_not_matter(cuts, seed):
    values = ids(seed=seed)
    shuffled = np.random.default_rng(seed).permutation(values)
    chunks = [pa.array(part) for part in np.split(shuffled, sorted(cuts))]
    assert classify_integers(chunks, 10) == classified(values)


@pytest.mark.parametrize("code", [-1, 0, 99_999, -(2**63), 2**63 - 1])
def test_a_code_for_missing_values_does_not_matter(code):
    ages = np.random.default_rng(0).poisson(40, 4000)
    with_codes = np.where(np.random.default_rng(1).random(4000) < 0.2, code, ages)
    assert classified(with_codes).column_type == "numeric"


def test_a_range_wider_than_int64_is_sparse():
    codes = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, 200)
    assert classified(codes[ids()]).reason == "few distinct values for their range"


def test_ids_above_int64_differ_by_one():
    values = ids().astype(np.uint64) + np.uint64(2**64 - 300)
    assert classified(values, type_=pa.uint64()) == classified(ids())


def test_widths_nulls_and_an_empty_file_do_not_matter():
    values = ids()
    chunks = [pa.array(values[:2000], pa.int16()), pa.nulls(50, pa.large_string()), pa.array(values[2000:], pa.int64())]
    assert classify_integers([*chunks, pa.nulls(9, pa.int64())], 10) == classified(values)
    assert classify_integers([pa.nulls(9, pa.large_string())], 10).column_type == "categorical"
    assert classify_integers([pa.nulls(9, pa.int64())], 10).column_type == "categorical"


@pytest.mark.parametrize(
    ("values", "column_type", "reason"),
    [
        (np.arange(1000) % 10, "categorical", "at most 10 distinct values"),
        (np.arange(1000) % 11, "numeric", "too few distinct values or rows to recognize ids"),
        (np.arange(79) % 20, "numeric", "too few distinct values or rows to recognize ids"),
        (np.arange(80) % 20, "categorical", "frequencies are in no order"),
        (np.arange(4000) % 200 * (np.arange(4000) % 200) ** 2, "numeric", "values bunch up in a part of their range"),
    ],
)
def test_the_first_rule_that_applies_is_the_reason(values, column_type, reason):
    found = classified(values)
    assert (found.column_type, found.reason) == (column_type, reason)


def test_heaps_at_round_numbers_are_those_of_estimates():
    distinct = np.arange(100)
    noise = np.random.default_rng(0).integers(20, 40, 100)
    heaped = np.repeat(distinct, np.where(distinct % 5 == 0, 10, 1) * noise)
    assert classified(heaped).reason == "round numbers are more frequent"
    assert classified(heaped + 1).reason != "round numbers are more frequent"


def test_a_trend_does_not_hide_that_frequencies_jump():
    rng = np.random.default_rng(0)
    counts = np.exp(7 - np.arange(300) / 60 + rng.normal(0, 0.7, 300)).astype(int) + 1
    assert classified(np.repeat(np.arange(300), counts)).reason == "frequencies jump from one value to the next"
    smooth = np.exp(7 - np.arange(300) / 60).astype(int) + 1
    assert classified(np.repeat(np.arange(300), smooth)).reason == "frequencies follow the order of the values"
