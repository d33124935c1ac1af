"""Metrics against scikit-learn and SciPy, and merged states against the whole."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from ctr.metrics import BinaryMetrics, CategoryBins, QuantileBins, bins_from_json, compare, psi
from ctr.metrics.binary import sigmoid


def metrics_of(logit, label, weight=None):
    metrics = BinaryMetrics()
    metrics.update(logit, label, weight)
    return metrics


def draw(rng, rows, kind):
    logit = rng.normal(size=rows).astype(np.float32)
    if kind == "tied":
        logit = np.round(logit)
    if kind == "constant":
        logit[:] = 0.25
    rate = 0.01 if kind == "imbalanced" else 0.4
    label = (rng.random(rows) < rate).astype(np.float32)
    label[:2] = 0, 1
    return logit, label


@pytest.mark.parametrize("kind", ["random", "tied", "constant", "imbalanced"])
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("rows", [2, 5000])
def test_auc_and_log_loss_equal_scikit_learns(kind, is_weighted, rows):
    rng = np.random.default_rng(1)
    logit, label = draw(rng, rows, kind)
    weight = rng.uniform(0.1, 3, rows) if is_weighted else None
    found = metrics_of(logit, label, weight).result()
    assert found["auc"] == pytest.approx(roc_auc_score(label, logit, sample_weight=weight), abs=1e-12)
    assert found["log_loss"] == pytest.approx(log_loss(label, sigmoid(logit), sample_weight=weight), abs=1e-12)
    assert found["label_rate"] == pytest.approx(np.average(label, weights=weight), abs=1e-12)
    assert found["rows"] == rows


def test_log_loss_of_extreme_logits_does_not_overflow():
    found = metrics_of(np.array([-1000, 1000], np.float32), np.array([1, 0], np.float32)).result()
    assert found["log_loss"] == 1000


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.integers(0, 3)), min_size=1, max_size=60), st.data())
def test_merged_states_equal_the_whole(rows, data):
    cuts = data.draw(st.lists(st.integers(0, len(rows)), max_size=4).map(sorted))
    merged = BinaryMetrics()
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        part = np.array(rows[start:end], np.float32).reshape(-1, 3)
        merged = merged.merge(metrics_of(part[:, 0], part[:, 1]))
    whole = np.array(rows, np.float32)
    expected = metrics_of(whole[:, 0], whole[:, 1]).result()
    assert merged.result()["auc"] == expected["auc"]
    assert merged.result()["log_loss"] == pytest.approx(expected["log_loss"], abs=1e-12)


@pytest.mark.parametrize(
    ("label", "weight", "reason"),
    [([1, 1], None, "one class only"), ([0, 1], [1, 0], "one class only"), ([0, 1], [0, 0], "no rows with a weight")],
)
def test_what_cannot_be_computed_is_null_with_a_reason(label, weight, reason):
    found = metrics_of(np.zeros(2, np.float32), np.array(label), None if weight is None else np.array(weight)).result()
    assert found["auc"] is None
    assert reason in found["reasons"]["auc"]


def test_psi_of_a_known_shift():
    # (0.4 - 0.5) ln(0.4 / 0.5) + (0.6 - 0.5) ln(0.6 / 0.5), with counts so large that 0.5 more does not matter
    assert psi(np.array([5e9, 5e9]), np.array([4e9, 6e9])) == pytest.approx(0.1 * np.log(1.2 / 0.8), abs=1e-8)


def test_psi_is_symmetric_and_counts_a_category_that_is_new():
    old, new = np.array([100.0, 0.0]), np.array([50.0, 50.0])
    assert psi(old, new) == pytest.approx(psi(new, old), rel=1e-12)
    assert psi(old, new) > 1


def test_psi_without_shift_stays_below_its_noise():
    rng = np.random.default_rng(0)
    bins = QuantileBins.fitted(rng.normal(size=100_000), 10)
    weight = np.ones(20_000)
    expected = bins.count(rng.normal(size=20_000), weight)
    found = [compare(expected, bins.count(rng.normal(size=20_000), weight), 20_000, 20_000, 0.2) for _ in range(300)]
    assert sum(one["psi"] > one["noise"] for one in found) <= 3
    assert {one["verdict"] for one in found} == {"stable"}


@pytest.mark.parametrize(
    ("actual", "rows", "verdict"),
    [
        ([50, 50], 100_000, "stable"),
        ([31, 69], 100_000, "moderate"),
        ([20, 80], 100_000, "unstable"),
        ([35, 65], 10, "insufficient_data"),
        ([1, 99], 40, "unstable"),
    ],
)
def test_verdicts(actual, rows, verdict):
    expected, actual = np.array([0.5, 0.5]) * rows, np.array(actual) / 100 * rows
    assert compare(expected, actual, rows, rows, unstable_above=0.2)["verdict"] == verdict


def test_quantile_bins_are_equal_and_missing_is_apart():
    sample = np.append(np.arange(1000.0), [np.nan] * 7)
    counts = QuantileBins.fitted(sample, 10).count(sample, np.ones(len(sample)))
    assert counts.tolist() == [100] * 10 + [7]


def test_a_heavy_value_has_a_bin_of_its_own():
    sample = np.concatenate([np.zeros(500), np.linspace(1, 2, 500)])
    bins = QuantileBins.fitted(sample, 10)
    counts = bins.count(np.array([0.0, 0.0, -1e-9, 1e-9]), np.ones(4))
    assert counts[np.searchsorted(bins.edges, 0.0)] == 2


@pytest.mark.parametrize("sample", [np.full(10, np.nan), np.full(10, 3.0), np.array([])])
def test_bins_of_a_column_without_spread(sample):
    bins = QuantileBins.fitted(sample, 10)
    other = np.array([1.0, 3.0, np.nan])
    assert bins.count(sample, np.ones(len(sample))).sum() == len(sample)
    assert bins.count(other, np.ones(3))[-1] == 1


def test_category_bins_are_the_top_values_other_and_missing():
    sample = pa.array(["b", "b", "a", "a", "c", None], pa.large_string())
    bins = CategoryBins.fitted(sample, 2)
    assert bins.values.to_pylist() == ["a", "b"]
    assert bins.count(pa.array(["a", "c", "new", None, None], pa.large_string()), np.ones(5)).tolist() == [1, 0, 2, 2]


@pytest.mark.parametrize(
    "bins",
    [
        QuantileBins((0.1, 1e300)),
        CategoryBins(pa.array([2**63, 1], pa.uint64())),
        CategoryBins(pa.array(["<ä>", ""], pa.large_string())),
    ],
)
def test_bins_survive_json(bins):
    assert bins_from_json(bins.to_json()) == bins
