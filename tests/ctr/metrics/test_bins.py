"""Bins of numbers and categories, against counts by hand and after a round trip through JSON."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctr.metrics import CategoryBins, QuantileBins, bins_from_json

TEXT = pa.large_string()
LOWEST = float(np.finfo(np.float64).min)
NUMBERS = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, 1.0]))


def test_quantile_bins_are_equal_and_missing_is_apart():
    sample = np.append(np.arange(1000.0), [np.nan] * 7)
    counts = QuantileBins.fitted(sample, 10).count(sample)
    assert counts.tolist() == [100] * 10 + [7]


@pytest.mark.parametrize("rows", [50, 99, 100, 12_345])
@pytest.mark.parametrize("bins", [5, 10, 20, 50])
def test_bins_of_different_numbers_differ_by_one_at_most(rows, bins):
    sample = np.random.default_rng(rows).normal(size=rows)
    counts = QuantileBins.fitted(sample, bins).count(sample)
    assert set(counts[:-1]) <= {rows // bins, -(-rows // bins)}
    assert len(counts) == bins + 1


def test_fewer_numbers_than_bins_make_a_bin_each_and_none_is_heavy():
    sample = np.random.default_rng(0).normal(size=50)
    assert QuantileBins.fitted(sample, 100).count(sample).tolist() == [1] * 50 + [0]


def test_a_heavy_value_has_a_bin_of_its_own():
    sample = np.concatenate([np.zeros(500), np.linspace(1, 2, 500)])
    bins = QuantileBins.fitted(sample, 10)
    counts = bins.count(np.array([0.0, 0.0, -1e-9, 1e-9]))
    assert counts[np.searchsorted(bins.edges, 0.0)] == 2


@pytest.mark.parametrize("sample", [np.full(10, np.nan), np.full(10, 3.0), np.array([])])
def test_bins_of_a_column_without_spread(sample):
    bins = QuantileBins.fitted(sample, 10)
    other = np.array([1.0, 3.0, np.nan])
    assert bins.count(sample).sum() == len(sample)
    assert bins.count(other)[-1] == 1


@given(st.lists(NUMBERS, max_size=40), st.lists(NUMBERS, min_size=1, max_size=40), st.integers(2, 12))
@example([0.0, LOWEST, LOWEST], [0.0, LOWEST], 3)
def test_a_number_is_in_the_first_bin_whose_edge_it_does_not_exceed(sample, numbers, bins):
    fitted = QuantileBins.fitted(np.array(sample, float), bins)

    def place(number):
        return next((k for k, edge in enumerate(fitted.edges) if number <= edge), len(fitted.edges))

    expected = [fitted.size - 1 if np.isnan(number) else place(number) for number in numbers]
    assert fitted.assign(np.array(numbers)).tolist() == expected


def test_numbers_of_float32_are_assigned_as_they_are():
    bins = QuantileBins((0.1,))
    assert bins.assign(np.array([0.1], np.float32)).tolist() == [1]  # 0.1 as float32 is slightly larger
    assert bins.assign(np.array([0.1])).tolist() == [0]


def test_category_bins_are_the_top_values_others_new_and_missing():
    sample = pa.array(["b", "b", "a", "a", "c", "d", "d", None], TEXT)
    bins = CategoryBins.fitted(sample, 2)
    assert bins.values.to_pylist() == ["a", "b"]
    assert bins.others.to_pylist() == ["d", "c"]
    found = bins.count(pa.array(["a", "c", "d", "unseen", None, None], TEXT))
    assert found.tolist() == [1, 0, 2, 1, 2]
    assert len(found) == len(bins.labels()) == bins.size


def test_a_value_that_stands_once_has_no_bin_of_its_own():
    bins = CategoryBins.fitted(pa.array([7, 7, 8]), 10)
    assert bins.values.to_pylist() == [7]
    assert bins.count(pa.array([7, 8, 9])).tolist() == [1, 1, 1, 0]


@given(
    st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=40),
    st.lists(st.one_of(st.none(), st.integers(0, 12)), min_size=1, max_size=40),
    st.sampled_from([pa.int64(), pa.uint64(), TEXT]),
)
def test_a_dictionary_counts_as_its_values(sample, values, of_type):
    bins = CategoryBins.fitted(pa.array(sample, pa.int64()).cast(of_type), 3)
    values = pa.array(values, pa.int64()).cast(of_type)
    plain = bins.count(values)
    assert bins.count(values.dictionary_encode()).tolist() == plain.tolist()
    assert bins.count(values.dictionary_encode(null_encoding="encode")).tolist() == plain.tolist()
    assert plain.sum() == len(values)
    assert plain[-1] == values.null_count


def test_another_type_compares_as_text():
    bins = CategoryBins.fitted(pa.array([2**63, 2**63, 5, 5], pa.uint64()), 10)
    assert bins.count(pa.array([5, 6], pa.int64())).tolist() == [1, 0, 0, 1, 0]
    assert bins.count(pa.array([str(2**63), "5"])).tolist() == [1, 1, 0, 0, 0]
    assert bins.count(pa.nulls(3)).tolist() == [0, 0, 0, 0, 3]


@pytest.mark.parametrize("sample", [pa.nulls(4), pa.nulls(4, pa.int64()), pa.array([], TEXT)])
def test_a_column_of_nulls_has_no_values(sample):
    bins = bins_from_json(CategoryBins.fitted(sample, 10).to_json())
    assert bins.count(sample).tolist() == [0, 0, len(sample)]
    assert bins.count(pa.array([1, None])).tolist() == [0, 1, 1]


def test_weights_are_summed():
    weight = np.array([0.5, 2.0, 0.25])
    assert QuantileBins((1.0,)).count(np.array([0.0, 2.0, 3.0]), weight).tolist() == [0.5, 2.25, 0]
    bins = CategoryBins.fitted(pa.array(["a", "a"]), 10)
    assert bins.count(pa.array(["a", "b", "a"]), weight).tolist() == [0.75, 0, 2, 0]


@pytest.mark.parametrize(
    "bins",
    [
        QuantileBins((0.1, 1e300)),
        QuantileBins.fitted(np.array([-np.inf, 0, 1, np.inf, np.inf]), 5),
        CategoryBins.fitted(pa.array([2**63, 2**63, 1], pa.uint64()), 10),
        CategoryBins.fitted(pa.array([-(2**63), 2**53 + 1, 2**53 + 1]), 10),
        CategoryBins.fitted(pa.array(["<ä>", "<ä>", "", "", "once", "\n"], TEXT), 1),
    ],
)
def test_bins_survive_json(bins):
    assert bins_from_json(json.loads(json.dumps(bins.to_json()))) == bins


def test_labels_of_a_number_say_what_each_bin_holds():
    bins = QuantileBins.fitted(np.concatenate([np.zeros(500), np.linspace(1, 2e6, 500)]), 4)
    assert bins.labels() == ["< 0", "= 0", "0 to 997,996", "> 997,996", "missing"]
    assert len(bins.labels()) == len(bins.count(np.zeros(1), np.ones(1)))


@given(st.lists(st.floats(-1e12, 1e12).map(lambda x: x + 0.0), min_size=1, max_size=30))
def test_a_label_for_each_bin_and_no_label_twice(sample):
    bins = QuantileBins.fitted(np.array(sample), 5)
    labels = bins.labels()
    assert len(labels) == len(bins.edges) + 2 == len(set(labels))


def test_labels_of_a_category_cannot_be_mistaken():
    found = CategoryBins.fitted(pa.array(["<b>", "", "missing", " x", "all others", "new"] * 2), 10).labels()
    assert sorted(found[:-3]) == sorted(["<b>", '""', '"missing"', '" x"', '"all others"', '"new"'])
    assert found[-3:] == ["all others", "new", "missing"]
    assert CategoryBins.fitted(pa.array([2**63] * 2, pa.uint64()), 10).labels()[0] == "9223372036854775808"


@pytest.mark.parametrize(
    ("sample", "labels"),
    [
        ([0.0, 6e-302], ["< 0", "= 0", "0 to 6e-302", "= 6e-302", "> 6e-302"]),
        ([1.0, np.nextafter(1, 2)], ["< 1", "= 1", "= 1.0000000000000002", "> 1.0000000000000002"]),
    ],
    ids=["close to each other", "neighbors"],
)
def test_frequent_values_that_are_close_have_labels_of_their_own(sample, labels):
    assert QuantileBins.fitted(np.repeat(sample, 5), 5).labels() == [*labels, "missing"]


def test_infinite_numbers_make_no_edges():
    bins = QuantileBins.fitted(np.array([-np.inf, -np.inf, 0, 1, np.inf, np.inf]), 6)
    assert all(np.isfinite(bins.edges))
    assert bins.count(np.array([-np.inf, np.inf])).sum() == 2
