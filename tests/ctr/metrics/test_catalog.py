"""The list of metrics, and the page of the documentation that is written from it."""

import pytest
from make_docs import pages, with_part

from ctr.comparison.study import COLUMNS
from ctr.metrics.catalog import CATALOG, entry, paired_metrics
from ctr.metrics.metric import Place


def test_the_documentation_is_as_generated():
    for path, text in pages().items():
        assert path.read_text("utf-8") == text, "run scripts/make_docs.py"
    with pytest.raises(ValueError, match="expected one part 'x', found 0"):
        with_part("no part", "x", "new")


def test_keys_are_distinct_and_no_axis_can_be_called_like_a_column_of_a_metric():
    keys = [key for metric in CATALOG for key in (metric.key, *(one.key for one in metric.companions))]
    assert len(keys) == len(set(keys))
    for metric in CATALOG:
        assert metric.interval is None or metric.interval in {one.key for one in metric.companions}
        assert (f"test_{metric.key}" in COLUMNS) == (Place.COMPARISON in metric.shown)


def test_what_is_tested_has_a_better_side():
    assert {key: entry(key).better.sign for key in paired_metrics()} == {"auc": 1, "log_loss": -1}
