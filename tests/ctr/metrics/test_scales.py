"""Intervals stay within the range of a metric."""

import numpy as np
import pytest
from scipy import special, stats

from ctr.metrics import log_interval, log_odds_interval, mean_over_seeds, metric_over_seeds

OUTSIDE = [0.90, 0.97]  # Student's interval of two seeds reaches from 0.49 to 1.38


def test_students_own_interval_leaves_the_possible_and_the_scaled_one_does_not():
    plain, found = mean_over_seeds(OUTSIDE), metric_over_seeds(OUTSIDE, log_odds_interval)
    assert plain.high > 1
    assert 0 < found.low < found.value < found.high < 1
    assert (found.value, found.p_value) == (plain.value, plain.p_value)
    losses = [0.02, 0.05]
    assert mean_over_seeds(losses).low < 0
    assert 0 < metric_over_seeds(losses, log_interval).low < 0.035


def test_the_scales_are_those_of_the_delta_method():
    value, margin = 0.8, 0.1
    low, high = special.expit(special.logit(value) + np.array([-1, 1]) * margin / (value * (1 - value)))
    assert log_odds_interval(value, margin) == pytest.approx((low, high), rel=1e-12)
    low, high = np.exp(np.log(value) + np.array([-1, 1]) * margin / value)
    assert log_interval(value, margin) == pytest.approx((low, high), rel=1e-12)


@pytest.mark.parametrize("interval", [log_odds_interval, log_interval])
def test_a_small_interval_is_students(interval):
    values = [0.8031, 0.8034, 0.8030, 0.8036]
    found = metric_over_seeds(values, interval)
    expected = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected, abs=2e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("interval", [log_odds_interval, log_interval])
@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([1.0, 1.0, 1.0], "all seeds give the same value"),
        ([1.0], "one seed"),
        ([0.7, 0.7], "the same"),
        ([0.0] * 2, "same"),
    ],
)
def test_seeds_that_do_not_differ_have_no_interval(interval, values, reason):
    found = metric_over_seeds(values, interval)
    assert (found.value, found.low, found.high) == (pytest.approx(values[0]), None, None)
    assert reason in found.reason


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [[1.0, 0.0], [1.0, 1.0, 0.5], [1.0, 1 - 1e-11], [0.0, 1e-11], [0.0, 0.0, 1.0]])
def test_perfect_and_worthless_seeds_stay_within_the_bounds(values):
    low, high = (getattr(metric_over_seeds(values, log_odds_interval), end) for end in ("low", "high"))
    assert 0 <= low <= np.mean(values) <= high <= 1
    found = metric_over_seeds(values, log_interval)
    assert 0 <= found.low <= found.value <= found.high < np.inf
