"""Histograms and the noise floor of PSI for weighted rows, lists and ids."""

import numpy as np
import pyarrow as pa
import pytest

from ctr.evaluation.histograms import Binning, Histograms
from ctr.evaluation.scoring import sampling_weights
from features import Ragged


def values_of(random, rows, length=0):
    """Return random rows: a score, an item, and lists of `length` equal values."""
    values = {"score": pa.array(random.normal(size=rows)), "feature/item": pa.array(random.integers(0, 8, rows))}
    if length:
        flat = pa.array(np.repeat(random.integers(0, 8, rows), length))
        values["feature/history"] = Ragged(flat, np.full(rows, length))
    return values


def reference_of(values, weight, bins=10):
    """Fit bins on `values` and return histograms of `values` in them."""
    binning = Binning.fitted({name: [one] for name, one in values.items()}, bins)
    histograms = Histograms(binning)
    histograms.add(binning.assign(values), weight)
    return histograms


def share_above_noise(rate=None, length=0, times=200):
    """Return how often PSI exceeds its noise floor without drift; 0.001 by definition."""
    name = "feature/history" if length else "feature/item"
    above = []
    for seed in range(times):
        random = np.random.default_rng(seed)
        weights = [sampling_weights(random.random(rows) < 0.02, rate) for rows in (4000, 1000)]
        binning = reference_of(values_of(random, 4000, length), weights[0]).binning
        reference, other = Histograms(binning), Histograms(binning)
        reference.add(binning.assign(values_of(random, 4000, length)), weights[0])
        other.add(binning.assign(values_of(random, 1000, length)), weights[1])
        found = reference.compare(other, 0.2)[name]
        above.append(found["psi"] > found["noise"])
    return np.mean(above)


@pytest.mark.medium
@pytest.mark.parametrize(("rate", "length"), [(None, 0), (0.05, 0), (None, 20)], ids=["plain", "sampled", "lists"])
@pytest.mark.slow
def test_psi_without_a_shift_stays_within_its_noise(rate, length):
    assert share_above_noise(rate, length) <= 0.02


def test_the_effective_rows_of_equal_weights_are_the_rows():
    assert reference_of(values_of(np.random.default_rng(0), 500), np.ones(500)).rows == 500


def test_the_effective_rows_of_a_sampled_set_are_fewer():
    random = np.random.default_rng(0)
    weights = sampling_weights(random.random(500) < 0.1, 0.1)
    histograms = reference_of(values_of(random, 500), weights)
    assert histograms.rows == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert histograms.counts["score"].sum() == pytest.approx(weights.sum())


def test_an_empty_list_is_missing_and_the_values_of_a_list_share_the_weight_of_their_row():
    values = {"feature/history": Ragged(pa.array(["a", "a", "b", "b"]), np.array([3, 0, 1]))}
    histograms = reference_of(values, np.array([1.0, 5.0, 2.0]))
    # a twice and b once in the first row, none in the second, b in the third; then all others, new, missing
    assert histograms.counts["feature/history"] == pytest.approx([2 / 3, 1 / 3 + 2, 0, 0, 5])
    assert histograms.rows == pytest.approx(8**2 / 30)


def test_states_merge_to_the_whole():
    random = np.random.default_rng(0)
    values = values_of(random, 600, length=3)
    binning = reference_of(values, np.ones(600)).binning
    whole, first, second = Histograms(binning), Histograms(binning), Histograms(binning)
    for histograms, rows in ((whole, slice(0, 600)), (first, slice(0, 250)), (second, slice(250, 600))):
        part = {
            name: Ragged(one.flat[3 * rows.start : 3 * rows.stop], one.lengths[rows])
            if "history" in name
            else one[rows]
            for name, one in values.items()
        }
        histograms.add(binning.assign(part), np.ones(rows.stop - rows.start))
    merged = first.merge(second)
    for name in binning.bins:
        np.testing.assert_allclose(merged.counts[name], whole.counts[name], rtol=1e-12)
    assert merged.rows == whole.rows


def test_what_is_written_as_json_is_read():
    random = np.random.default_rng(0)
    histograms = reference_of(values_of(random, 500, length=3), random.uniform(1, 2, 500))
    read = Histograms.from_json(histograms.to_json())
    assert read.rows == histograms.rows
    assert read.compare(histograms, 0.2) == histograms.compare(histograms, 0.2)


def test_a_feature_called_score_is_not_the_score():
    values = {"score": pa.array([0.1, 0.2]), "feature/score": pa.array(["a", "a"])}
    histograms = reference_of(values, np.ones(2))
    assert histograms.describe({})["feature/score"]["labels"][0] == "a"


def test_bins_in_ascending_order_keep_their_shares():
    values = {"feature/hour": pa.array([16] * 4 + [9] * 3 + [15] * 2)}
    histograms = reference_of(values, np.ones(9))
    by_frequency = histograms.describe({"test": histograms})["feature/hour"]
    by_value = histograms.describe({"test": histograms}, ["feature/hour"])["feature/hour"]
    assert by_frequency["labels"] == ["16", "9", "15", "all others", "new", "missing"]
    assert by_value["labels"] == ["9", "15", "16", "all others", "new", "missing"]
    expected = dict(zip(by_frequency["labels"], by_frequency["reference"], strict=True))
    assert by_value["reference"] == [expected[label] for label in by_value["labels"]]
    assert by_value["sets"]["test"] == by_value["reference"]
