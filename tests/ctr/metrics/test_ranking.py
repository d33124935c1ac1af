"""AUC, its interval, average precision and Kolmogorov-Smirnov against scikit-learn, SciPy and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from ctr.metrics import ScoreCounts, Undefined
from ctr.metrics.ranking import auc, auc_error, auc_interval, average_precision, ks
from tests.ctr.metrics.scored_rows import KINDS, drawn, on_every_kind, repeated


def delong(logit, label, weight):
    """Return AUC and, by class, DeLong's variance component and the effective rows, from the matrix of all pairs."""
    positive, negative = label == 1, label == 0
    beats = np.sign(logit[positive][:, None].astype(float) - logit[negative]) / 2 + 0.5
    w, v = weight[positive], weight[negative]
    value = w @ beats @ v / w.sum() / v.sum()
    terms = []
    for own, component in ((w, beats @ v / v.sum()), (v, w @ beats / w.sum())):
        variance = (own**2 * (component - value) ** 2).sum() / (own.sum() ** 2 - (own**2).sum())
        terms.append((variance, own.sum() ** 2 / (own**2).sum()))
    return value, terms


def interval_by_definition(value, terms):
    (a, m), (b, n) = terms
    margin = stats.t.ppf(0.975, (a + b) ** 2 / (a**2 / (m - 1) + b**2 / (n - 1))) * np.sqrt(a + b)
    return special.expit(special.logit(value) + np.array([-1, 1]) * margin / (value * (1 - value)))


@on_every_kind
def test_auc_and_average_precision_are_scikit_learns(counts, logit, label, weight):
    assert auc(counts) == pytest.approx(roc_auc_score(label, logit, sample_weight=weight), abs=1e-12)
    expected = average_precision_score(label, logit, sample_weight=weight)
    assert average_precision(counts) == pytest.approx(expected, abs=1e-12)


@on_every_kind
def test_ks_is_the_largest_gap_of_the_roc_curve(counts, logit, label, weight):
    false_positives, true_positives, _ = roc_curve(label, logit, sample_weight=weight, drop_intermediate=False)
    value, threshold = ks(counts)
    assert value == pytest.approx(np.abs(true_positives - false_positives).max(), abs=1e-12)
    share = [
        np.average(logit[label == k] >= threshold, weights=None if weight is None else weight[label == k])
        for k in (0, 1)
    ]
    assert abs(share[1] - share[0]) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_ks_is_scipys(kind):
    logit, label, _ = drawn(kind)
    value, _ = ks(ScoreCounts.of(logit, label))
    assert value == pytest.approx(stats.ks_2samp(logit[label == 1], logit[label == 0]).statistic, abs=1e-12)


@pytest.mark.parametrize("kind", ["random", "tied", "imbalanced"])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_interval_is_delongs_from_all_pairs(kind, is_weighted):
    logit, label, weight = drawn(kind)
    expected = interval_by_definition(*delong(logit, label, weight if is_weighted else np.ones(len(label))))
    found = auc_interval(ScoreCounts.of(logit, label, weight if is_weighted else None))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_variance_and_degrees_of_freedom_are_those_of_scipys_brunner_munzel_test():
    logit, label, _ = drawn("tied")
    value, ((a, m), (b, n)) = delong(logit, label, np.ones(len(label)))
    test = stats.brunnermunzel(logit[label == 0], logit[label == 1])
    assert test.statistic == pytest.approx((value - 0.5) / np.sqrt(a + b), rel=1e-9)
    freedom = (a + b) ** 2 / (a**2 / (m - 1) + b**2 / (n - 1))
    assert test.pvalue == pytest.approx(2 * stats.t.sf(abs(test.statistic), freedom), rel=1e-9)


@pytest.mark.medium
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.slow
def test_the_interval_holds_the_truth_in_95_percent_of_simulations(is_weighted):
    # scripts/auc_coverage.py runs more simulations
    rng, truth, simulations = np.random.default_rng(2), 0.8, 10_000
    held = 0
    for _ in range(simulations):
        label = rng.random(300) < 0.3
        logit = rng.normal(np.sqrt(2) * special.ndtri(truth) * label).astype(np.float32)
        low, high = auc_interval(ScoreCounts.of(logit, label, rng.uniform(0.2, 2, 300) if is_weighted else None))
        held += low <= truth <= high
    assert 0.944 <= held / simulations <= 0.956


def test_a_weight_repeats_a_row_in_the_auc_but_makes_no_observation_of_it():
    logit, label, _ = drawn("tied")
    times = np.random.default_rng(3).integers(1, 4, len(label))
    weighted, more_rows = ScoreCounts.of(logit, label, times), ScoreCounts.of(*repeated(times, logit, label))
    assert auc(weighted) == pytest.approx(auc(more_rows), abs=1e-14)
    # copies of a row would count as independent, and the interval would be too narrow
    assert np.diff(auc_interval(weighted)) > 1.2 * np.diff(auc_interval(more_rows))
    constant = ScoreCounts.of(logit, label, np.full(len(label), 3.0))
    np.testing.assert_allclose(auc_interval(constant), auc_interval(ScoreCounts.of(logit, label)), rtol=1e-12)


@pytest.mark.parametrize(
    ("logit", "label", "reason"),
    [
        ([0, 1], [1, 1], "one class only"),
        ([], [], "no examples"),
        ([0, 1, 2], [1, 0, 0], "fewer than two examples"),
        ([0, 0, 1, 1], [0, 0, 1, 1], "variance is 0"),
        ([1, 1, 1, 1], [0, 0, 1, 1], "variance is 0"),
    ],
)
@pytest.mark.parametrize("weight", [None, 0.1])
def test_an_interval_that_the_rows_do_not_define(logit, label, reason, weight):
    label = np.array(label)
    with pytest.raises(Undefined, match=reason):
        auc_interval(ScoreCounts.of(np.array(logit, np.float32), label, weight and np.full(len(label), weight)))


@given(st.lists(st.tuples(st.integers(-40, 40), st.booleans(), st.integers(1, 3)), min_size=1, max_size=80))
def test_the_auc_lies_within_the_error_of_the_binned_form(rows):
    logit, label, weight = np.array([(0, 0, 1), (1, 1, 1), *rows], np.float32).T
    exact = ScoreCounts.of(logit / 16, label, weight)
    binned = exact.on_grid(1.0)
    assert abs(auc(binned) - auc(exact)) <= auc_error(binned) + 1e-15


def test_the_error_of_the_binned_form_is_reached():
    counts = ScoreCounts.of(np.array([0.1, 0.2], np.float32), np.array([0, 1])).on_grid(1.0)
    assert (auc(counts), auc_error(counts)) == (0.5, 0.5)
