"""Means and differences over several seeds, against SciPy, by simulation, and in degenerate cases."""

import numpy as np
import pytest
from scipy import stats

from ctr.metrics import (
    RowDifferences,
    auc_difference,
    auc_row_differences,
    difference_over_both,
    holm,
    log_loss_row_differences,
    mean_over_seeds,
)
from tests.ctr.metrics.scored_rows import drawn


def seeds_of(kind, seeds, spread=0.5, weighted=False):
    """Return, for each seed, the logits of two models on the same rows, and label and weight."""
    logit, label, weight = drawn(kind)
    rng = np.random.default_rng(5)
    pairs = [[(logit + rng.normal(0, spread, len(logit))).astype(np.float32) for _ in "ab"] for _ in range(seeds)]
    return pairs, label, weight if weighted else None


def test_a_mean_over_seeds_is_students():
    values = [0.803, 0.807, 0.801, 0.806]
    found = mean_over_seeds(values)
    assert found.value == pytest.approx(np.mean(values))
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 3, np.mean(values), stats.sem(values)))
    assert mean_over_seeds([0.001, -0.002, 0.003]).p_value == pytest.approx(
        stats.ttest_1samp([0.001, -0.002, 0.003], 0).pvalue
    )


@pytest.mark.parametrize(("values", "reason"), [([0.1], "one seed"), ([0.1, 0.1], "all seeds give the same value")])
def test_what_seeds_cannot_tell_is_a_reason(values, reason):
    found = mean_over_seeds(values)
    assert found.value == pytest.approx(0.1)
    assert found.low is None
    assert found.p_value is None
    assert reason in found.reason


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rows_of", [auc_row_differences, log_loss_row_differences])
def test_one_seed_has_the_interval_of_other_rows(rows_of, weighted):
    (pair,), label, weight = seeds_of("random", 1, weighted=weighted)
    one = rows_of(*pair, label, weight)
    assert difference_over_both([one]) == one.difference()


def test_a_difference_of_two_seeds_ends_where_no_auc_can_be():
    logit, label, _ = drawn("random")
    noise = np.random.default_rng(7).normal(size=len(logit)).astype(np.float32)
    by_seed = [auc_row_differences(logit, noise, label), auc_row_differences(noise, logit, label)]

    found = difference_over_both(by_seed)

    assert (found.low, found.high) == (-1, 1)


def test_models_that_err_alike_gain_nothing_by_being_many():
    (pair,), label, _ = seeds_of("random", 1)
    one = auc_row_differences(*pair, label)
    both = difference_over_both([one, one, one])
    alone = auc_difference(*pair, label)
    assert (both.value, both.low, both.high) == pytest.approx((alone.value, alone.low, alone.high), abs=1e-12)
    assert both.p_value == pytest.approx(alone.p_value, rel=1e-6)


def test_the_margins_of_rows_and_of_seeds_are_joined():
    pairs, label, _ = seeds_of("random", 3)
    by_seed = [auc_row_differences(*pair, label) for pair in pairs]
    found = difference_over_both(by_seed)
    values = [one.value for one in by_seed]
    deviation = np.mean([one.deviation for one in by_seed], axis=0)
    rows = sum(deviation[label == kind].var(ddof=1) / (label == kind).sum() for kind in (0, 1))
    margin = np.hypot(stats.t.ppf(0.975, 2) * stats.sem(values), stats.norm.ppf(0.975) * np.sqrt(rows))
    assert found.value == pytest.approx(np.mean(values), abs=1e-15)
    assert (found.low, found.high) == pytest.approx((np.mean(values) - margin, np.mean(values) + margin), abs=1e-12)
    at_p = np.hypot(
        stats.t.isf(found.p_value / 2, 2) * stats.sem(values), stats.norm.isf(found.p_value / 2) * np.sqrt(rows)
    )
    assert at_p == pytest.approx(abs(found.value), rel=1e-9)
    assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_equal_scores_have_no_difference_and_no_p():
    (pair,), label, _ = seeds_of("random", 1)
    same = auc_row_differences(pair[0], pair[0], label)
    found = difference_over_both([same, same])
    assert found.value == 0
    assert found.p_value is None
    assert found.reason == "the estimated variance is 0"


def parts(values, deviation):
    """Return a difference per seed, over rows whose mean has the standard error of `deviation`."""
    whole = np.ones(len(deviation), bool)
    return [RowDifferences(value, deviation, np.ones(len(deviation)), (whole,)) for value in values]


@pytest.mark.medium
@pytest.mark.parametrize("seeds", [2, pytest.param(3, marks=pytest.mark.slow), 5])
@pytest.mark.parametrize("of_seeds", [0.0, 0.3, 3.0, 100.0])
def test_the_interval_covers_the_truth_at_least_as_often_as_it_says(seeds, of_seeds):
    """The true difference is 0; `of_seeds` is the variance between seeds, and that of the rows is 1."""
    rng = np.random.default_rng([seeds, int(10 * of_seeds)])
    deviation = np.array([-1.0, 1.0, -1.0, 1.0]) * np.sqrt(3.0)  # whose mean has variance 1
    tries = 2000
    missed = 0
    for _ in range(tries):
        values = rng.normal() + rng.normal(0, np.sqrt(of_seeds), seeds)
        found = difference_over_both(parts(values, deviation))
        missed += found.low > 0 or found.high < 0
    assert missed / tries <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / tries)


def test_holm_steps_down():
    assert holm([]) == []
    assert holm([None]) == [None]
    assert holm([0.04, None, 0.01]) == pytest.approx([0.04, None, 0.02])
    assert holm([0.01, 0.02, 0.03, 0.005]) == pytest.approx([0.03, 0.04, 0.04, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
