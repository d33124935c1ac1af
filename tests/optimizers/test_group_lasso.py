"""Group-lasso Adagrad: rows that become zero as a whole, and rows that return."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from optimizers import FtrlProximal, GroupLassoAdagrad
from tests.optimizers.streams import DIM, ROWS, apply, start, stream, trained


def test_without_penalty_and_beta_it_is_adagrad_with_a_zero_start():
    adagrad = tf_keras.optimizers.Adagrad(0.05, initial_accumulator_value=0.0, epsilon=1e-30)
    expected = trained(adagrad, stream(100))

    weight = trained(GroupLassoAdagrad(0.05, beta=0.0), stream(100))

    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_without_l21_it_is_ftrl():
    penalties = {"beta": 0.5, "l1": 0.1, "l2": 0.2}
    expected = trained(FtrlProximal(0.05, **penalties), stream(100))

    weight = trained(GroupLassoAdagrad(0.05, **penalties), stream(100))

    assert weight.tobytes() == expected.tobytes()


def test_on_rows_of_width_1_l21_is_l1():
    gradients = np.random.default_rng(6).normal(0, 0.1, [60, ROWS, 1]).astype(np.float32)
    weights = []
    for optimizer in (GroupLassoAdagrad(0.1, l21=0.2), FtrlProximal(0.1, l1=0.2)):
        table = tf.Variable(np.zeros([ROWS, 1], np.float32))
        for gradient in gradients:
            optimizer.apply_gradients([(tf.constant(gradient), table)])
        weights.append(table.numpy())
    np.testing.assert_array_equal(weights[0] == 0, weights[1] == 0)
    np.testing.assert_allclose(*weights, rtol=1e-4, atol=1e-7)
    assert 0.05 < (weights[0] == 0).mean() < 0.95


@pytest.mark.parametrize("l21", [1.0, 1.5])
def test_rows_are_zero_as_a_whole_or_not_at_all(l21):
    weight = trained(GroupLassoAdagrad(0.05, l21=l21), stream(200))

    zeros = (weight == 0).sum(axis=1)

    assert set(zeros.tolist()) == {0, DIM}


def test_more_penalty_means_more_zero_rows():
    shares = [(trained(GroupLassoAdagrad(l21=l21), stream(200)) == 0).all(axis=1).mean() for l21 in (0, 0.1, 1, 100)]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == 1


def test_a_row_at_zero_returns_once_its_gradients_sum_to_more_than_its_radius():
    table = tf.Variable(np.zeros([ROWS, DIM], np.float32))
    optimizer = GroupLassoAdagrad(0.125, l21=0.875)  # a radius of 1.75, and steps of norm 0.25
    batch = np.array([5], np.int32), np.full([1, DIM], 0.125, np.float32)
    was_zero = []
    for _ in range(10):
        apply(optimizer, table, [batch])
        was_zero.append(bool((table.numpy()[5] == 0).all()))
    assert was_zero == [True] * 7 + [False] * 3


def test_in_a_dense_kernel_a_row_is_what_leaves_one_input():
    kernel = tf.Variable(np.zeros([ROWS, DIM], np.float32))
    gradient = np.ones([ROWS, DIM], np.float32)
    gradient[::2] *= 0.001

    GroupLassoAdagrad(0.1, l21=0.5).apply_gradients([(tf.constant(gradient), kernel)])

    assert (kernel.numpy()[::2] == 0).all()
    assert (kernel.numpy()[1::2] != 0).all()


def test_a_vector_is_one_row():
    bias = tf.Variable(np.zeros(4, np.float32))

    GroupLassoAdagrad(0.1, l21=0.5).apply_gradients([(tf.constant([3.0, 0.0, 0.0, 4.0]), bias)])

    # ||s|| = 5, the radius 0.5 * 2: four fifths remain, divided by 1 + |g|
    np.testing.assert_allclose(bias.numpy(), [-0.1 * 3 * 0.8 / 4, 0, 0, -0.1 * 4 * 0.8 / 5], rtol=1e-6)


def test_at_rate_0_no_row_comes_or_goes_and_the_others_hardly_move():
    table, optimizer = tf.Variable(start()), GroupLassoAdagrad(0.1, l21=1.0)
    apply(optimizer, table, stream(200))
    before = table.numpy()

    optimizer.learning_rate = 0.0
    apply(optimizer, table, stream(50, seed=7))

    # per-coordinate curvature makes the group's shrinkage approximate, so new curvature turns a row a little
    np.testing.assert_array_equal((table.numpy() == 0).all(axis=1), (before == 0).all(axis=1))
    assert np.abs(table.numpy() - before).max() <= 0.05 * np.abs(before).max()


def test_a_gradient_whose_square_underflows_leaves_a_row_at_zero():
    table = tf.Variable(np.zeros([ROWS, DIM], np.float32))
    apply(GroupLassoAdagrad(0.1, l21=0.1), table, [(np.array([3], np.int32), np.full([1, DIM], 1e-20, np.float32))])
    assert (table.numpy() == 0).all()


def test_l21_below_0_is_refused():
    with pytest.raises(ValueError, match=r"l21 must be finite and at least 0. Received: -0.1"):
        GroupLassoAdagrad(l21=-0.1)


def test_a_config_keeps_what_the_penalties_are_scaled_by():
    optimizer = GroupLassoAdagrad(0.1, l21=0.5)
    optimizer.learning_rate = 0.001  # like `reduce_lr_on_plateau`

    restored = tf_keras.optimizers.deserialize(tf_keras.optimizers.serialize(optimizer))

    assert (restored.penalty_rate, restored.l21, restored.keep_initial_weights) == (0.1, 0.5, False)
    assert float(restored.learning_rate) == pytest.approx(0.001)


def test_without_the_root_of_the_width_the_radius_is_l21():
    scaled = trained(GroupLassoAdagrad(l21=0.5), stream(200))

    plain = trained(GroupLassoAdagrad(l21=0.5 * DIM**0.5, scale_sqrt_dim=False), stream(200))

    assert plain.tobytes() == scaled.tobytes()
    assert (scaled == 0).any()
