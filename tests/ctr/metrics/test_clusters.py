"""Intervals of clustered rows, against all pairs, direct sums, intervals of single rows, and simulation."""

import cluster_coverage
import numpy as np
import pyarrow as pa
import pytest
from scipy import special, stats

from ctr.metrics import (
    BinaryMetrics,
    Clusters,
    ScoreCounts,
    Undefined,
    auc_row_differences,
    calibration,
    clusters,
    log_loss_difference,
    log_loss_row_differences,
    ranking,
    sigmoid,
)
from ctr.metrics.clusters import ClusterSums, variance_by_cluster
from tests.ctr.metrics.scored_rows import drawn

ERRORS = ("positive_rate_error", "log_loss_error", "log_loss_excess_error", "calibration_error", "calibration_z")


def rows_of_users(kind="random", rows=400, users=40):
    """Return logit, label, weight and user of rows; users have different numbers of rows."""
    logit, label, weight = (column[:rows] for column in drawn(kind))
    user = (users * np.random.default_rng(3).random(rows) ** 2).astype(np.int32)
    return logit, label, weight, user


def sums_of(logit, label, weight, user):
    counts = ScoreCounts.of(logit, label, weight)
    return ClusterSums.of(logit, label, weight, Clusters(user, int(user.max()) + 1), counts), counts


def effective(weights):
    return weights.sum() ** 2 / (weights**2).sum()


def loops(logit, label, weight, user):
    """Return AUC and, by user, sums of deviations and of weights of positives and negatives, from all pairs."""
    positive, negative = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    beats = np.sign(logit[positive][:, None].astype(float) - logit[negative]) / 2 + 0.5
    w, v = weight[positive], weight[negative]
    value = w @ beats @ v / w.sum() / v.sum()
    found = np.zeros((4, user.max() + 1))
    for place, row in enumerate(positive):
        found[0, user[row]] += w[place] * (beats[place] @ v / v.sum() - value)
        found[1, user[row]] += w[place]
    for place, row in enumerate(negative):
        found[2, user[row]] += v[place] * (w @ beats[:, place] / w.sum() - value)
        found[3, user[row]] += v[place]
    return value, found


@pytest.mark.parametrize("kind", ["random", "tied"])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_interval_of_the_auc_is_that_of_all_pairs_summed_by_user(kind, is_weighted):
    logit, label, weight, user = rows_of_users(kind)
    value, (d, m, e, n) = loops(logit, label, weight if is_weighted else np.ones(len(label)), user)
    k, g = effective(m), effective(n)
    parts = np.sqrt(k / (k - 1)) * d / m.sum(), np.sqrt(g / (g - 1)) * e / n.sum()
    variance, (a, b) = ((parts[0] + parts[1]) ** 2).sum(), ((part**2).sum() for part in parts)
    freedom = (a + b) ** 2 / (a**2 / (k - 1) + b**2 / (g - 1))
    margin = stats.t.ppf(0.975, freedom) * np.sqrt(variance) / (value * (1 - value))
    found = clusters.auc_interval(*sums_of(logit, label, weight if is_weighted else None, user))
    np.testing.assert_allclose(found, special.expit(special.logit(value) + margin * np.array([-1, 1])), atol=1e-12)


def test_the_variance_of_the_auc_is_obuchowskis_where_clusters_are_alike():
    rng = np.random.default_rng(2)
    user, label = np.repeat(np.arange(30, dtype=np.int32), 5), np.tile([1, 1, 0, 0, 0], 30)
    logit = (rng.normal(size=30)[user] + rng.normal(size=150) + label).astype(np.float32)
    value, (d, m, e, n) = loops(logit, label, np.ones(150), user)
    big_m, big_n, clusters_ = m.sum(), n.sum(), 30
    s10 = clusters_ / ((clusters_ - 1) * big_m) * (d @ d)
    s01 = clusters_ / ((clusters_ - 1) * big_n) * (e @ e)
    s11 = clusters_ / (clusters_ - 1) * (d @ e)
    expected = s10 / big_m + s01 / big_n + 2 * s11 / (big_m * big_n)  # Obuchowski 1997, equation 8
    assert variance_by_cluster((d, m), (e, n))[0] == pytest.approx(expected, rel=1e-12)
    low, high = clusters.auc_interval(*sums_of(logit, label, None, user))
    assert special.logit(high) - special.logit(low) > 0
    assert abs(special.expit((special.logit(low) + special.logit(high)) / 2) - value) < 1e-12


