"""Group Adam: Adam without penalties; with penalties, rows that return from zero; changing learning rates."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from optimizers.group_adam import GroupAdam
from tests.optimizers.streams import DIM, ROWS, apply, start, stream, trained

NAN = float("nan")


def lazy_adam(batches, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """Return the weight by Kingma and Ba's algorithm 1 with the table's step, for a batch's rows; no z or curvature."""
    w = start().astype(np.float64)
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, (rows, gradients) in enumerate(batches, 1):
        summed = np.zeros_like(w)
        np.add.at(summed, rows, gradients.astype(np.float64))
        at = np.unique(rows)
        m[at] = beta_1 * m[at] + (1 - beta_1) * summed[at]
        v[at] = beta_2 * v[at] + (1 - beta_2) * summed[at] ** 2
        w[at] -= rate * (m[at] / (1 - beta_1**t)) / (np.sqrt(v[at] / (1 - beta_2**t)) + epsilon)
    return w


@pytest.mark.parametrize("arguments", [{}, {"beta_1": 0.0}, {"beta_2": 0.9}, {"epsilon": 0.1}], ids=str)
def test_without_penalties_it_is_lazy_adam(arguments):
    expected = lazy_adam(stream(300), 0.01, **arguments)

    weight = trained(GroupAdam(0.01, **arguments), stream(300))

    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.medium
def test_without_penalties_a_dense_variable_has_tf_kerass_adam():
    gradients = np.random.default_rng(5).normal(size=[100, ROWS, DIM]).astype(np.float32)
    kernels = []
    for optimizer in (GroupAdam(0.01), tf_keras.optimizers.Adam(0.01, epsilon=1e-8, jit_compile=False)):
        kernels.append(tf.Variable(start()))
        for gradient in gradients:
            optimizer.apply_gradients([(tf.constant(gradient), kernels[-1])])
    expected = kernels[1].numpy()
    np.testing.assert_allclose(kernels[0].numpy(), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_start_is_shrunk_by_the_penalty_but_not_lost():
    table = tf.Variable([[0.6, 0.8]])
    gradient = [[3e-3, 4e-3]]  # after one step M = g, sqrt(V) = |g|

    GroupAdam(0.001, l21=0.5, scale_sqrt_dim=False).apply_gradients([(tf.IndexedSlices(gradient, [0], [1, 2]), table)])

    s = np.array([0.6, 0.8]) * np.array([3, 4]) - np.array([3e-3, 4e-3])  # w c / a - M
    expected = (1 - 0.5 / np.linalg.norm(s)) * s / np.array([3, 4])
    np.testing.assert_allclose(table.numpy()[0], expected, rtol=1e-4)


@pytest.mark.parametrize("l21", [1.0, 5.0])
def test_rows_are_zero_as_a_whole_or_not_at_all(l21):
    zeros = (trained(GroupAdam(0.01, l21=l21), stream(200)) == 0).sum(axis=1)
    assert set(zeros.tolist()) == {0, DIM}


@pytest.mark.medium
def test_more_penalty_means_more_zeros():
    for penalty in ("l1", "l21"):
        shares = [(trained(GroupAdam(0.01, **{penalty: x}), stream(200)) == 0).mean() for x in (0, 0.1, 1, 1000)]
        assert shares == sorted(shares)
        assert (shares[0], shares[-1]) == (0, 1)


def test_a_row_at_zero_returns_once_its_moments_sum_to_more_than_its_radius():
    table = tf.Variable(np.zeros([ROWS, DIM], np.float32))
    optimizer = GroupAdam(0.125, beta_1=0.0, l21=0.875)  # a radius of 1.75, and moments of norm 0.25
    was_zero = []
    for _ in range(10):
        apply(optimizer, table, [(np.array([5], np.int32), np.full([1, DIM], 0.125, np.float32))])
        was_zero.append(bool((table.numpy()[5] == 0).all()))
    assert was_zero == [True] * 7 + [False] * 3


def test_l2_is_counted_once():
    table = tf.Variable(np.zeros([1, 1], np.float32))

    GroupAdam(0.1, l2=5.0, epsilon=1e-8).apply_gradients([(tf.IndexedSlices([[2.0]], [0], [1, 1]), table)])

    np.testing.assert_allclose(table.numpy(), [[-2 / (2 / 0.1 + 5)]], rtol=1e-5)


def test_a_change_of_rate_moves_no_row_and_at_rate_0_only_curvature_turns_them():
    table, optimizer = tf.Variable(start()), GroupAdam(0.01, l1=0.05, l21=1.0)
    apply(optimizer, table, stream(200))
    before = table.numpy()
    zero = (before == 0).all(axis=1)
    assert 0.05 < zero.mean() < 0.95

    optimizer.learning_rate = 0.0
    apply(optimizer, table, stream(1, seed=7))

    np.testing.assert_array_equal((table.numpy() == 0).all(axis=1), zero)
    assert np.abs(table.numpy() - before).max() <= 0.05 * np.abs(before).max()


def test_a_warm_up_from_rate_0_trains_and_penalizes():
    class WarmUp(tf_keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.01 * tf.minimum(tf.cast(step, tf.float32) / 50, 1.0)

    unpenalized = trained(GroupAdam(WarmUp(), penalty_rate=0.01), stream(200))
    weight = trained(GroupAdam(WarmUp(), l21=1.0, penalty_rate=0.01), stream(200))

    assert np.isfinite(weight).all()
    assert 0 < (weight == 0).all(axis=1).mean() < 1
    assert (unpenalized != start()).all()


def test_its_state_is_what_it_says():
    table, optimizer = tf.Variable(start()), GroupAdam()
    optimizer.build([table])
    made = sum(v.shape.num_elements() for v in optimizer.variables if v.shape.rank)
    assert made == ROWS * GroupAdam.state_floats(DIM)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *((argument, value) for argument in ("beta_1", "beta_2") for value in (-0.1, 1.0, NAN)),
        *(("epsilon", value) for value in (0.0, NAN, float("inf"))),
        *(
            (argument, value)
            for argument in ("l1", "l21", "l2", "l2_gradient", "penalty_rate")
            for value in (-0.1, NAN)
        ),
        ("learning_rate", -0.1),
    ],
)
def test_an_argument_out_of_range_is_refused(argument, value):
    with pytest.raises(ValueError, match=f"{argument} .*Received: .*{value}"):
        GroupAdam(**{argument: value})


def test_a_schedule_without_an_initial_rate_needs_a_penalty_rate():
    with pytest.raises(ValueError, match="penalty_rate must be a number with the schedule PiecewiseConstantDecay"):
        GroupAdam(tf_keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.1, 0.01]))
