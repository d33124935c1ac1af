"""The state of a split gives the same metrics, however its rows are chunked."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, log_loss, precision_score, recall_score, roc_auc_score

from ctr.metrics import BinaryMetrics, Undefined, gauc, sigmoid
from ctr.metrics.binary import GRID
from tests.ctr.metrics.scored_rows import drawn

KEYS = [
    *("rows", "interval_unit", "auc", "auc_interval", "average_precision", "ks", "ks_threshold"),
    *("log_loss", "log_loss_error", "log_loss_excess", "log_loss_excess_error", "normalized_entropy", "brier"),
    *("calibration", "calibration_error", "calibration_z", "expected_calibration_error"),
    *("positive_rate", "positive_rate_error", "positives", "mean_score"),
    *("precision", "threshold", "recall", "f1", "best_f1", "best_f1_threshold"),
]
GIVEN = {"rows", "interval_unit", "threshold"}  # for any rows


def metrics_of(logit, label, weight=None, groups=None, **options):
    metrics = BinaryMetrics(**options)
    metrics.add(np.asarray(logit, np.float32), np.asarray(label), weight, groups or {})
    return metrics


def test_result_has_every_metric_in_order():
    logit, label, weight = drawn("random")
    found = metrics_of(logit, label, weight).result(threshold=0.3)
    assert list(found) == KEYS
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    predicted = sigmoid(logit) >= 0.3
    for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        assert found[name] == pytest.approx(score(label, predicted, sample_weight=weight), abs=1e-12)
    assert found["auc_interval"][0] < found["auc"] < found["auc_interval"][1]
    best = f1_score(label, sigmoid(logit) >= found["best_f1_threshold"], sample_weight=weight)
    assert found["best_f1"] == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("kind", ["random", "tied", "constant", "imbalanced", "tiny"])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_metrics_that_steer_training_are_scikit_learns(kind, is_weighted):
    logit, label, weight = drawn(kind)
    weight = weight.astype(np.float32) if is_weighted else None
    found = metrics_of(logit, label.astype(np.float32), weight).result()
    assert found["auc"] == pytest.approx(roc_auc_score(label, logit, sample_weight=weight), abs=1e-12)
    assert found["log_loss"] == pytest.approx(log_loss(label, sigmoid(logit), sample_weight=weight), abs=1e-12)
    assert found["rows"] == len(label)


def assert_close(found, expected):
    """Check for the same keys, None and reasons, and for numbers equal to 1e-12."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        is_number = isinstance(value, (float, list))
        assert found[name] == (pytest.approx(value, rel=1e-12, abs=1e-12) if is_number else value), name


ROWS = st.lists(
    st.tuples(st.integers(-6, 6), st.booleans(), st.sampled_from([0, 0.1, 0.7, 3]), st.integers(0, 4)),
    min_size=1,
    max_size=60,
)


@given(ROWS, st.booleans(), st.data())
def test_merged_states_equal_the_whole(rows, is_weighted, data):
    cuts = data.draw(st.lists(st.integers(0, len(rows)), max_size=4).map(sorted))
    logit, label, weight, user = np.array(rows).T

    def state_of(part):
        metrics = BinaryMetrics()
        groups = {"user": pa.array(user[part].astype(int))}
        metrics.add(logit[part].astype(np.float32) / 4, label[part], weight[part] if is_weighted else None, groups)
        return metrics

    merged = BinaryMetrics()
    order = data.draw(st.permutations(range(len(rows))))
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        merged = merged.merge(state_of(order[start:end]))
    whole = state_of(list(range(len(rows))))
    if not is_weighted:  # counts are integers, so results are identical
        for name in ("score", "positives", "negatives"):
            np.testing.assert_array_equal(getattr(merged.counts(), name), getattr(whole.counts(), name))
        assert merged.counts().positives.dtype == np.int64
        assert merged.result() == whole.result()
        assert gauc(merged.by_group("user")) == gauc(whole.by_group("user"))
    found, expected = merged.result(), whole.result()
    for result in (found, expected):
        del result["ks_threshold"], result["best_f1_threshold"]  # rounding decides between equal values
    assert_close(found, expected)
    for one, other in zip(merged.deciles(), whole.deciles(), strict=True):
        assert_close(one, other)
    one, other = (state.by_group("user") for state in (merged, whole))
    assert one.values == other.values
    for name in ("rows", "weight", "label", "score", "loss", "auc"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12)


