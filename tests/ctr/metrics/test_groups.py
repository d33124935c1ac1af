"""The metrics of groups, and GAUC, against a loop over the groups with scikit-learn."""

from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from ctr.metrics import GroupMetrics, ScoreCounts, gauc, sigmoid
from ctr.metrics.calibration import calibration_z
from tests.ctr.metrics.scored_rows import drawn

USERS = {
    "integers": lambda user: pa.array(user, pa.int64(), mask=user == 7),
    "texts": lambda user: pa.array([None if k == 7 else f"ü{k:03}" for k in user], pa.string()),
    "dictionary": lambda user: pa.array(
        [None if k == 7 else f"{k:03}" for k in user], pa.large_string()
    ).dictionary_encode(),
    "booleans": lambda user: pa.array(user % 2 == 0, mask=user == 7),
}


def rows_of(kind, is_weighted):
    """Return logit, label and weight of rows, including zeros of both signs."""
    logit, label, weight = drawn(kind)
    logit[:5] = [0.0, -0.0, 0.0, -0.0, 1e-30]
    return logit, label, weight if is_weighted else None


@cache
def by_scikit_learn(kind, is_weighted, mask):
    """Return rows of a group (`mask` in bytes), sums of weight, label, score and loss, and AUC; users of any type."""
    of_group = np.frombuffer(mask, bool)
    logit, label, weight = rows_of(kind, is_weighted)
    x, y, w = logit[of_group], label[of_group], (weight if is_weighted else np.ones(len(label)))[of_group]
    loss = log_loss(y, sigmoid(x), sample_weight=w, normalize=False, labels=[0, 1])
    auc = roc_auc_score(y, x, sample_weight=w) if 0 < y.sum() < len(y) else np.nan
    return of_group.sum(), (w.sum(), w @ y, w @ sigmoid(x), loss), auc


@pytest.mark.medium
@pytest.mark.parametrize("users", USERS)
@pytest.mark.parametrize("kind", ["random", "tied", "imbalanced"])
@pytest.mark.parametrize("is_weighted", [pytest.param(False, marks=pytest.mark.slow), True])
def test_each_group_is_as_scikit_learn_has_it(users, kind, is_weighted):
    logit, label, weight = rows_of(kind, is_weighted)
    user = np.random.default_rng(5).integers(0, 200, len(label))
    parts = [USERS[users](user[:1000]), USERS[users](user[1000:1000]), USERS[users](user[1000:])]
    found = GroupMetrics.of(logit, label, weight, parts)
    of_rows = np.array([value for part in parts for value in part.to_pylist()], object)
    assert found.values.to_pylist() == sorted(set(of_rows) - {None})
    for k, value in enumerate(found.values.to_pylist()):
        rows, sums, auc = by_scikit_learn(kind, is_weighted, (of_rows == value).astype(bool).tobytes())
        assert found.rows[k] == rows
        assert (found.weight[k], found.label[k], found.score[k], found.loss[k]) == pytest.approx(sums, rel=1e-12)
        assert found.auc[k] == pytest.approx(auc, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_gauc_is_the_mean_of_the_groups_aucs_by_impressions(is_weighted):
    logit, label, weight = drawn("imbalanced")
    weight = weight if is_weighted else np.ones(len(label))
    user = np.random.default_rng(5).integers(0, 40, len(label))
    aucs, impressions, rows = [], [], 0
    for k in range(40):
        x, y, w = logit[user == k], label[user == k], weight[user == k]
        if 0 < y.sum() < len(y):
            aucs.append(roc_auc_score(y, x, sample_weight=w))
            impressions.append(w.sum())
            rows += len(y)
    assert 5 < len(aucs) < 40
    found = gauc(GroupMetrics.of(logit, label, weight if is_weighted else None, [pa.array(user)]))
    assert found["gauc"] == pytest.approx(np.average(aucs, weights=impressions), abs=1e-12)
    assert found["mean_group_auc"] == pytest.approx(np.mean(aucs), abs=1e-12)
    assert (found["gauc_groups"], found["gauc_rows"]) == (len(aucs), rows / len(label))


@pytest.mark.parametrize("is_weighted", [False, True])
def test_z_and_squares_of_a_group_are_those_of_its_rows_as_a_set(is_weighted):
    logit, label, weight = drawn("tied")
    user, weight = np.arange(len(label)) % 3, weight if is_weighted else None
    found = GroupMetrics.of(logit, label, weight, [pa.array(user)])
    for k in range(3):
        rows = user == k
        counts = ScoreCounts.of(logit[rows], label[rows], None if weight is None else weight[rows])
        assert found.calibration_z[k] == pytest.approx(calibration_z(counts), rel=1e-9)
        assert found.positive_squares[k] == pytest.approx(counts.positive_squares.sum(), rel=1e-12)
        assert found.negative_squares[k] == pytest.approx(counts.negative_squares.sum(), rel=1e-12)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_standard_error_of_a_groups_auc_is_about_its_spread_over_groups(is_weighted):
    rng = np.random.default_rng(1)
    user = np.repeat(np.arange(500), 300)  # 500 samples of 300 rows
    label = rng.random(len(user)) < 0.3
    logit = (rng.normal(size=len(user)) + label).astype(np.float32)
    weight = rng.uniform(0.2, 3, len(user)) if is_weighted else None
    found = GroupMetrics.of(logit, label, weight, [pa.array(user)])
    assert found.auc_standard_error.mean() == pytest.approx(found.auc.std(), rel=0.1)


def test_a_heavy_group_takes_no_digits_from_a_light_one():
    rng = np.random.default_rng(1)
    logit, label = rng.normal(size=6000).astype(np.float32), rng.integers(0, 2, 6000)
    user, weight = np.repeat([0, 1, 2], 2000), rng.uniform(0.1, 3, 6000) * np.repeat([1e12, 1e-6, 1], 2000)
    found = GroupMetrics.of(logit, label, weight, [pa.array(user)])
    expected = [roc_auc_score(label[user == k], logit[user == k], sample_weight=weight[user == k]) for k in range(3)]
    assert found.auc == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("users", [[1, 1, 2], [None, None, None]])
@pytest.mark.parametrize("weight", [None, np.array([0.5, 2, 1])])
def test_no_group_of_both_classes_has_no_gauc(users, weight):
    groups = GroupMetrics.of(np.zeros(3, np.float32), np.array([1, 1, 0]), weight, [pa.array(users, pa.int64())])
    found = gauc(groups)
    assert (found["gauc"], found["mean_group_auc"], found["gauc_groups"], found["gauc_rows"]) == (None, None, 0, 0)
    assert found["reasons"]["gauc"] == "no group has labels of both classes"


def test_pieces_of_nulls_and_of_other_types_are_grouped_together():
    logit, label = np.array([0, 1, 2, 3], np.float32), np.array([0, 1, 0, 1])
    nulls = GroupMetrics.of(logit, label, None, [pa.array([7, 8]), pa.nulls(2)])
    assert (nulls.values.to_pylist(), nulls.rows.tolist()) == ([7, 8], [1, 1])
    mixed = GroupMetrics.of(logit, label, None, [pa.array([7, 8]), pa.array(["7", "b"])])
    assert (mixed.values.to_pylist(), mixed.rows.tolist()) == (["7", "8", "b"], [2, 1, 1])
