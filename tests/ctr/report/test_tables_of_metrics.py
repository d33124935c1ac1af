"""Tables of the metrics of all splits, and of the slices of one."""

from operator import itemgetter

import numpy as np

from ctr.metrics import BinaryMetrics
from ctr.metrics.catalog import CATALOG
from ctr.report.metric_groups import metric_groups
from ctr.report.slices import auc_scale, sliced_columns

LOGIT, LABEL = np.linspace(-2, 2, 400, dtype=np.float32), np.arange(400) % 3 == 0


def result(logit, label, exact_rows=1000):
    metrics = BinaryMetrics(exact_rows)
    metrics.add(logit, label)
    return metrics.result()


def cells(sets):
    return {line.name: line.cells for group in metric_groups(sets) for line in group.lines}


def test_every_number_that_is_computed_is_in_the_catalog_and_every_metric_is_shown():
    computed = set(result(LOGIT, LABEL)) - {"rows", "interval_unit"}
    assert computed == {key for metric in CATALOG for key in metric.measures}
    assert set(cells({"test": result(LOGIT, LABEL)})) == {metric.label for metric in CATALOG if metric.compute}


def test_what_stands_below_a_number():
    metrics = result(LOGIT, LABEL) | {
        "gauc": 0.7,
        "mean_group_auc": 0.6,
        "gauc_group": "user",
        "gauc_groups": 1,
        "gauc_rows": 0.5,
    }
    found = cells({"test": metrics})
    low, high = metrics["auc_interval"]
    assert found["AUC"][0].notes == [f"{low:.4f} to {high:.4f}"]
    assert found["GAUC"][0].notes == ["1 group by user", "50.0% of examples"]
    assert found["calibration"][0].notes == [
        f"SE\u00a0{metrics['calibration_error']:.5f}",
        f"z {metrics['calibration_z']:+.2f}",
    ]
    assert found["log loss"][0].notes == [
        f"SE\u00a0{metrics['log_loss_error']:.5f}",
        f"vs. constant {metrics['log_loss_excess']:+.5f}",
        f"SE\u00a0{metrics['log_loss_excess_error']:.5f}",
    ]
    error = f"SE\u00a0{metrics['positive_rate_error']:.5f}"
    assert found["positive rate"][0].notes == [error, f"{LABEL.sum()} positives"]
    assert found["precision"][0].notes == ["at score 0.5"]


def test_a_binned_auc_tells_its_error():
    metrics = result(LOGIT, LABEL, exact_rows=10)
    assert (
        cells({"test": metrics})["AUC"][0].notes[-1] == f"from binned scores: error at most {metrics['auc_error']:.1g}"
    )


def test_what_cannot_be_computed_has_a_reason_and_what_is_not_asked_for_is_left_out():
    whole, one_class = result(LOGIT, LABEL), result(LOGIT, np.zeros(400))
    found = cells(
        {"valid": whole | {"gauc": 0.7, "gauc_group": "user", "gauc_groups": 2, "gauc_rows": 1.0}, "test": one_class}
    )
    assert (found["AUC"][1].value, found["AUC"][1].notes) == ("-", [one_class["reasons"]["auc"]])
    assert (found["GAUC"][1].value, found["GAUC"][1].notes) == ("-", [])
    assert "GAUC" not in cells({"test": whole})


def test_a_set_without_labels_shows_no_empty_group():
    metrics = {"rows": 9, "auc": None, "mean_score": 0.2, "reasons": {"auc": "the data has no label"}}
    assert [group.title for group in metric_groups({"fresh": metrics})] == ["Ranking", "Probabilities"]


def one_slice(value, rows=1000, auc=0.7, auc_standard_error=0.01, z=0.0):
    rates = {"positive_rate": 0.2, "mean_score": 0.22, "calibration": 1.1, "calibration_z": z}
    return {"value": value, "rows": rows, "auc": auc, "auc_standard_error": auc_standard_error, **rates}


def test_slices_beyond_four_standard_errors_are_marked_and_their_column_comes_first():
    by_column = {
        "fine": [one_slice("as the whole"), one_slice("better", auc=0.9), one_slice("few rows", rows=99, auc=0.1)],
        "device": [one_slice("worse", auc=0.65), one_slice("off", z=-4.1), one_slice("chance", auc=0.67)],
        "empty": [],
    }
    device, fine = sliced_columns(by_column, itemgetter("value"), auc=0.7)
    assert (device.name, device.marked) == ("device", 2)
    assert [(one.is_worse, one.is_off) for one in device.slices] == [(True, False), (False, True), (False, False)]
    assert (fine.name, fine.marked, fine.aucs) == ("fine", 0, (0.7, 0.9))


def test_slices_of_hours_are_in_the_order_of_the_clock():
    by_frequency = [one_slice(value) for value in ("16", "9", "15", "all others", "10")]
    orders = {"hour": ["9", "10", "15", "16", "all others", "new", "missing"]}
    hour, item = sliced_columns({"hour": by_frequency, "item": by_frequency}, itemgetter("value"), 0.7, orders)
    assert [slice_.value for slice_ in hour.slices] == ["9", "10", "15", "16", "all others"]
    assert [slice_.value for slice_ in item.slices] == ["16", "9", "15", "all others", "10"]


def test_the_scale_holds_every_interval_of_enough_rows():
    by_column = {"a": [one_slice("x"), one_slice("y", auc=0.99), one_slice("few", rows=5, auc=0.0)]}
    low, high = auc_scale(sliced_columns(by_column, itemgetter("value"), auc=0.7))
    assert (round(low, 6), high) == (0.68, 1.0)
    unknown = {"a": [one_slice("x", auc=None, auc_standard_error=None)]}
    assert auc_scale(sliced_columns(unknown, itemgetter("value"), auc=None)) == (0.0, 1.0)
