"""Log loss, Brier and calibration against scikit-learn and their definitions."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from ctr.metrics import ScoreCounts, Undefined, sigmoid
from ctr.metrics.calibration import (
    brier,
    calibration,
    calibration_error,
    calibration_z,
    expected_calibration_error,
    log_loss,
    log_loss_error,
    log_loss_excess,
    log_loss_excess_error,
    mean_score,
    normalized_entropy,
    positive_rate,
    positive_rate_error,
    positives,
)
from tests.ctr.metrics.scored_rows import on_every_kind


@on_every_kind
def test_log_loss_and_brier_are_scikit_learns(counts, logit, label, weight):
    p = sigmoid(logit)
    assert log_loss(counts) == pytest.approx(sklearn_log_loss(label, p, sample_weight=weight), abs=1e-12)
    assert brier(counts) == pytest.approx(brier_score_loss(label, p, sample_weight=weight), abs=1e-12)
    constant = np.full(len(label), np.average(label, weights=weight))
    entropy = sklearn_log_loss(label, constant, sample_weight=weight)
    assert normalized_entropy(counts) == pytest.approx(log_loss(counts) / entropy, abs=1e-12)


@on_every_kind
def test_calibration_is_its_definition(counts, logit, label, weight):
    w, p = np.ones(len(label)) if weight is None else weight, sigmoid(logit)
    assert positive_rate(counts) == pytest.approx(np.average(label, weights=w), abs=1e-12)
    assert mean_score(counts) == pytest.approx(np.average(p, weights=w), abs=1e-12)
    assert calibration(counts) == pytest.approx((w @ p) / (w @ label), rel=1e-12)
    expected = (w @ label - w @ p) / np.sqrt(w**2 @ (p * (1 - p)))
    assert calibration_z(counts) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@on_every_kind
def test_the_error_of_the_log_loss_is_that_of_a_weighted_mean(counts, logit, label, weight):
    w, p = np.ones(len(label)) if weight is None else weight, sigmoid(logit)
    loss = -np.where(label == 1, np.log(p), np.log1p(-p))
    deviation = loss - np.average(loss, weights=w)
    expected = np.sqrt((w**2 @ deviation**2) / (w.sum() ** 2 - (w**2).sum()))
    assert log_loss_error(counts) == pytest.approx(expected, rel=1e-9)
    if weight is None:
        assert log_loss_error(counts) == pytest.approx(stats.sem(loss), rel=1e-9)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_z_is_standard_normal_if_the_scores_are_true(is_weighted):
    rng = np.random.default_rng(1)
    found = []
    for _ in range(2000):
        logit = rng.normal(-2, 1, 1000).astype(np.float32)
        weight = rng.uniform(0.1, 3, 1000) if is_weighted else None
        found.append(calibration_z(ScoreCounts.of(logit, rng.random(1000) < sigmoid(logit), weight)))
    assert stats.kstest(found, "norm").pvalue > 0.01


def test_expected_calibration_error_of_ten_groups_by_hand():
    # nine of ten groups are right on average; the highest has scores of 0.9 and a positive rate of 0.5
    share = np.repeat([0.9, 0.5, 0.25], [10, 40, 50])
    label = np.concatenate([[1, 0] * 5, [1, 0] * 20, [1, 0, 0, 0] * 12, [1, 0]])
    counts = ScoreCounts.of(np.log(share / (1 - share)).astype(np.float32), label)
    low = label[50:].mean()  # groups with the same score share their mean label
    expected = 0.1 * 0.4 + 0.5 * abs(low - 0.25)
    assert expected_calibration_error(counts) == pytest.approx(expected, abs=1e-7)


def test_log_loss_of_extreme_logits_does_not_overflow():
    counts = ScoreCounts.of(np.array([-1000, 1000], np.float32), np.array([1, 0]))
    assert log_loss(counts) == 1000


def test_the_error_of_the_positive_rate_is_its_spread_over_samples():
    rng = np.random.default_rng(0)
    rates, errors = [], []
    for _ in range(2000):
        label, weight = rng.random(400) < 0.1, rng.uniform(0.1, 3, 400)
        counts = ScoreCounts.of(np.zeros(400, np.float32), label, weight)
        rates.append(positive_rate(counts))
        errors.append(positive_rate_error(counts))
    assert np.mean(errors) == pytest.approx(np.std(rates), rel=0.05)


def losses_of(label, p):
    return -np.log(np.where(label == 1, p, 1 - p))


@on_every_kind
def test_the_excess_over_a_constant_is_that_of_each_row(counts, logit, label, weight):
    w = np.ones(len(label)) if weight is None else weight
    rate = np.average(label, weights=w)
    difference = losses_of(label, sigmoid(logit)) - losses_of(label, np.full(len(label), rate))
    mean = np.average(difference, weights=w)
    error = np.sqrt((w**2 * (difference - mean) ** 2).sum()) / w.sum()
    assert log_loss_excess(counts) == pytest.approx(mean, rel=1e-9, abs=1e-12)
    assert log_loss_excess_error(counts) == pytest.approx(error, rel=1e-9, abs=1e-12)


@on_every_kind
def test_the_error_of_calibration_is_that_of_a_ratio_of_means(counts, logit, label, weight):
    w, p = np.ones(len(label)) if weight is None else weight, sigmoid(logit)
    ratio = (w @ p) / (w @ label)
    assert calibration_error(counts) == pytest.approx(np.linalg.norm(w * (p - ratio * label)) / (w @ label), rel=1e-9)
    assert positives(counts) == pytest.approx((w @ label) ** 2 / (w**2 @ label), rel=1e-12)


def test_without_positives_there_are_none_to_count():
    counts = ScoreCounts.of(np.zeros(3, np.float32), np.zeros(3))
    assert positives(counts) == 0.0
    for measure in (calibration_error, log_loss_excess, log_loss_excess_error):
        with pytest.raises(Undefined, match=r"no positives|one class only"):
            measure(counts)


@pytest.mark.medium
@pytest.mark.parametrize(
    ("value", "error"), [(calibration, calibration_error), (log_loss_excess, log_loss_excess_error)]
)
@pytest.mark.parametrize("is_weighted", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("shift", [0.0, 0.5])
@pytest.mark.slow
def test_an_error_is_the_spread_over_samples(value, error, is_weighted, shift):
    rng = np.random.default_rng(2)
    values, errors = [], []
    for _ in range(2000):
        logit = rng.normal(-2, 1, 1000).astype(np.float32)
        label = rng.random(1000) < sigmoid(logit)
        counts = ScoreCounts.of(logit + np.float32(shift), label, rng.uniform(0.1, 3, 1000) if is_weighted else None)
        values.append(value(counts))
        errors.append(error(counts))
    # 2000 samples determine a standard deviation to 1.6%
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(values), rel=0.06)
