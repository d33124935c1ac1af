"""Mean labels of ids, out of fold."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import PredefinedSplit
from sklearn.preprocessing import TargetEncoder

from ctr.classical.target_means import FOLDS, SMOOTHING, fit_target_means

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, FOLDS - 1)), min_size=2, max_size=60)


def arrays_of(rows):
    ids, label, fold = (np.array(column) for column in zip(*rows, strict=True))
    return ids, label, fold


@settings(deadline=None)  # the first call imports
@given(ROWS)
def test_they_are_those_of_scikit_learn(rows):
    ids, label, fold = arrays_of(rows)
    assume(len(set(label)) == 2 and len(set(fold)) > 1)
    means, out_of_fold = fit_target_means(ids, label, np.ones(len(ids)), fold)
    encoder = TargetEncoder(target_type="binary", smooth=SMOOTHING, cv=PredefinedSplit(fold))
    try:
        expected = encoder.fit_transform(ids[:, None], label)[:, 0]
    except ValueError:  # scikit-learn refuses folds whose complement has one label
        assume(False)
    np.testing.assert_allclose(out_of_fold, expected)
    new = np.arange(8)
    np.testing.assert_allclose(means(new), encoder.transform(new[:, None])[:, 0])


@given(ROWS)
def test_an_integer_weight_is_as_many_examples(rows):
    ids, label, fold = arrays_of(rows)
    weight = 1 + np.arange(len(ids)) % 3
    repeated = [np.repeat(column, weight) for column in (ids, label, fold)]
    means, out_of_fold = fit_target_means(ids, label, weight.astype(float), fold)
    expected, of_repeated = fit_target_means(repeated[0], repeated[1], np.ones(weight.sum()), repeated[2])
    np.testing.assert_allclose(means.mean, expected.mean)
    np.testing.assert_allclose(np.repeat(out_of_fold, weight), of_repeated)


@given(ROWS, st.data())
def test_a_mean_does_not_depend_on_labels_of_its_own_fold(rows, data):
    ids, label, fold = arrays_of(rows)
    chosen = data.draw(st.integers(0, FOLDS - 1))
    changed = np.where(fold == chosen, 1 - label, label)
    before, after = (fit_target_means(ids, labels, np.ones(len(ids)), fold)[1] for labels in (label, changed))
    np.testing.assert_array_equal(before[fold == chosen], after[fold == chosen])


@pytest.mark.parametrize("smoothing", [0.0, SMOOTHING])
def test_examples_of_weight_zero_give_no_undefined_mean(smoothing):
    ids, label, weight, fold = np.array([1, 2]), np.array([1, 0]), np.array([0.0, 1.0]), np.array([0, 1])
    means, out_of_fold = fit_target_means(ids, label, weight, fold, smoothing)
    assert means(np.array([1, 2, 3])).tolist() == [0, 0, 0]
    assert out_of_fold.tolist() == [0, 0]


def test_no_ids_give_the_prior():
    nothing = np.array([], np.int64)
    means, out_of_fold = fit_target_means(nothing, nothing, nothing.astype(float), nothing)
    assert means(np.array([4])).tolist() == [0]
    assert len(out_of_fold) == 0
