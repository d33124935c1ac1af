"""Weights and logits at the limits of float64 give the right number, or None with a reason, never NaN."""

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit
from sklearn import metrics as sk

from ctr.metrics import (
    BinaryMetrics,
    GroupMetrics,
    ScoreCounts,
    auc_difference,
    auc_row_differences,
    gauc,
    log_loss_difference,
)
from ctr.metrics.calibration import log_loss
from ctr.metrics.ranking import auc, auc_interval
from tests.ctr.metrics.scored_rows import drawn

POWERS = [2.0**-1000, 2.0**-540, 2.0**-200, 2.0**200, 2.0**515, 2.0**1000]
each_power = pytest.mark.parametrize("power", POWERS, ids=[f"{power:.0e}" for power in POWERS])


def state_of(logit, label, weight, exact_rows=10**6):
    users = pa.array(np.arange(len(logit)) % 7)
    state = BinaryMetrics(exact_rows)
    for half in (slice(0, 1000), slice(1000, None)):
        groups = {"user": users[half.start : half.stop]}
        state.add(logit[half], label[half], None if weight is None else weight[half], groups)
    return state


@each_power
@pytest.mark.parametrize("exact_rows", [10**6, 10], ids=["exact", "binned"])
def test_metrics_do_not_depend_on_the_scale_of_the_weights(power, exact_rows):
    logit, label, weight = drawn("random")
    plain, extreme = (state_of(logit, label, one, exact_rows) for one in (weight, weight * power))

    assert extreme.result() == plain.result()
    assert extreme.result(cluster="user") == plain.result(cluster="user")
    for one, other in zip(extreme.deciles(), plain.deciles(), strict=True):
        assert one == {**other, "weight": other["weight"] * power}


@each_power
def test_metrics_of_groups_do_not_depend_on_it_either(power):
    logit, label, weight = drawn("random")
    plain, extreme = (state_of(logit, label, one).by_group("user") for one in (weight, weight * power))

    assert gauc(extreme) == gauc(plain)
    for name in ("auc", "auc_standard_error", "calibration_z"):
        np.testing.assert_array_equal(getattr(extreme, name), getattr(plain, name))
    np.testing.assert_array_equal(extreme.loss / extreme.weight, plain.loss / plain.weight)


@each_power
def test_paired_differences_do_not_depend_on_it_either(power):
    logit, label, weight = drawn("random")
    other = logit + np.random.default_rng(3).normal(size=len(logit)).astype(np.float32)
    for difference in (auc_difference, log_loss_difference):
        assert difference(logit, other, label, weight * power) == difference(logit, other, label, weight)


def test_a_group_of_tiny_weights_has_the_metrics_of_its_own():
    logit, label, weight = drawn("random")
    users, tiny = np.arange(len(logit)) % 2, weight.copy()
    tiny[users == 1] *= 1e-163

    found, plain = (GroupMetrics.of(logit, label, one, [pa.array(users)]) for one in (tiny, weight))

    for name in ("auc", "auc_standard_error", "calibration_z"):
        np.testing.assert_allclose(getattr(found, name), getattr(plain, name), rtol=1e-12)
    assert gauc(found)["gauc"] == found.auc[0]


def test_parts_of_weights_of_other_scales_merge_as_the_rows_do():
    logit, label, weight = drawn("random")
    weight[:1000] *= 1e155
    whole = ScoreCounts.of(logit, label, weight)

    halves = [ScoreCounts.of(logit[half], label[half], weight[half]) for half in (slice(0, 1000), slice(1000, None))]

    for merged in (halves[0].merge(halves[1]), halves[1].merge(halves[0])):
        assert auc(merged) == pytest.approx(auc(whole), rel=1e-12)
        assert auc_interval(merged) == pytest.approx(auc_interval(whole), rel=1e-9)


def test_classes_of_weights_too_far_apart_have_a_reason():
    logit, label, weight = drawn("random")
    state = state_of(logit, label, np.where(label == 1, weight * 1e-163, weight))

    found = state.result()

    for name in ("auc", "auc_interval", "ks"):
        assert found[name] is None
        assert "more than 2e90 times that of the other" in found["reasons"][name]
    assert not any(isinstance(value, float) and math.isnan(value) for value in found.values())
    assert auc_difference(logit, -logit, label, np.where(label == 1, 1e-163, 1)).reason


