"""Precision, recall, F1 and deciles against scikit-learn and naive references."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from ctr.metrics import ScoreCounts, Undefined, sigmoid
from ctr.metrics.thresholds import best_f1, deciles, f1, precision, recall
from tests.ctr.metrics.scored_rows import KINDS, drawn, on_every_kind, repeated


@on_every_kind
@pytest.mark.parametrize("threshold", [0.1, 0.25, 0.5])
def test_precision_recall_and_f1_are_scikit_learns(counts, logit, label, weight, threshold):
    predicted = sigmoid(logit) >= threshold
    given = {"sample_weight": weight, "zero_division": 0}
    if predicted.any():
        assert precision(counts, threshold) == pytest.approx(precision_score(label, predicted, **given), abs=1e-12)
    else:
        with pytest.raises(Undefined, match=f"no score reaches {threshold}"):
            precision(counts, threshold)
    assert recall(counts, threshold) == pytest.approx(recall_score(label, predicted, **given), abs=1e-12)
    assert f1(counts, threshold) == pytest.approx(f1_score(label, predicted, **given), abs=1e-12)


@pytest.mark.medium
@on_every_kind
def test_best_f1_is_that_of_all_thresholds(counts, logit, label, weight):
    every = [f1_score(label, logit >= score, sample_weight=weight) for score in np.unique(logit)[-200:]]
    value, threshold = best_f1(ScoreCounts.of(logit, label, weight))
    assert value >= max(every) - 1e-12
    assert value == pytest.approx(f1_score(label, logit >= threshold, sample_weight=weight), abs=1e-12)
    assert f1(counts, float(sigmoid(threshold))) == pytest.approx(value, abs=1e-12)  # recovered as a probability


def naive_deciles(logit, label):
    """Return sums of label, p and p (1 - p) of ten groups: every row is split into ten pieces, shared among ten groups.

    Rows that tie have their mean label.
    """
    _, which = np.unique(logit, return_inverse=True)
    mean_label = (np.bincount(which, label) / np.bincount(which))[which]
    p, order = sigmoid(logit), np.argsort(-logit)
    return [np.repeat(column[order], 10).reshape(10, -1).sum(axis=1) / 10 for column in (mean_label, p, p * (1 - p))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [3000, 2997, 7, 3])
def test_deciles_are_those_of_rows_cut_into_pieces(kind, rows):
    logit, label, _ = (column[:rows] for column in drawn(kind))
    groups = deciles(ScoreCounts.of(logit, label))
    rows = len(label) / 10
    assert len(groups) == 10
    for group, y, p, variance in zip(groups, *naive_deciles(logit, label), strict=True):
        assert group["weight"] == pytest.approx(rows)
        assert group["mean_score"] == pytest.approx(p / rows, abs=1e-12)
        assert group["positive_rate"] == pytest.approx(y / rows, abs=1e-12)
        assert group["lift"] == pytest.approx(y / rows / label.mean(), abs=1e-12)
        assert group["calibration"] == (pytest.approx(p / y, rel=1e-9) if y > 0 else None)
        assert group["positive_rate_error"] == pytest.approx(np.sqrt(variance) / rows, rel=1e-9, abs=1e-9)
        assert group["calibration_z"] == pytest.approx((y - p) / np.sqrt(variance), rel=1e-9, abs=1e-9)


def test_a_weight_is_so_many_rows_but_for_errors():
    logit, label, _ = drawn("tied")
    times = np.random.default_rng(3).integers(1, 4, len(label))
    weighted = deciles(ScoreCounts.of(logit, label, times))
    more_rows = deciles(ScoreCounts.of(*repeated(times, logit, label)))
    for one, other in zip(weighted, more_rows, strict=True):
        for key in ("calibration_z", "positive_rate_error"):
            del one[key], other[key]
        assert one == pytest.approx(other, rel=1e-12)


def test_deciles_that_hold_no_positive_have_no_calibration():
    # 0.1 is inexact in binary: no fraction of the positive can end up in the next group
    counts = ScoreCounts.of(np.arange(10, dtype=np.float32), np.arange(10) == 4, np.full(10, 0.1))
    assert [group["calibration"] is not None for group in deciles(counts)] == [k == 5 for k in range(10)]
    assert [group["lift"] for group in deciles(counts)] == pytest.approx([10.0 * (k == 5) for k in range(10)])


def test_scores_that_are_certain_have_no_z():
    groups = deciles(ScoreCounts.of(np.repeat([1000, -1000], 10).astype(np.float32), np.repeat([1, 0], 10)))
    assert {group["calibration_z"] for group in groups} == {None}
