"""Overfitting and drift are distinguished in planted cases of each and of both."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from ctr.evaluation.histograms import SCORE, Binning, Histograms
from ctr.evaluation.overfitting import class_scores, find_overfitting
from ctr.evaluation.score_by_bin import ScoreByBin
from ctr.metrics import BinaryMetrics
from ctr.metrics.psi import Drift

FEATURES = 150


class Rows:
    """Rows of normal features, the first ten of which predict the label, with the scores of a model."""

    def __init__(self, rows, seed, shift=0.0):
        random = np.random.default_rng(seed)
        self.x = random.normal(size=(rows, FEATURES)) + shift
        self.label = random.random(rows) < 1 / (1 + np.exp(1 - 0.4 * self.x[:, :10].sum(axis=1)))
        self.logit = np.zeros(rows)

    def scored(self, model, memorized=0.0):
        """Set the model's logits, shifted towards the labels by `memorized`, and return self."""
        self.logit = model.decision_function(self.x) + memorized * (2 * self.label - 1)
        return self

    def values(self, rows=slice(None)):
        columns = {f"feature/{k}": pa.array(self.x[rows, k]) for k in range(FEATURES)}
        return {SCORE: pa.array(self.logit[rows]), **columns}

    def counted(self, binning, rows=slice(None)):
        codes = binning.assign(self.values(rows))
        histograms, joint = Histograms(binning), ScoreByBin(binning)
        weight = np.ones(len(self.logit[rows]))
        histograms.add(codes, weight)
        joint.add(codes, weight, self.label[rows])
        return histograms, joint

    def metrics(self):
        metrics = BinaryMetrics()
        metrics.add(self.logit.astype(np.float32), self.label.astype(np.int8))
        return metrics


def found(training, valid, test):
    """Return the drift of the test scores and the finding on overfitting."""
    half = np.arange(len(training.logit)) % 2 == 0
    binning = Binning.fitted({name: [values] for name, values in training.values(half).items()}, 10)
    (reference, joint), (h_valid, _), (h_test, j_test) = (
        training.counted(binning, ~half),
        valid.counted(binning),
        test.counted(binning),
    )
    psi = reference.compare(h_test, 0.2)[SCORE]
    between = reference.compare(h_valid, 0.2)[SCORE], h_valid.compare(h_test, 0.2)[SCORE]
    drivers = joint.drivers(j_test, reference.counts[SCORE], h_test.counts[SCORE])
    of_test, of_training = test.metrics(), training.metrics()
    return psi["drift"], find_overfitting(
        psi,
        drivers,
        of_test.result(),
        of_training.result(),
        class_scores(of_test.counts()),
        class_scores(of_training.counts()),
        {"valid": between},
    )


def sets(shift_valid=0.0, shift_test=0.0, memorized=0.0, seed=0):
    training = Rows(4000, seed)
    model = LogisticRegression(max_iter=500).fit(training.x, training.label)
    towards = np.sign(model.coef_[0])
    valid = Rows(3000, seed + 1, shift_valid * towards).scored(model)
    return training.scored(model, memorized), valid, Rows(3000, seed + 2, shift_test * towards).scored(model)


@pytest.mark.medium
@pytest.mark.parametrize("seed", [0, 10, 20])
def test_scores_that_have_memorized_their_labels_are_overfitting(seed):
    verdict, why = found(*sets(memorized=1.5, seed=seed))
    assert verdict == "major"
    assert why["explained"] <= 0.1
    assert why["positives"][1] < why["positives"][0]
    assert why["negatives"][1] > why["negatives"][0]
    against_training, against_test = why["between"]["valid"]
    assert against_training > 0.2 > 0.1 > against_test


DRIFTS = {
    "many features that each move a little": {"shift_valid": 0.1, "shift_test": 0.1},
    "on top of some memory": {"shift_valid": 0.15, "shift_test": 0.15, "memorized": 0.3},
    "between the unseen sets": {"shift_test": 0.15, "memorized": 1.5},
}


@pytest.mark.medium
@pytest.mark.parametrize("case", DRIFTS)
def test_drift_is_not_called_overfitting(case):
    training, valid, test = sets(**DRIFTS[case])
    assert training.metrics().result()["auc"] > test.metrics().result()["auc"]
    verdict, why = found(training, valid, test)
    assert verdict in ("major", "moderate")
    assert why is None


def test_a_feature_that_explains_the_shift_makes_it_drift():
    training, valid, test = sets(memorized=1.0)
    model = LogisticRegression(max_iter=500).fit(training.x, training.label)
    for one in (valid, test):
        one.x[:, 0] += 9.0
        one.scored(model)
    verdict, why = found(training, valid, test)
    assert verdict == "major"
    assert why is None


def test_no_shift_is_no_overfitting_however_far_the_auc_falls():
    training, valid, test = sets(memorized=0.2)
    verdict, why = found(training, valid, test)
    assert (verdict, why) == ("stable", None)


STABLE, UNSTABLE = ({"psi": psi, "drift": level} for psi, level in ((0.01, Drift.STABLE), (0.4, Drift.MAJOR)))
UNKNOWN = {"psi": 0.3, "drift": Drift.TOO_LITTLE_DATA}
EVIDENCE = {
    "psi": UNSTABLE,
    "drivers": [{"feature": "x", "explained": 0.02}],
    "metrics": {"auc": 0.7, "auc_interval": [0.68, 0.72]},
    "training": {"auc": 0.9, "auc_interval": [0.89, 0.91]},
    "scores": {"positives": [0.4, 0.01], "negatives": [0.2, 0.01]},
    "training_scores": {"positives": [0.8, 0.01], "negatives": [0.1, 0.01]},
    "unseen": {"valid": (UNSTABLE, STABLE)},
}
WITHOUT = {
    "the score is stable": {"psi": STABLE},
    "a feature explains the shift": {"drivers": [{"feature": "x", "explained": 0.5}]},
    "the AUC has not fallen beyond chance": {"training": {"auc": 0.72, "auc_interval": [0.71, 0.73]}},
    "the AUC has no error": {"metrics": {"auc": 0.7, "auc_interval": None}},
    "positives do not score lower": {"scores": {"positives": [0.78, 0.01], "negatives": [0.2, 0.01]}},
    "negatives do not score higher": {"scores": {"positives": [0.4, 0.01], "negatives": [0.1, 0.01]}},
    "the other set is as the training data": {"unseen": {"valid": (STABLE, UNSTABLE)}},
    "the unseen sets differ": {"unseen": {"valid": (UNSTABLE, UNSTABLE)}},
    "the run is of an earlier version": {"training_scores": None},
}


@pytest.mark.parametrize("unseen", [EVIDENCE["unseen"], {}, {"valid": (UNSTABLE, UNKNOWN)}])
def test_all_of_the_evidence_is_overfitting(unseen):
    why = find_overfitting(**{**EVIDENCE, "unseen": unseen})
    assert (why["positives"], why["negatives"]) == ([0.8, 0.4], [0.1, 0.2])
    assert set(why["between"]) == ({"valid"} if unseen == EVIDENCE["unseen"] else set())


@pytest.mark.parametrize("case", WITHOUT)
def test_without_any_of_it_nothing_is_called_overfitting(case):
    assert find_overfitting(**{**EVIDENCE, **WITHOUT[case]}) is None