def with_infinite(right, wrong, seed=1):
    """Return rows with infinite logits: of each class, `right` agree with the label and `wrong` contradict it."""
    logit, label, weight = drawn("random", seed)
    for k in (0, 1):
        says = np.flatnonzero(label == k)
        logit[says[:right]] = np.inf if k else -np.inf
        logit[says[right : right + wrong]] = -np.inf if k else np.inf
    return logit, label, weight


@pytest.mark.parametrize("is_weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(("right", "wrong"), [(5, 0), (0, 5), (5, 5)])
def test_infinite_logits_are_the_probabilities_0_and_1(is_weighted, right, wrong):
    logit, label, weight = with_infinite(right, wrong)
    given = weight if is_weighted else None
    p = expit(logit.astype(np.float64))

    found = state_of(logit, label, given).result()

    assert found["auc"] == pytest.approx(sk.roc_auc_score(label, p, sample_weight=given), rel=1e-12)
    assert found["average_precision"] == pytest.approx(
        sk.average_precision_score(label, p, sample_weight=given), rel=1e-12
    )
    assert found["brier"] == pytest.approx(sk.brier_score_loss(label, p, sample_weight=given), rel=1e-12)
    if wrong:
        assert found["log_loss"] == math.inf
    else:
        assert found["log_loss"] == pytest.approx(sk.log_loss(label, p, sample_weight=given), rel=1e-9)
    assert not any(isinstance(value, float) and math.isnan(value) for value in found.values())


def test_groups_with_infinite_logits_have_the_same_numbers():
    logit, label, weight = with_infinite(5, 5)
    found = GroupMetrics.of(logit, label, weight, [pa.array(np.zeros(len(logit), int))])
    counts = ScoreCounts.of(logit, label, weight)
    assert found.auc[0] == pytest.approx(auc(counts), rel=1e-12)
    assert found.loss[0] == log_loss(counts) == math.inf


def test_a_loss_that_is_infinite_has_no_difference_but_a_reason():
    logit, label, weight = with_infinite(5, 0)
    wrong, _, _ = with_infinite(5, 5)
    assert log_loss_difference(logit, wrong, label).reason.startswith("the log loss is infinite")
    assert log_loss_difference(logit, wrong, label).value is None
    finite = log_loss_difference(logit, np.zeros_like(logit), label)
    assert finite.low < finite.value < finite.high < 0
    ignored = np.where(np.isinf(wrong), 0.0, weight)
    assert log_loss_difference(logit, wrong, label, ignored).value == pytest.approx(0, abs=1e-12)
    assert np.isfinite(auc_difference(logit, wrong, label).low)


def test_a_logit_that_is_nan_is_refused():
    logit, label, _ = drawn("random")
    logit[3] = np.nan
    for compute in (
        lambda: BinaryMetrics().add(logit, label),
        lambda: ScoreCounts.of(logit, label),
        lambda: GroupMetrics.of(logit, label, None, [pa.array(label)]),
        lambda: auc_row_differences(label.astype(np.float32), logit, label),
        lambda: log_loss_difference(label, logit, label),
    ):
        with pytest.raises(ValueError, match=r"logit: 1 of 3000 are NaN\. Leave these rows out"):
            compute()


@pytest.mark.parametrize("cluster", [None, "user"])
def test_errors_of_an_infinite_log_loss_are_none_with_its_reason(cluster):
    logit, label, _ = drawn("random")
    logit, label = np.append(logit, np.float32(np.inf)), np.append(label, 0)

    found = state_of(logit, label, None).result(cluster=cluster)

    assert found["log_loss"] == math.inf
    for name in ("log_loss_error", "log_loss_excess_error"):
        assert found[name] is None
        assert found["reasons"][name] == "the log loss is infinite: an infinite logit has the opposite label"


@pytest.mark.parametrize("cluster", [None, "user"])
def test_an_infinite_logit_of_its_own_label_leaves_errors_finite(cluster):
    logit, label, _ = drawn("random")
    found = [
        state_of(np.append(logit, np.float32(far)), np.append(label, 1), None).result(cluster=cluster)
        for far in (np.inf, 3e38)
    ]
    for name in ("log_loss", "log_loss_error", "log_loss_excess", "log_loss_excess_error", "calibration_error"):
        assert found[0][name] == pytest.approx(found[1][name], rel=1e-12)
