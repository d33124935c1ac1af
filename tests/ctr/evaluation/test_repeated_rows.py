"""Rows that stand in the training data and in another set, told from rows that repeat by themselves."""

import numpy as np
import pytest

from ctr.evaluation.repeated_rows import TrainingRows, row_hashes
from features import OUT_OF_VOCABULARY


def batch_of(ids, label=None):
    """A batch of `ids` [rows, fields] with a numeric that follows them."""
    ids = np.asarray(ids, np.int32)
    label = np.zeros(len(ids), np.float32) if label is None else label
    return {
        "ids": ids,
        "numerics": ids[:, :1].astype(np.float32),
        "label": label,
        "weight": np.ones(len(ids), np.float32),
    }


def test_equal_rows_have_equal_hashes_and_others_do_not():
    random = np.random.default_rng(0)
    ids = random.integers(3, 1003, (50_000, 3))
    hashes = row_hashes(batch_of(ids))
    assert len(np.unique(hashes)) == len(np.unique(ids, axis=0))
    assert (row_hashes(batch_of(ids[::-1])) == hashes[::-1]).all()


def test_label_features_and_their_order_count_and_weight_does_not():
    one = batch_of([[5, 6]])
    assert row_hashes(one) != row_hashes(batch_of([[6, 5]]))
    assert row_hashes(one) != row_hashes(batch_of([[5, 6]], np.ones(1, np.float32)))
    assert row_hashes(one) == row_hashes({**one, "weight": np.array([7], np.float32)})


def share_found(values, copied, seed=0, total=400_000, rows=40_000):
    """What is said of a set of which a share was copied from training rows of three fields with so many values."""
    random = np.random.default_rng(seed)
    training = random.integers(3, 3 + values, (total, 3))
    sample = training[random.random(total) < 0.25]
    fresh = random.integers(3, 3 + values, (rows, 3))
    count = round(copied * rows)
    fresh[:count] = training[random.integers(0, total, count)]
    reference = TrainingRows.of([row_hashes(batch_of(sample))], [random.random(len(sample)) < 0.5], total, None)
    return reference.share(reference.count(row_hashes(batch_of(fresh))), rows, None)


@pytest.mark.parametrize("copied", [0.01, 0.1, 1.0])
def test_copied_rows_are_found_and_their_share_estimated(copied):
    found = share_found(10_000, copied)
    assert found["is_suspect"]
    assert found["share"] == pytest.approx(copied, abs=4 * found["error"])


@pytest.mark.parametrize("values", [10, 30, 100, 10_000])
def test_rows_that_repeat_by_themselves_are_no_leak(values):
    assert not any(share_found(values, 0.0, seed)["is_suspect"] for seed in range(5))


def test_without_rows_nothing_is_said():
    reference = TrainingRows.of([np.empty(0, np.uint64)], [np.empty(0, bool)], 0, None)
    assert reference.count(np.array([1], np.uint64)) == 0
    assert reference.share(0, 1, None) == {"share": None, "error": None, "is_suspect": False}


def test_a_row_with_a_value_out_of_vocabulary_is_like_many_and_counts_as_none():
    sample = batch_of([[7, 8, 9], [7, 8, OUT_OF_VOCABULARY]])
    assert row_hashes(sample)[1] == 0
    reference = TrainingRows.of([row_hashes(sample)], [np.ones(2, bool)], 2, None)
    assert reference.count(row_hashes(sample)) == 1


def test_a_pattern_that_got_frequent_by_itself_is_no_leak():
    random = np.random.default_rng(0)

    def rows(count, share):
        ids = random.integers(3, 10**6, (count, 3))
        ids[random.random(count) < share] = 3
        return row_hashes(batch_of(ids))

    sample = rows(100_000, 0.001)
    reference = TrainingRows.of([sample], [random.random(len(sample)) < 0.5], 400_000, None)
    assert not reference.share(reference.count(rows(40_000, 0.01)), 40_000, None)["is_suspect"]


def test_sets_that_were_sampled_otherwise_are_not_compared():
    sample = row_hashes(batch_of([[7, 8, 9]] * 4))
    reference = TrainingRows.of([sample], [np.array([True, True, False, False])], 4, 0.1)
    assert reference.share(4, 4, None) == {"share": None, "error": None, "is_suspect": False}
    assert reference.share(4, 4, 0.1)["share"] is not None
