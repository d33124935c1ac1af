"""FTRL-Proximal against TensorFlow's kernel; exact zeros, initial weights, and changing learning rates."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from optimizers import FtrlProximal, GroupLassoAdagrad
from tests.optimizers.streams import DIM, ROWS, apply, start, states, stream, trained

PENALIZED = [
    pytest.param(FtrlProximal, {"l1": 0.3, "l2": 0.2}, id="ftrl"),
    pytest.param(GroupLassoAdagrad, {"l1": 0.3, "l21": 1.0, "l2": 0.2}, id="group_lasso_adagrad"),
]
both_penalized = pytest.mark.parametrize(("optimizer_class", "penalties"), PENALIZED)


def summed(rows, gradients):
    unique, place = np.unique(rows, return_inverse=True)
    total = np.zeros([len(unique), gradients.shape[1]], np.float32)
    np.add.at(total, place, gradients)
    return unique, total


def by_kernel(learning_rate, beta, l1, l2, batches, l2_shrinkage=0.0, learning_rate_power=-0.5):
    """Return the table after TensorFlow's FTRL, with the arguments given in FtrlProximal's docstring."""
    table, accumulator, linear = (tf.Variable(x) for x in (start(), np.zeros_like(start()), np.zeros_like(start())))
    for rows, gradients in batches:
        unique, total = summed(rows, gradients)
        tf.raw_ops.ResourceSparseApplyFtrlV2(
            var=table.handle,
            accum=accumulator.handle,
            linear=linear.handle,
            grad=total,
            indices=unique,
            lr=learning_rate,
            l1=l1,
            l2=(l2 + beta / learning_rate) / 2,
            l2_shrinkage=l2_shrinkage / 2,
            lr_power=learning_rate_power,
        )
    return table.numpy()


@pytest.mark.medium
@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize("l2", [0.0, 0.5])
@pytest.mark.parametrize("l1", [0.0, 0.05, 1.0])
def test_it_is_tensorflows_kernel_under_the_documented_mapping(beta, l1, l2):
    expected = by_kernel(0.1, beta, l1, l2, stream(200))

    weight = trained(FtrlProximal(0.1, beta, l1, l2, keep_initial_weights=False), stream(200))

    np.testing.assert_array_equal(weight == 0, expected == 0)
    assert np.abs(weight - expected).max() <= 1e-5 * np.abs(expected).max()
    assert (weight > 0).any()
    assert (weight < 0).any()
    assert (weight == 0).any() or l1 < 1
    assert not (weight == 0).any() or l1 > 0


@pytest.mark.medium
@pytest.mark.parametrize("l1", [0.0, 0.5])
@pytest.mark.parametrize(
    ("l2_shrinkage", "learning_rate_power"), [(0.3, -0.5), (0.0, -0.3), (0.0, -0.8), (0.0, 0.0), (0.3, -0.7)]
)
def test_shrinkage_and_the_power_of_the_rate_are_the_kernels(l1, l2_shrinkage, learning_rate_power):
    expected = by_kernel(0.1, 0.5, l1, 0.2, stream(200), l2_shrinkage, learning_rate_power)

    optimizer = FtrlProximal(
        0.1, 0.5, l1, 0.2, False, l2_shrinkage=l2_shrinkage, learning_rate_power=learning_rate_power
    )
    weight = trained(optimizer, stream(200))

    np.testing.assert_array_equal(weight == 0, expected == 0)
    assert np.abs(weight - expected).max() <= 1e-5 * np.abs(expected).max()
    plain = trained(FtrlProximal(0.1, 0.5, l1, 0.2, False), stream(200))
    assert np.abs(weight - plain).max() > 1e-3 * np.abs(plain).max()


def test_l2_shrinkage_leaves_the_rates_alone_and_l2_gradient_does_not():
    accumulators = []
    for arguments in ({}, {"l2_shrinkage": 0.5}, {"l2_gradient": 0.5}):
        table, optimizer = tf.Variable(start()), FtrlProximal(0.1, **arguments)
        apply(optimizer, table, stream(20))
        accumulators.append(states(optimizer)[0])
    np.testing.assert_array_equal(accumulators[0], accumulators[1])
    assert (accumulators[0] != accumulators[2]).any()


def test_with_the_power_0_it_is_plain_gradient_descent():
    expected = trained(tf_keras.optimizers.SGD(0.1, jit_compile=False), stream(100))

    weight = trained(FtrlProximal(0.1, beta=0.0, learning_rate_power=0.0), stream(100))

    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_power_is_the_same_wherever_its_row_is():
    gradients = np.random.default_rng(3).normal(size=[ROWS, DIM]).astype(np.float32)
    every_row = trained(FtrlProximal(learning_rate_power=-0.3), [(np.arange(ROWS, dtype=np.int32), gradients)] * 3)
    for row in range(ROWS):
        alone = trained(
            FtrlProximal(learning_rate_power=-0.3), [(np.array([row], np.int32), gradients[row : row + 1])] * 3
        )
        assert alone[row].tobytes() == every_row[row].tobytes()


@pytest.mark.parametrize("value", [0.1, float("nan"), float("-inf")])
def test_a_power_that_lets_the_rate_grow_is_refused(value):
    with pytest.raises(ValueError, match=f"learning_rate_power must be finite and at most 0. Received: {value}"):
        FtrlProximal(learning_rate_power=value)


def touch_all(optimizer, table, gradient=0.0, times=1):
    batch = np.arange(ROWS, dtype=np.int32), np.full([ROWS, DIM], gradient, np.float32)
    apply(optimizer, table, [batch] * times)


@both_penalized
@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1, 1.0])
@pytest.mark.medium
def test_a_touch_with_a_zero_gradient_moves_no_weight_at_any_rate(optimizer_class, penalties, rate):
    table, optimizer = tf.Variable(start()), optimizer_class(0.1, **penalties)
    apply(optimizer, table, stream(200))
    before = table.numpy()
    assert 0.05 < (before == 0).mean() < 0.95

    optimizer.learning_rate = rate
    touch_all(optimizer, table, times=3)

    np.testing.assert_array_equal(table.numpy() == 0, before == 0)
    np.testing.assert_allclose(table.numpy(), before, rtol=1e-5, atol=1e-7)


def test_at_rate_0_gradients_move_no_weight():
    table, optimizer = tf.Variable(start()), FtrlProximal(0.1, l1=0.3, l2=0.2)
    apply(optimizer, table, stream(200))
    before = table.numpy()

    optimizer.learning_rate = 0.0
    apply(optimizer, table, stream(50, seed=7))

    np.testing.assert_array_equal(table.numpy() == 0, before == 0)
    np.testing.assert_allclose(table.numpy(), before, rtol=1e-3, atol=1e-6)


def test_a_lower_rate_makes_smaller_steps():
    moves = []
    for rate in (0.1, 0.01):
        table, optimizer = tf.Variable(start()), FtrlProximal(0.1)
        apply(optimizer, table, stream(50))
        before = table.numpy()
        optimizer.learning_rate = rate
        touch_all(optimizer, table, gradient=0.001)
        moves.append(before - table.numpy())
    np.testing.assert_allclose(moves[1], moves[0] / 10, rtol=0.02, atol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "is_preserved"),
    [
        (FtrlProximal(), True),
        (FtrlProximal(l2=0.1), True),
        (FtrlProximal(l1=0.1), False),
        (FtrlProximal(l1=0.1, keep_initial_weights=True), True),
        (FtrlProximal(keep_initial_weights=False), False),
        (GroupLassoAdagrad(), True),
        (GroupLassoAdagrad(beta=0.0), True),
        (GroupLassoAdagrad(l21=0.001), False),
        (GroupLassoAdagrad(l1=0.01, l21=0.01, keep_initial_weights=True), True),
    ],
    ids=lambda value: "" if isinstance(value, bool) else None,
)
def test_the_start_survives_the_first_touch_where_nothing_penalizes_it(optimizer, is_preserved):
    table = tf.Variable(start())

    touch_all(optimizer, table, gradient=1e-12)

    kept = np.abs(table.numpy() - start()) <= 1e-5 * np.abs(start()).max() + (
        optimizer.penalty_rate if optimizer.beta == 0 else 0  # the first step of Adagrad equals the learning rate
    )
    assert kept.all() if is_preserved else (np.abs(table.numpy()) < 1e-9).all()


def test_weights_that_are_assigned_after_the_state_was_made_are_preserved_too():
    table, optimizer = tf.Variable(np.zeros_like(start())), FtrlProximal()
    optimizer.build([table])

    table.assign(start())
    touch_all(optimizer, table)

    np.testing.assert_allclose(table.numpy(), start(), rtol=1e-6)


def test_without_penalty_and_beta_it_is_adagrad_with_a_zero_start():
    adagrad = tf_keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.0, epsilon=1e-30)
    expected = trained(adagrad, stream(100))

    weight = trained(FtrlProximal(0.1, beta=0.0), stream(100))

    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_weight_at_zero_returns_once_its_gradients_sum_to_more_than_l1(sign):
    table = tf.Variable(np.zeros([ROWS, DIM], np.float32))
    optimizer = FtrlProximal(0.125, l1=0.875)  # sums of eighths are exact
    was_zero = []
    for _ in range(10):
        touch_all(optimizer, table, gradient=sign * 0.125)
        was_zero.append(bool((table.numpy() == 0).all()))
    assert was_zero == [True] * 7 + [False] * 3  # 7 x 0.125 = l1 does not exceed l1 yet
    assert (np.sign(table.numpy()) == -sign).all()


def test_l2_gradient_is_added_once_a_step():
    table, optimizer = tf.Variable(start()), FtrlProximal(l2_gradient=0.5)

    apply(optimizer, table, [(np.array([3, 7, 3, 3], np.int32), np.zeros([4, DIM], np.float32))])

    accumulator, _ = states(optimizer)
    np.testing.assert_allclose(accumulator[[3, 7]], (0.5 * start()[[3, 7]]) ** 2, rtol=1e-6)


@pytest.mark.parametrize("optimizer_class", [FtrlProximal, GroupLassoAdagrad])
@pytest.mark.parametrize(
    "argument", ["learning_rate", "beta", "l1", "l2", "penalty_rate", "l2_shrinkage", "l2_gradient"]
)
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_an_argument_out_of_range_is_refused(optimizer_class, argument, value):
    with pytest.raises(ValueError, match=f"must be .*Received: {value}"):
        optimizer_class(**{argument: value})


@both_penalized
@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize("keep_initial_weights", [False, True])
@pytest.mark.parametrize("l2", [0.0, 0.2])
def test_an_optimizer_knows_whether_a_row_without_state_keeps_its_weight(
    optimizer_class, penalties, beta, keep_initial_weights, l2
):
    optimizer = optimizer_class(beta=beta, keep_initial_weights=keep_initial_weights, **{**penalties, "l2": l2})
    table = tf.Variable([[0.5, -0.4]])
    optimizer.apply_gradients([(tf.IndexedSlices(tf.fill([1, 2], 1e-4), [0]), table)])
    assert np.allclose(table.numpy(), [[0.5, -0.4]], atol=0.01) == optimizer.starts_from_weight
