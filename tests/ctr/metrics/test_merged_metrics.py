"""Metrics of ranges of a split merge to those of the split, also if it has more rows than are kept in memory."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from ctr.metrics import BinaryMetrics, ScoreCounts, binary
from tests.ctr.merging import RTOL, check_merges, divisions, facts


def chunks_of(division, is_weighted):
    """Return logit, label, weight and user of each chunk; many logits are equal."""
    random = np.random.default_rng(division.seed)
    chunks = []
    for rows in division.rows:
        weight = random.uniform(0, 3, rows) if is_weighted else None
        users = pa.array(random.integers(0, 4, rows), mask=random.random(rows) < 0.2)
        logit = (random.integers(-6, 7, rows) / 4).astype(np.float32)
        chunks.append((logit, random.integers(0, 2, rows), weight, users))
    return chunks


def said(metrics):
    """Return all values that results are computed from."""
    found = {"rows": metrics.rows, "is_binned": metrics.is_binned, **facts(metrics.counts())}
    if metrics.rows and not metrics.is_binned:
        found |= facts(vars(metrics.by_group("user")))
    return found


@settings(max_examples=60, deadline=None)
@given(divisions())
@pytest.mark.parametrize("exact_rows", [1000, 12, 0])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_binary_metrics_merge(exact_rows, is_weighted, division):
    """Binning waits for at least 10 rows, more than any chunk has, as real row groups have fewer than 2^20."""

    def add(metrics, chunk):
        *columns, users = chunk
        metrics.add(*columns, {"user": users})
        return metrics

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(binary, "BIN_ROWS", 10)
        check_merges(lambda: BinaryMetrics(exact_rows), add, chunks_of(division, is_weighted), division, said)


@settings(max_examples=60, deadline=None)
@given(divisions())
@pytest.mark.parametrize("is_weighted", [False, True])
def test_score_counts_merge(is_weighted, division):
    empty = np.empty(0)
    check_merges(
        lambda: ScoreCounts.of(empty.astype(np.float32), empty, empty if is_weighted else None),
        lambda counts, chunk: counts.merge(ScoreCounts.of(*chunk[:3])),
        chunks_of(division, is_weighted),
        division,
    )


@settings(max_examples=60, deadline=None)
@given(divisions())
def test_score_counts_of_ranges_are_those_of_all_rows(division):
    chunks = chunks_of(division, is_weighted=True)
    whole = ScoreCounts.of(*(np.concatenate(column) for column in list(zip(*chunks, strict=True))[:3]))
    merged = ScoreCounts.of(*chunks[0][:3])
    for chunk in chunks[1:]:
        merged = merged.merge(ScoreCounts.of(*chunk[:3]))
    for name in ("score", "positives", "negatives", "positive_squares", "negative_squares"):
        np.testing.assert_allclose(getattr(merged, name), getattr(whole, name), rtol=RTOL)


def test_rows_are_held_while_each_range_waits_and_binned_once_they_are_many():
    """Merging many short ranges does not take more memory than one long range."""
    random = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(binary, "BIN_ROWS", 10)
        merged = BinaryMetrics(exact_rows=20)
        for _ in range(40):
            part = BinaryMetrics(exact_rows=20)
            part.add(random.normal(size=3).astype(np.float32), random.integers(0, 2, 3))
            merged = merged.merge(part)
            assert sum(len(chunk.logit) for chunk in merged._chunks) <= 20
    assert merged.counts().positives.sum() + merged.counts().negatives.sum() == 120


def test_a_state_that_holds_fewer_rows_decides_for_both():
    rows = np.zeros(5, np.float32), np.array([0, 0, 1, 1, 1])
    many, few = BinaryMetrics(exact_rows=100), BinaryMetrics(exact_rows=3)
    few.add(*rows)
    few.counts()  # from here on it does not keep rows
    many.add(*rows)
    for merged in (many.merge(few), few.merge(many)):
        assert merged.is_binned
        assert (merged.counts().positives.tolist(), merged.counts().negatives.tolist()) == ([6], [4])
