"""The catalog of metrics."""

from ctr.comparison.study import COLUMNS
from ctr.metrics.catalog import CATALOG, entry, paired_metrics
from ctr.metrics.metric import Place


def test_keys_are_distinct_and_no_axis_can_be_called_like_a_column_of_a_metric():
    keys = [key for metric in CATALOG for key in (metric.key, *(one.key for one in metric.companions))]
    assert len(keys) == len(set(keys))
    for metric in CATALOG:
        assert metric.interval is None or metric.interval in {one.key for one in metric.companions}
        assert (f"test_{metric.key}" in COLUMNS) == (Place.COMPARISON in metric.places)


def test_what_is_tested_has_a_better_side():
    assert {key: entry(key).better.sign for key in paired_metrics()} == {"auc": 1, "log_loss": -1}