def test_parts_with_and_without_weights_merge():
    logit, label, weight = drawn("random")
    merged = metrics_of(logit[:100], label[:100]).merge(metrics_of(logit[100:], label[100:], weight[100:]))
    weight[:100] = 1
    expected = metrics_of(logit, label, weight).result()
    assert merged.result()["auc"] == pytest.approx(expected["auc"], abs=1e-12)
    assert merged.result()["auc_interval"] == pytest.approx(expected["auc_interval"], abs=1e-12)


def test_a_result_is_not_that_of_before_an_add_nor_of_arrays_that_changed_since():
    logit, label, _ = drawn("random")
    metrics = metrics_of(logit[:50], label[:50])
    metrics.result()
    metrics.add(logit[50:], label[50:])
    expected = metrics_of(logit.copy(), label.copy()).result()
    logit[:], label[:] = 0, 0
    assert metrics.result() == expected


@pytest.mark.parametrize("is_weighted", [False, True])
def test_more_rows_than_are_held_are_binned_with_a_bound_of_the_error(is_weighted):
    logit, label, weight = drawn("random")
    logit = (logit * 40 * GRID).astype(np.float32)  # about 200 points of the grid
    weight = weight if is_weighted else None
    exact = metrics_of(logit, label, weight).result()
    binned = BinaryMetrics(exact_rows=1000)
    for start in range(0, len(label), 300):
        rows = slice(start, start + 300)
        part = metrics_of(logit[rows], label[rows], None if weight is None else weight[rows], {"user": pa.nulls(300)})
        binned = binned.merge(part)
    found = binned.result()
    assert list(found) == [*KEYS, "auc_error"]
    assert 0 < found["auc_error"] < 0.02
    assert abs(found["auc"] - exact["auc"]) <= found["auc_error"]
    for name in ("log_loss", "mean_score", "brier"):
        assert abs(found[name] - exact[name]) <= GRID / 2
    assert found["rows"] == len(label)
    assert len(binned.counts().score) < 400
    assert not np.any(binned.counts().score % GRID)
    with pytest.raises(Undefined, match="more than 1,000 examples, so their groups are not kept"):
        binned.by_group("user")
    at_once = metrics_of(logit, label, weight, exact_rows=1000).result()
    assert found["auc"] == pytest.approx(at_once["auc"], abs=1e-12)


def test_large_scores_stay_as_they_are_on_the_grid():
    metrics = metrics_of([-3e38, -1e5, 12345.678, 3e38], [0, 0, 1, 1], exact_rows=1)
    assert metrics.counts().score.tolist() == np.array([-3e38, -1e5, 12345.678, 3e38], np.float32).tolist()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("logit", "label", "weight", "reasons"),
    [
        ([], [], None, dict.fromkeys({*KEYS} - GIVEN, "no examples with a weight above 0")),
        ([0, 1], [0, 1], [0, 0], dict.fromkeys({*KEYS} - GIVEN, "no examples with a weight above 0")),
        ([0, 1], [0, 1], [1, 0], {"auc": "one class only", "recall": "no positives", "calibration": "no positives"}),
        ([0.5], [1], None, {"auc": "one class only", "ks": "one class only", "normalized_entropy": "one class only"}),
        ([-1, -2], [0, 1], None, {"precision": "no score reaches 0.5", "auc_interval": "fewer than two examples"}),
        ([-1, -1, 1, 1], [0, 0, 1, 1], None, {"auc_interval": "variance is 0"}),
        ([-1000, 1000], [0, 1], None, {"calibration_z": "every score is 0 or 1"}),
    ],
)
@pytest.mark.parametrize("exact_rows", [100, 0])
def test_what_cannot_be_computed_is_null_with_a_reason(logit, label, weight, reasons, exact_rows):
    metrics = metrics_of(logit, label, None if weight is None else np.array(weight), exact_rows=exact_rows)
    found = metrics.result()
    assert list(found)[: len(KEYS)] == KEYS
    for name, reason in reasons.items():
        assert found[name] is None
        assert reason in found["reasons"][name]
    assert {name for name in KEYS if found[name] is None} == {*found["reasons"]} - {"auc_error"}
    assert len(metrics.deciles()) == (10 if found["log_loss"] is not None else 0)
    json.dumps(found, allow_nan=False)


def test_groups_that_were_not_given():
    with pytest.raises(KeyError, match="user"):
        metrics_of([0, 1], [0, 1]).by_group("user")
    with pytest.raises(Undefined, match="no examples"):
        BinaryMetrics().by_group("user")
