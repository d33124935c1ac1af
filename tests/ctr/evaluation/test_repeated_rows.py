"""Duplicates of training examples in another split, distinguished from natural duplicates."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr.evaluation.duplicates import NeverTrained, TrainingHashes, row_hashes
from features import OUT_OF_VOCABULARY, Columns, Features, fit_encoder, open_data


def batch_of(ids, label=None):
    """Return a batch of `ids` [rows, fields] with a numeric computed from them."""
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


def share_found(values, copied, seed=0, total=400_000, rows=40_000, unknown=0.0):
    """Estimate the fraction of examples copied from training examples, which have three fields of `values` ids each.

    Returns:
        The estimate, and the true fraction among the examples without an unknown value.
    """
    random = np.random.default_rng(seed)

    def drawn(count):
        ids = random.integers(3, 3 + values, (count, 3))
        ids[random.random(count) < unknown, 0] = OUT_OF_VOCABULARY
        return ids

    training, fresh = drawn(total), drawn(rows)
    sample = training[random.random(total) < 0.25]
    count = round(copied * rows)
    fresh[:count] = training[random.integers(0, total, count)]
    reference = TrainingHashes.of([row_hashes(batch_of(sample))], [random.random(len(sample)) < 0.5], total, None)
    known = fresh[:, 0] != OUT_OF_VOCABULARY
    found = reference.copied_fraction(reference.find(row_hashes(batch_of(fresh))), None)
    assert found["identified_rows"] == known.sum()
    return found, known[:count].sum() / known.sum()


@pytest.mark.parametrize("copied", [0.01, 0.1, 1.0])
def test_copied_rows_are_found_and_their_share_estimated(copied):
    found, truth = share_found(10_000, copied)
    assert found["is_suspect"]
    assert found["share"] == pytest.approx(truth, abs=4 * found["error"])


@pytest.mark.parametrize("values", [10, 30, 100, 10_000])
def test_rows_that_repeat_by_themselves_are_no_leak(values):
    assert not any(share_found(values, 0.0, seed)[0]["is_suspect"] for seed in range(5))


@pytest.mark.medium
@pytest.mark.parametrize("values", [100, 10_000])
def test_the_share_is_of_the_rows_that_can_be_identified_and_its_error_is_right(values):
    pairs = [share_found(values, 0.4, seed, total=100_000, rows=5000, unknown=0.2) for seed in range(100)]
    shares, truths = np.array([(found["share"], truth) for found, truth in pairs]).T
    errors = np.array([found["error"] for found, _ in pairs])
    assert truths.mean() == pytest.approx(0.4, abs=0.01)
    assert shares.mean() == pytest.approx(0.4, abs=4 * errors.mean() / 10)
    assert np.mean(np.abs(shares - truths) <= 1.96 * errors) >= 0.9  # 0.95 - 3 standard errors of 100 repetitions
    assert (errors**2).mean() ** 0.5 == pytest.approx((shares - truths).std(), rel=0.35)
    assert all(found["is_suspect"] for found, _ in pairs)


def test_where_no_row_is_found_the_upper_end_is_that_of_a_poisson_count():
    found, _ = share_found(10_000, 0.0, rows=1000)
    hit = 1 / 8  # fraction of the training rows in the first half of the sample
    assert (found["share"], found["is_suspect"]) == (0.0, False)
    assert found["upper"] == pytest.approx(-np.log(0.025) / 1000 / hit, rel=0.02)


def test_rows_that_repeat_too_often_tell_nothing():
    found, _ = share_found(10, 0.4)
    assert (found["share"], found["upper"], found["is_suspect"]) == (None, None, False)
    assert "repeat too often" in found["reason"]


def test_without_rows_nothing_is_said():
    reference = TrainingHashes.of([np.empty(0, np.uint64)], [np.empty(0, bool)], 0, None)
    found = reference.copied_fraction(reference.find(np.array([1], np.uint64)), None)
    assert (found["share"], found["error"], found["is_suspect"]) == (None, None, False)
    assert found["reason"] == "no examples without an id out of vocabulary"


def test_a_row_with_a_value_out_of_vocabulary_is_like_many_and_counts_as_none():
    sample = batch_of([[7, 8, 9], [7, 8, OUT_OF_VOCABULARY]])
    assert row_hashes(sample)[1] == 0
    reference = TrainingHashes.of([row_hashes(sample)], [np.ones(2, bool)], 2, None)
    found = reference.find(row_hashes(sample))
    assert (found.identified, found.times.tolist()) == (1, [1])


def test_a_sequence_with_a_value_out_of_vocabulary_identifies_nothing_either():
    batch = batch_of([[7, 8], [7, 8], [7, 8]])
    batch["sequences/history"] = np.array([[5, 6, 0], [5, OUT_OF_VOCABULARY, 0], [0, 0, 0]], np.int32)
    batch["lengths/history"] = np.array([2, 2, 0], np.int32)
    assert (row_hashes(batch) == 0).tolist() == [False, True, False]


def test_a_pattern_that_got_frequent_by_itself_is_no_leak():
    random = np.random.default_rng(0)

    def rows(count, share):
        ids = random.integers(3, 10**6, (count, 3))
        ids[random.random(count) < share] = 3
        return row_hashes(batch_of(ids))

    sample = rows(100_000, 0.001)
    reference = TrainingHashes.of([sample], [random.random(len(sample)) < 0.5], 400_000, None)
    assert not reference.copied_fraction(reference.find(rows(40_000, 0.01)), None)["is_suspect"]


def test_the_parts_of_a_set_add_up():
    sample = row_hashes(batch_of(np.random.default_rng(0).integers(3, 50, (2000, 2))))
    reference = TrainingHashes.of([sample], [np.arange(2000) < 1000], 2000, None)
    whole = reference.find(sample)
    merged = reference.find(sample[:700]).merge(reference.find(sample[700:]))
    assert (whole.identified, whole.times.tolist()) == (merged.identified, merged.times.tolist())


def test_sets_that_were_sampled_otherwise_are_not_compared():
    sample = row_hashes(batch_of(np.arange(3, 603).reshape(200, 3)))
    reference = TrainingHashes.of([sample], [np.arange(200) < 100], 200, 0.1)
    found = reference.copied_fraction(reference.find(sample), None)
    assert (found["share"], found["is_suspect"]) == (None, False)
    assert found["reason"].startswith("negatives were sampled at a different rate")
    assert reference.copied_fraction(reference.find(sample), 0.1)["share"] == pytest.approx(1.0)


def test_what_an_earlier_version_saved_can_be_read_and_says_nothing():
    sample = row_hashes(batch_of(np.arange(3, 603).reshape(200, 3)))
    saved = TrainingHashes.of([sample], [np.arange(200) < 100], 200, None)
    again = TrainingHashes(saved.hashes, **saved.to_json())
    assert again.copied_fraction(again.find(sample), None) == saved.copied_fraction(saved.find(sample), None)
    described = {key: value for key, value in saved.to_json().items() if key not in ("identified", "repeat_squares")}
    old = TrainingHashes(saved.hashes, **described)
    found = old.copied_fraction(old.find(sample), None)
    assert (found["share"], found["reason"]) == (None, "the run was trained by an earlier version; train it again")


FEATURES = {
    "all": {"dim": 2},
    "frequent": {"vocabulary": {"min_count": 2}, "dim": 2},
    "hashed": {"hash": 50, "dim": 2},
    "list": {"type": "sequence", "identity": 9, "dim": 2},
    "rare_list": {"type": "sequence", "vocabulary": {"min_count": 2}, "dim": 2},
}


def encoder_of(tmp_path, weight):
    path = tmp_path / "a.parquet"
    lists = pa.array([[1], [2], [1, 2]])
    columns = {"all": [1, 1, 2], "frequent": [1, 1, 2], "hashed": [1, 2, 2], "list": lists, "rare_list": lists}
    pq.write_table(pa.table({**columns, "y": [0, 1, 0], "w": [1.0, 1.0, 1.0]}), path)
    return fit_encoder(Features(columns=FEATURES), Columns("y", weight), open_data(str(path)), 1)


@pytest.mark.parametrize(("weight", "columns", "sequences"), [(None, (0, 2), ("list",)), ("w", (0,), ())])
def test_an_unknown_id_of_some_features_is_surely_not_in_the_training_data(tmp_path, weight, columns, sequences):
    assert NeverTrained.of(encoder_of(tmp_path, weight)) == NeverTrained(columns, sequences)


def test_a_row_with_an_id_that_training_never_has_is_identified():
    batch = batch_of([[2, 5], [5, 2], [2, 2], [7, 8]]) | {"sequences/list": np.array([[2], [3], [3], [2]], np.int32)}

    hashes = row_hashes(batch, NeverTrained((0,), ("list",)))

    assert (hashes == 0).tolist() == [False, True, True, False]


@pytest.mark.parametrize("seed", range(5))
def test_rows_that_repeat_by_themselves_are_no_leak_where_many_ids_are_new(seed):
    """Half of the rows are of users with a single row, so the other half repeats twice as often as all rows do."""
    random = np.random.default_rng(seed)
    training, fresh = (random.integers(3, 33, (rows, 3)) for rows in (400_000, 40_000))
    alone = [random.random(len(rows)) < 0.5 for rows in (training, fresh)]
    training[alone[0], 0] = 100 + np.arange(alone[0].sum())
    fresh[alone[1], 0] = OUT_OF_VOCABULARY
    sample, never_trained = training[random.random(len(training)) < 0.05], NeverTrained((0, 1, 2))
    halves = [random.random(len(sample)) < 0.5]
    reference = TrainingHashes.of([row_hashes(batch_of(sample), never_trained)], halves, len(training), None)

    found = reference.copied_fraction(reference.find(row_hashes(batch_of(fresh), never_trained)), None)

    assert found["identified_rows"] == len(fresh)
    assert not found["is_suspect"]