@pytest.mark.parametrize("is_weighted", [False, True])
def test_errors_are_those_of_residuals_summed_by_user(is_weighted):
    logit, label, weight, user = rows_of_users()
    weight = weight if is_weighted else np.ones(len(label))
    p, rate = sigmoid(logit), np.average(label, weights=weight)
    ratio = (weight @ p) / (weight @ label)
    loss = -np.where(label == 1, np.log(p), np.log1p(-p))
    excess = loss + np.where(label == 1, np.log(rate), np.log1p(-rate))

    def error(residual):
        """Return the standard error of a mean, by a loop over users."""
        of_users = [weight[user == one] @ residual[user == one] for one in np.unique(user)]
        k = effective(np.array([weight[user == one].sum() for one in np.unique(user)]))
        return np.sqrt(k / (k - 1) * np.sum(np.square(of_users))) / weight.sum()

    sums, counts = sums_of(logit, label, weight if is_weighted else None, user)
    residual = label - p
    of_users = np.average(residual, weights=weight) / error(residual - np.average(residual, weights=weight))
    of_rows = calibration.calibration_z(counts)
    expected = {
        "positive_rate_error": error(label - rate),
        "log_loss_error": error(loss - np.average(loss, weights=weight)),
        "log_loss_excess_error": error(excess - np.average(excess, weights=weight)),
        "calibration_error": error((p - ratio * label) / rate),
        "calibration_z": min(of_users, of_rows, key=abs),
    }
    assert list(expected) == list(ERRORS)
    for name, value in expected.items():
        assert getattr(clusters, name)(sums, counts) == pytest.approx(value, rel=1e-10), name


@pytest.mark.parametrize("is_weighted", [False, True])
def test_where_each_row_is_its_own_cluster_intervals_are_those_of_rows(is_weighted):
    logit, label, weight, _ = rows_of_users("tied")
    weight = weight if is_weighted else None
    sums, counts = sums_of(logit, label, weight, np.arange(len(label), dtype=np.int32))
    assert clusters.auc_interval(sums, counts) == pytest.approx(ranking.auc_interval(counts), abs=1e-12)
    assert clusters.log_loss_error(sums, counts) == pytest.approx(calibration.log_loss_error(counts), rel=1e-12)
    k = effective(np.ones(len(label)) if weight is None else weight)
    rate_error = calibration.positive_rate_error(counts) * np.sqrt(k / (k - 1))
    assert clusters.positive_rate_error(sums, counts) == pytest.approx(rate_error, rel=1e-12)
    assert sums.effective_clusters == pytest.approx(k, rel=1e-12)


@pytest.mark.parametrize("rows_of", [auc_row_differences, log_loss_row_differences])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_a_paired_difference_sums_deviations_by_user_across_both_classes(rows_of, is_weighted):
    logit, label, weight, user = rows_of_users("tied")
    other = (logit + np.random.default_rng(8).normal(0, 0.5, len(logit))).astype(np.float32)
    one = rows_of(logit, other, label, weight if is_weighted else None, Clusters(user, 40))
    total = np.zeros(40)
    for rows in one.strata:
        weights = [one.weight[rows][user[rows] == k] for k in range(40)]
        k = effective(np.array([each.sum() for each in weights]))
        for place, each in enumerate(weights):
            deviation = one.deviation[rows][user[rows] == place]
            total[place] += np.sqrt(k / (k - 1)) * (each @ deviation) / one.weight[rows].sum()
    assert one.spread()[0] == pytest.approx((total**2).sum(), rel=1e-10)
    alone = rows_of(logit, other, label, weight if is_weighted else None, Clusters(np.arange(400, dtype=np.int32), 400))
    of_rows = rows_of(logit, other, label, weight if is_weighted else None)
    assert alone.spread()[0] == pytest.approx(of_rows.spread()[0], rel=1e-10)


@pytest.mark.parametrize("rows_of", [auc_row_differences, log_loss_row_differences])
def test_rows_that_a_user_has_ten_times_tell_no_more_than_once(rows_of):
    logit, label, _, _ = rows_of_users()
    other = (logit + np.random.default_rng(8).normal(0, 0.5, len(logit))).astype(np.float32)
    user = np.arange(len(label), dtype=np.int32)
    often = [np.repeat(column, 10) for column in (logit, other, label, user)]
    once, repeated = rows_of(logit, other, label), rows_of(*often[:3], None, Clusters(often[3], len(user)))
    assert repeated.spread()[0] == pytest.approx(once.spread()[0], rel=1e-9)
    assert rows_of(*often[:3]).spread()[0] < 0.2 * once.spread()[0]
    sums, counts = sums_of(logit, label, None, user)
    ten = sums_of(often[0], often[2], None, often[3])
    assert clusters.auc_interval(*ten) == pytest.approx(clusters.auc_interval(sums, counts), abs=1e-9)
    for name in ("positive_rate_error", "log_loss_error", "calibration_error"):
        assert getattr(clusters, name)(*ten) == pytest.approx(getattr(clusters, name)(sums, counts), rel=1e-9)


def test_few_users_take_students_distribution():
    logit, label, _, user = rows_of_users(users=5)
    other = np.zeros(len(logit), np.float32)
    found = log_loss_difference(logit, other, label, None, Clusters(user, 5))
    one = log_loss_row_differences(logit, other, label, None, Clusters(user, 5))
    variance, freedom = one.spread()
    assert freedom == pytest.approx(effective(np.bincount(user).astype(float)) - 1)
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, freedom, found.value, np.sqrt(variance)))
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(found.value) / np.sqrt(variance), freedom))


