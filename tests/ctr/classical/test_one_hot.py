"""One-hot columns of encoded examples."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.preprocessing import OneHotEncoder

from ctr.classical.one_hot import OneHot

IDS = arrays.arrays(np.int32, st.tuples(st.integers(1, 20), st.just(2)), elements=st.integers(0, 6))


def batch_of(ids, numerics=None, **others):
    numerics = np.zeros((len(ids), 0), np.float32) if numerics is None else numerics
    return {"ids": np.asarray(ids, np.int32), "numerics": numerics, **others}


@settings(deadline=None)  # the first call imports
@given(IDS, IDS)
def test_categories_are_those_of_scikit_learn(train, test):
    encoder = OneHotEncoder(handle_unknown="ignore").fit(train)
    one_hot = OneHot.fitted(batch_of(train))
    for ids in (train, test):
        np.testing.assert_array_equal(one_hot.matrix(batch_of(ids)).toarray(), encoder.transform(ids).toarray())
    assert one_hot.columns == sum(map(len, encoder.categories_))


def test_numerics_are_the_last_columns():
    numerics = np.array([[0.5, -1.0], [0.0, 2.0]], np.float32)
    batch = batch_of([[7], [9]], numerics)
    assert OneHot.fitted(batch).matrix(batch).toarray().tolist() == [[1, 0, 0.5, -1], [0, 1, 0, 2]]


def test_a_sequence_is_the_mean_of_its_ids():
    sequences = np.array([[4, 5, 4], [5, 0, 0], [0, 0, 0], [8, 4, 0]], np.int32)
    lengths = np.array([3, 1, 0, 2], np.int32)
    no_ids = np.zeros((4, 0), np.int32)
    batch = batch_of(no_ids, **{"sequences/items": sequences, "lengths/items": lengths})
    one_hot = OneHot.fitted({key: array[:3] for key, array in batch.items()})
    expected = [[2 / 3, 1 / 3], [0, 1], [0, 0], [0.5, 0]]  # 8 was not in the training data
    np.testing.assert_allclose(one_hot.matrix(batch).toarray(), expected)


def test_a_feature_without_ids_in_the_training_data_has_no_columns():
    empty = {"sequences/items": np.zeros((1, 2), np.int32), "lengths/items": np.zeros(1, np.int32)}
    full = {"sequences/items": np.full((1, 2), 5, np.int32), "lengths/items": np.full(1, 2, np.int32)}
    one_hot = OneHot.fitted(batch_of([[3]], **empty))
    assert one_hot.matrix(batch_of([[3]], **full)).toarray().tolist() == [[1]]
