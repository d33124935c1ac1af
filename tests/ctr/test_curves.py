"""Contents of curves.json, against scikit-learn and NumPy, for any partition of the rows."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import auc, precision_recall_curve, roc_curve

from ctr.errors import ConfigError
from ctr.evaluation.curves import (
    POINTS,
    build_curves,
    ks,
    load_curves,
    precision_recall,
    roc,
    save_curves,
    score_edges,
    score_shares,
)
from ctr.metrics import BinaryMetrics
from ctr.metrics.shares import shares
from ctr.runs.run import Run


def counts_of(logit, label, weight=None):
    metrics = BinaryMetrics()
    metrics.add(np.asarray(logit, np.float32), np.asarray(label), weight)
    return metrics.counts()


def draw(rows, kind, seed=1):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, rows)
    logit = rng.normal(size=rows).astype(np.float32) + label
    return (np.round(logit) if kind == "tied" else logit), label, rng.uniform(0.1, 3, rows)


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("kind", ["tied", "random"])
def test_roc_points_are_scikit_learns(kind, is_weighted):
    logit, label, weight = draw(90, kind)
    found = roc(counts_of(logit, label, weight if is_weighted else None))
    x, y, _ = roc_curve(label, logit, sample_weight=weight if is_weighted else None, drop_intermediate=False)
    known = np.stack([x, y], axis=1)
    points = np.stack([found["false_positive_rate"], found["true_positive_rate"]], axis=1)
    assert all(np.abs(known - point).sum(axis=1).min() < 2e-6 for point in points)
    assert auc(*points.T) == pytest.approx(auc(x, y), abs=1e-5)  # every corner is kept


@pytest.mark.parametrize("rows", [2_000, 100_000])
def test_a_long_roc_is_thinned_along_the_curve(rows):
    logit, label, _ = draw(rows, "random")
    found = roc(counts_of(logit, label))
    x, y = np.array(found["false_positive_rate"]), np.array(found["true_positive_rate"])
    assert 100 < len(x) <= POINTS
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert (np.diff(x) >= 0).all()
    assert (np.diff(y) >= 0).all()
    assert np.diff(x + y).max() < 0.03  # of a length of 2, as straight segments are short
    exact_x, exact_y, _ = roc_curve(label, logit)
    assert auc(x, y) == pytest.approx(auc(exact_x, exact_y), abs=2e-4)


def test_the_corner_of_a_perfect_ranking_is_kept():
    found = roc(counts_of(np.arange(1000), np.arange(1000) >= 500))
    assert found == {"false_positive_rate": [0, 0, 1], "true_positive_rate": [0, 1, 1]}


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("kind", ["tied", "random"])
def test_precision_recall_points_are_scikit_learns(kind, is_weighted):
    logit, label, weight = draw(90, kind)
    weight = weight if is_weighted else None
    found = precision_recall(counts_of(logit, label, weight))
    precision, recall, _ = precision_recall_curve(label, logit, sample_weight=weight)
    known = np.stack([recall, precision], axis=1)
    points = np.stack([found["recall"], found["precision"]], axis=1)
    assert all(np.abs(known - point).sum(axis=1).min() < 2e-6 for point in points)
    assert points[-1, 0] == 1


def test_ks_points_are_the_shares_at_or_above_a_score():
    logit, label, _ = draw(5_000, "random")
    found = ks(counts_of(logit, label))
    assert 100 < len(found["logit"]) <= POINTS
    for place in (0, 50, -1):
        above = logit.astype(np.float64) >= found["logit"][place] - 1e-6
        assert found["positives"][place] == pytest.approx(above[label == 1].mean(), abs=5e-4)
        assert found["negatives"][place] == pytest.approx(above[label == 0].mean(), abs=5e-4)


@pytest.mark.parametrize("label", [[0, 0], [1, 1]])
def test_one_class_has_no_curves_and_the_shares_of_one(label):
    counts = counts_of([0, 1], label)
    assert build_curves({"test": counts}) == {"roc": {}, "precision_recall": {}, "ks": {}}
    assert list(score_shares(counts, [0.5])) == ["positives" if label[0] else "negatives"]


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.integers(0, 3)), min_size=1, max_size=60), st.data())
def test_curves_of_merged_states_are_those_of_the_whole(rows, data):
    cuts = data.draw(st.lists(st.integers(0, len(rows)), max_size=4).map(sorted))
    merged = BinaryMetrics()
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        part = BinaryMetrics()
        table = np.array(rows[start:end], np.float32).reshape(-1, 3)
        part.add(table[:, 0], table[:, 1], table[:, 2])
        merged = merged.merge(part)
    whole = counts_of(*np.array(rows, np.float32).T)
    assert build_curves({"": merged.counts()}) == build_curves({"": whole})
    assert score_shares(merged.counts(), [-1.5, 0.5]) == score_shares(whole, [-1.5, 0.5])


def test_score_shares_are_numpys_histogram_with_open_ends():
    logit, label, weight = draw(5_000, "random")
    edges = score_edges(logit)
    assert len(edges) == 39
    np.testing.assert_allclose(edges[:: len(edges) - 1], np.quantile(logit, [0.001, 0.999]), atol=1e-6)
    found = score_shares(counts_of(logit, label, weight), edges)
    for name, chosen in (("positives", label == 1), ("negatives", label == 0)):
        expected, _ = np.histogram(logit[chosen], [-np.inf, *edges, np.inf], weights=weight[chosen])
        np.testing.assert_allclose(found[name], expected / expected.sum(), atol=1e-6)


def test_a_constant_score_has_one_edge():
    assert score_edges(np.full(9, 0.25, np.float32)) == [0.25]


def test_shares_of_nothing_are_0():
    assert shares(np.zeros(3)) == [0, 0, 0]


def test_curves_survive_saving_and_are_valid_json(tmp_path):
    curves = {"roc": {"tést": {"x": [0.0, 1.0]}}, "none": {}, "bins": {"labels": ["≤ 1", "\udc80"]}}
    save_curves(tmp_path, curves)
    assert load_curves(Run(tmp_path)) == curves == json.loads((tmp_path / "curves.json").read_text())
    assert "≤ 1" in (tmp_path / "curves.json").read_text()


@pytest.mark.parametrize("text", ["{", "[]"])
def test_curves_that_are_damaged_are_named(tmp_path, text):
    (tmp_path / "curves.json").write_text(text)
    with pytest.raises(ConfigError, match=r"curves\.json: damaged"):
        load_curves(Run(tmp_path))
