"""The AUC metric equals scikit-learn's up to pairs in one bin, also where clicks are rare."""

import numpy as np
import pytest
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from models import AUC
from models.auc import LARGEST_LOGIT


def auc_of(label, score, weight=None, chunks=1, **arguments):
    """Return the metric of examples that come in chunks."""
    auc = AUC(**arguments)
    for rows in np.array_split(np.arange(len(label)), chunks):
        auc.update_state(label[rows], score[rows], None if weight is None else weight[rows])
    return float(auc.result())


def clicks(rows, rate, seed):
    """Return labels, scores and weights of a calibrated model."""
    random = np.random.default_rng(seed)
    score = 1 / (1 + np.exp(-random.normal(np.log(rate), 1.0, rows)))
    label = (random.random(rows) < score).astype(np.float32)
    return label, score.astype(np.float32), random.uniform(0, 3, rows).astype(np.float32)


@pytest.mark.parametrize("rate", [0.3, 0.01, 0.0005])
def test_it_is_that_of_scikit_learn_however_rare_clicks_are(rate):
    label, score, weight = clicks(200_000, rate, seed=1)
    assert auc_of(label, score, chunks=7) == pytest.approx(roc_auc_score(label, score), abs=1e-4)
    expected = roc_auc_score(label, score, sample_weight=weight)
    assert auc_of(label, score, weight, chunks=7) == pytest.approx(expected, abs=1e-4)


def test_the_thresholds_of_keras_merge_rare_scores():
    label, score, _ = clicks(200_000, 0.0005, seed=1)
    of_keras = tf_keras.metrics.AUC(num_thresholds=2000)
    of_keras.update_state(label, score)
    assert abs(float(of_keras.result()) - roc_auc_score(label, score)) > 0.005


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(2, 64), st.integers(0, 2**32 - 1))
def test_the_error_is_at_most_half_of_the_pairs_in_one_bin(rows, bins, seed):
    random = np.random.default_rng(seed)
    label = np.append([0.0, 1.0], random.integers(0, 2, rows - 2)).astype(np.float32)
    logit = np.append([0.0, 0.0], random.normal(0, 6, rows - 2).round(1))
    score = 1 / (1 + np.exp(-logit))
    weight = random.integers(1, 4, rows).astype(np.float32)
    bin_ = np.minimum((np.log(score) - np.log1p(-score) + LARGEST_LOGIT) / (2 * LARGEST_LOGIT) * bins, bins - 1)
    bin_ = np.clip(bin_, 0, bins - 1).astype(int)
    pairs = np.outer(weight * (label == 1), weight * (label == 0))
    shared = (pairs * (bin_[:, None] == bin_[None, :])).sum() / pairs.sum()
    expected = roc_auc_score(label, score, sample_weight=weight)
    assert abs(auc_of(label, score, weight, bins=bins) - expected) <= shared / 2 + 1e-9


def test_probabilities_0_and_1_count():
    assert auc_of(np.array([0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.5])) == 1
    assert auc_of(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 0


def test_it_is_nan_where_it_has_no_value():
    assert np.isnan(float(AUC().result()))
    assert np.isnan(auc_of(np.ones(3), np.full(3, 0.5)))
    assert np.isnan(auc_of(np.zeros(3), np.full(3, 0.5)))
    assert np.isnan(auc_of(np.array([0.0, 1.0, 1.0]), np.array([0.1, 0.2, np.nan])))


def test_a_reset_forgets_all_examples_and_the_name_does_not_count_up():
    auc = AUC()
    auc.update_state([0.0, 1.0], [0.9, 0.1])
    auc.reset_state()
    auc.update_state([0.0, 1.0], [0.1, 0.9])
    assert float(auc.result()) == 1
    assert (AUC().name, AUC().name) == ("auc", "auc")
    assert AUC.from_config(AUC(name="roc", bins=9).get_config()).get_config() == {"name": "roc", "bins": 9}


def test_one_bin_is_an_error():
    with pytest.raises(ValueError, match=r"bins must be at least 2\. Received: 1"):
        AUC(bins=1)