def test_without_positives_z_is_that_of_the_scores():
    logit, label, user = np.full(200, -4, np.float32), np.zeros(200, int), np.repeat(np.arange(20, dtype=np.int32), 10)
    sums, counts = sums_of(logit, label, None, user)
    assert clusters.calibration_z(sums, counts) == calibration.calibration_z(counts)  # -1.9, where residuals say -inf
    assert abs(clusters.calibration_z(sums, counts)) < 2


def state_of(logit, label, weight, user, exact_rows=1000, pieces=1):
    metrics = BinaryMetrics(exact_rows)
    for rows in np.array_split(np.arange(len(label)), pieces):
        values = pa.array([None if one < 0 else int(one) for one in user[rows]], pa.int64())
        metrics.add(logit[rows], label[rows], None if weight is None else weight[rows], {"user": values})
    return metrics


def test_a_result_by_cluster_replaces_the_errors_of_rows_and_says_so(monkeypatch):
    monkeypatch.setattr(clusters, "CHUNK_ROWS", 64)
    logit, label, weight, user = rows_of_users()
    rows, found = (state_of(logit, label, weight, user, pieces=3).result(cluster=name) for name in (None, "user"))
    assert (rows["interval_unit"], found["interval_unit"]) == ("row", "cluster")
    assert "clusters" not in rows
    sums, counts = sums_of(logit, label, weight, user)
    assert found["clusters"] == len(np.unique(user))
    assert found["effective_clusters"] == pytest.approx(sums.effective_clusters, rel=1e-12)
    assert found["auc_interval"] == pytest.approx(clusters.auc_interval(sums, counts), abs=1e-12)
    for name in ERRORS:
        assert found[name] == pytest.approx(getattr(clusters, name)(sums, counts), rel=1e-10)
    assert {name for name in rows if rows[name] != found[name]} == {
        *("interval_unit", "auc_interval", "positive_rate_error", "log_loss_error"),
        *({"calibration_z", "calibration_error", "log_loss_excess_error"} & set(rows)),
    }


def test_rows_without_a_user_are_clusters_of_their_own():
    logit, label, weight, user = rows_of_users()
    user[::7] = -1
    apart = np.where(user < 0, 100 + np.arange(len(user)), user)
    found, expected = (state_of(logit, label, weight, one).result(cluster="user") for one in (user, apart))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-12)), name
    assert found["clusters"] == len(np.unique(apart))


def test_rows_that_are_not_held_have_the_errors_of_rows_and_a_reason():
    logit, label, weight, user = rows_of_users()
    state = state_of(logit, label, weight, user, exact_rows=100)
    found, rows = state.result(cluster="user"), state.result()
    assert (found["interval_unit"], found["clusters"], found["effective_clusters"]) == ("row", None, None)
    assert found["reasons"]["clusters"] == "more than 100 examples, so their groups are not kept"
    assert found["auc_interval"] == rows["auc_interval"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("label", "user", "reasons"),
    [
        ([0, 1, 0, 1], [0, 0, 0, 0], {"clusters": "all examples are in one cluster"}),
        ([0, 0, 1, 1], [0, 1, 2, 2], {"auc_interval": "fewer than two clusters"}),
        ([0, 0, 0, 0], [0, 0, 1, 1], {"auc_interval": "one class only", "calibration_error": "no positives"}),
    ],
)
def test_what_clusters_do_not_define_has_a_reason(label, user, reasons):
    logit = np.array([-1, 1, 0.5, 2], np.float32)
    found = state_of(logit, np.array(label), None, np.array(user)).result(cluster="user")
    for name, reason in reasons.items():
        assert found[name] is None
        assert reason in found["reasons"][name]


def test_where_all_rows_are_in_one_cluster_errors_are_those_of_rows():
    logit, label, weight, user = rows_of_users()
    state = state_of(logit, label, weight, np.zeros_like(user))
    found, rows = state.result(cluster="user"), state.result()
    assert {name for name in rows if rows[name] != found[name]} == set()
    assert (found["clusters"], found["interval_unit"]) == (None, "row")


def test_one_cluster_gives_a_difference_without_an_interval():
    logit, label, _, _ = rows_of_users()
    one = Clusters(np.zeros(len(label), np.int32), 1)
    found = log_loss_difference(logit, np.zeros(len(label), np.float32), label, None, one)
    assert found.low is None
    assert found.reason == "fewer than two clusters to estimate a variance from"
    with pytest.raises(Undefined):
        auc_row_differences(logit, -logit, label, None, one).spread()


@pytest.mark.medium
@pytest.mark.slow
def test_intervals_of_users_hold_the_truth_where_those_of_rows_do_not(monkeypatch):
    """300 datasets of 100 users with 20 rows each: 95% has a standard error of 1.3%, so the bounds are 91 to 98.5%."""
    monkeypatch.setattr(cluster_coverage, "TRUTH_ROWS", 1_000_000)  # its standard error is a thirtieth of one dataset's
    world = cluster_coverage.World.of(0.2)
    rows, users = cluster_coverage.coverage(100, 20, world, range(300)).T
    assert np.all(users > 0.91)
    assert np.all(users < 0.985)
    assert rows[1] < 0.9  # log loss: 84.9% of 2,000 datasets
    assert rows[2] < 0.93  # calibration: 88.3%
