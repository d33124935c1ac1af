"""The worst-predicted rows have the largest log loss, however the rows are chunked."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss

from ctr.evaluation.worst_rows import WorstRows


@pytest.mark.medium
def test_the_worst_rows_are_found_in_any_division():
    random = np.random.default_rng(0)
    logit, label = random.normal(0, 3, 500).astype(np.float32), random.integers(0, 2, 500)
    table = pa.table({"id": pa.array(np.arange(500))})
    probability = 1 / (1 + np.exp(-logit.astype(float)))
    losses = np.array([log_loss([y], [p], labels=[0, 1]) for y, p in zip(label, probability, strict=True)])
    expected = np.argsort(-losses)[:7].tolist()
    for cuts in ([0, 500], [0, 3, 250, 251, 500]):
        worst = WorstRows(7)
        for start, end in pairwise(cuts):
            worst.add(table.slice(start, end - start), logit[start:end], label[start:end])
        found = worst.result()
        assert [one["row"] for one in found] == expected
        assert [one["values"]["id"] for one in found] == list(map(str, expected))
        assert [one["log_loss"] for one in found] == pytest.approx(losses[expected].tolist(), rel=1e-9)
        assert [one["label"] for one in found] == label[expected].tolist()


def test_none_are_kept_where_none_are_asked_for_and_long_texts_are_cut():
    table = pa.table({"text": ["x" * 100], "list": [[1, 2]], "nothing": [None]})
    nothing, one = WorstRows(0), WorstRows(1)
    for worst in (nothing, one):
        worst.add(table, np.array([1000], np.float32), np.array([0]))
    assert nothing.result() == []
    assert one.result()[0]["values"] == {"text": "x" * 60 + "…", "list": "[1, 2]", "nothing": "null"}
    assert one.result()[0]["log_loss"] == 1000
