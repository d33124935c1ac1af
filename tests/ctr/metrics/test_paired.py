"""Differences of two models on the same rows, against the matrix of all pairs and SciPy."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import log_loss, roc_auc_score

from ctr.metrics import auc_difference, log_loss_difference, sigmoid
from tests.ctr.metrics.scored_rows import drawn


def two_models(kind):
    """Return correlated logits of two models for the same rows, and the label and the weight."""
    logit, label, weight = drawn(kind)
    other = (logit + np.random.default_rng(8).normal(0, 0.5, len(logit))).astype(np.float32)
    return logit, np.round(other, 1) if kind == "tied" else other, label, weight


def covariances(logits, label, weight):
    """Return DeLong's covariance matrix of the AUCs, from all pairs, in O(rows^2)."""
    positive, negative = label == 1, label == 0
    w, v = weight[positive], weight[negative]
    beats = [np.sign(logit[positive][:, None].astype(float) - logit[negative]) / 2 + 0.5 for logit in logits]
    aucs = [w @ one @ v / w.sum() / v.sum() for one in beats]
    total = np.zeros((2, 2))
    for own, components in ((w, [one @ v / v.sum() for one in beats]), (v, [w @ one / w.sum() for one in beats])):
        centred = [component - auc for component, auc in zip(components, aucs, strict=True)]
        effective = own.sum() ** 2 - (own**2).sum()
        total += [[(own**2 * a * b).sum() / effective for a in centred] for b in centred]
    return total


@pytest.mark.parametrize("kind", ["random", "tied", "imbalanced"])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_difference_of_auc_is_delongs(kind, is_weighted):
    a, b, label, weight = two_models(kind)
    found = auc_difference(a, b, label, weight if is_weighted else None)
    weight = weight if is_weighted else np.ones(len(label))
    auc_a, auc_b = (roc_auc_score(label, logit, sample_weight=weight) for logit in (a, b))
    matrix = covariances([a, b], label, weight)
    error = np.sqrt(matrix[0, 0] + matrix[1, 1] - 2 * matrix[0, 1])
    assert found.value == pytest.approx(auc_a - auc_b, abs=1e-12)
    assert (found.low, found.high) == pytest.approx(stats.norm.interval(0.95, auc_a - auc_b, error), abs=1e-12)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(auc_a - auc_b) / error), rel=1e-9)


def test_the_difference_of_log_loss_is_that_of_paired_rows():
    a, b, label, weight = two_models("random")
    found = log_loss_difference(a, b, label)
    row_losses = [-np.where(label == 1, np.log(sigmoid(x)), np.log1p(-sigmoid(x))) for x in (a, b)]
    test = stats.ttest_rel(*row_losses)
    assert found.value == pytest.approx(np.mean(row_losses[0] - row_losses[1]), abs=1e-12)
    assert found.value / (found.high - found.value) == pytest.approx(test.statistic / stats.norm.ppf(0.975), rel=1e-9)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(test.statistic)), rel=1e-9)
    weighted = log_loss_difference(a, b, label, weight)
    expected = [log_loss(label, sigmoid(x), sample_weight=weight) for x in (a, b)]
    assert weighted.value == pytest.approx(expected[0] - expected[1], abs=1e-12)


@pytest.mark.parametrize("difference", [auc_difference, log_loss_difference])
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.medium
def test_without_a_difference_one_in_twenty_is_called_one(difference, is_weighted):
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(1000):
        label, shared = rng.integers(0, 2, 300), rng.normal(size=300)
        a, b = ((shared + rng.normal(size=300) + label).astype(np.float32) for _ in range(2))
        weight = rng.uniform(0.2, 2, 300) if is_weighted else None
        found += difference(a, b, label, weight).p_value < 0.05
    assert 0.03 < found / 1000 < 0.07


@pytest.mark.parametrize("difference", [auc_difference, log_loss_difference])
def test_a_minus_b_is_b_minus_a_turned_round(difference):
    a, b, label, weight = two_models("tied")
    one, other = difference(a, b, label, weight), difference(b, a, label, weight)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low), abs=1e-15)
    assert one.p_value == pytest.approx(other.p_value)


@pytest.mark.parametrize("difference", [auc_difference, log_loss_difference])
@pytest.mark.parametrize(
    ("label", "weight", "reason"),
    [
        ([], None, "no examples with a weight"),
        ([0, 1], [0, 0], "no examples with a weight"),
        ([0, 1, 1], [1, 1, 0], "fewer than two examples"),
        ([0, 0, 1, 1], None, "variance is 0"),
    ],
)
def test_what_the_rows_do_not_define_has_a_reason(difference, label, weight, reason):
    logit = np.zeros(len(label), np.float32)
    weight = None if weight is None else np.array(weight)
    found = difference(logit, logit, np.array(label, np.int64), weight)
    assert (found.low, found.high, found.p_value) == (None, None, None)
    if (difference, reason) != (log_loss_difference, "fewer than two examples"):  # it treats both classes as one
        assert reason in found.reason
