"""Properties of RMSPropV2 beyond the contract of every table optimizer."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers import RMSPropV2
from optimizers.powers import powers
from tests.optimizers.streams import DIM, ROWS, apply, start, states, stream, trained

NAN = float("nan")


def test_l2_gradient_is_added_once_a_step_however_often_a_row_occurs():
    table = tf.Variable(start())
    optimizer = RMSPropV2(l2_gradient=0.5)

    apply(optimizer, table, [(np.array([3, 7, 3, 3], np.int32), np.zeros([4, DIM], np.float32))])

    [accumulator] = states(optimizer)
    np.testing.assert_allclose(accumulator[[3, 7]], (0.5 * start()[[3, 7]]) ** 2, rtol=1e-6)


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.99])
def test_it_is_rmsprop_with_another_rate_and_epsilon(beta):
    gradients = np.random.default_rng(5).normal(size=[50, ROWS, DIM]).astype(np.float32)
    ours, theirs = tf.Variable(start()), tf.Variable(start())
    rmsprop_v2_ = RMSPropV2(learning_rate=0.02, beta=beta, epsilon=1e-4)
    rmsprop = tf_keras.optimizers.RMSprop(0.02 * np.sqrt(1 - beta), rho=beta, epsilon=1e-4 * (1 - beta))

    for gradient in gradients:
        rmsprop_v2_.apply_gradients([(tf.constant(gradient), ours)])
        rmsprop.apply_gradients([(tf.constant(gradient), theirs)])

    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=1e-5 * np.abs(theirs.numpy()).max())


def test_beta_1_is_adagrad_with_a_zero_start():
    adagrad = tf_keras.optimizers.Adagrad(0.02, initial_accumulator_value=0.0, epsilon=1e-8)
    expected = trained(adagrad, stream(100))

    weight = trained(RMSPropV2(learning_rate=0.02, beta=1.0, epsilon=1e-8), stream(100))

    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    gradients=st.lists(st.floats(-(2.0**60), 2.0**60, width=32), min_size=1, max_size=5),
    beta=st.sampled_from([0, 0.9, 1]),
)
def test_no_coordinate_moves_further_than_the_learning_rate(gradients, beta):
    optimizer = RMSPropV2(learning_rate=0.125, beta=beta)
    table = tf.Variable([[0.0]])
    for gradient in gradients:
        table.assign([[0.0]])  # from zero, so that the weight equals the step

        optimizer.apply_gradients([(tf.IndexedSlices([[gradient]], [0], [1, 1]), table)])

        assert abs(table.numpy().item()) <= 0.125 * (1 + 1e-6)


def test_a_steady_gradient_moves_by_the_learning_rate_times_the_root_of_one_minus_beta():
    table, optimizer = tf.Variable(np.zeros([ROWS, DIM], np.float32)), RMSPropV2(learning_rate=0.1, beta=0.9)
    batch = np.array([0], np.int32), np.full([1, DIM], 3.0, np.float32)
    apply(optimizer, table, [batch] * 200)
    before = table.numpy()[0]

    apply(optimizer, table, [batch])

    np.testing.assert_allclose(before - table.numpy()[0], 0.1 * np.sqrt(0.1), rtol=1e-4)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("beta", value) for value in (-0.01, 1.01, NAN)),
        *(("learning_rate", value) for value in (-0.1, NAN)),
        *(("epsilon", value) for value in (0.0, -1e-8, NAN)),
        *(("l2_gradient", value) for value in (-0.1, NAN)),
    ],
)
def test_an_argument_out_of_range_is_refused(argument, value):
    with pytest.raises(ValueError, match=f"{argument} .*Received: {value}"):
        RMSPropV2(**{argument: value})


def test_monoliths_known_answer():
    """Values of Monolith's dense op with `use_v2`: weight decay in the gradient, epsilon outside the root, momentum."""
    table = tf.Variable([[0.1]])
    optimizer = RMSPropV2(0.1, beta=0.9, epsilon=0.1, epsilon_inside=False, momentum=0.9, l2_gradient=1.0)

    optimizer.apply_gradients([(tf.IndexedSlices([[0.12]], [0], [1, 1]), table)])

    accumulator, momentum = (v.numpy() for v in optimizer.variables[-2:])
    np.testing.assert_allclose(
        [accumulator, momentum, table.numpy()], [[[0.0484]], [[0.06875]], [[0.03125]]], rtol=1e-5
    )


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    gradients=st.lists(st.floats(-(2.0**60), 2.0**60, width=32), min_size=1, max_size=8),
    epsilon_inside=st.booleans(),
)
def test_with_momentum_no_coordinate_moves_further_than_the_rate_over_one_minus_it(gradients, epsilon_inside):
    optimizer = RMSPropV2(0.125, momentum=0.75, epsilon_inside=epsilon_inside)
    table = tf.Variable([[0.0]])
    for gradient in gradients:
        table.assign([[0.0]])
        optimizer.apply_gradients([(tf.IndexedSlices([[gradient]], [0], [1, 1]), table)])
        assert abs(table.numpy().item()) <= 0.5 * (1 + 1e-6)


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999, 1.0])
def test_by_time_a_row_decays_as_though_it_had_met_zeros(beta):
    every_row = np.arange(ROWS, dtype=np.int32)
    nothing = every_row, np.zeros([ROWS, DIM], np.float32)
    batches = list(stream(100))
    expected = trained(
        RMSPropV2(0.02, beta),
        [(np.concatenate([rows, every_row]), np.concatenate([g, nothing[1]])) for rows, g in batches],
    )

    weight = trained(RMSPropV2(0.02, beta, decay="time"), batches)

    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_by_time_and_by_touch_are_one_for_rows_of_every_batch():
    gradients = np.random.default_rng(5).normal(size=[50, ROWS, DIM]).astype(np.float32)
    batches = [(np.arange(ROWS, dtype=np.int32), gradient) for gradient in gradients]
    assert trained(RMSPropV2(), batches).tobytes() == trained(RMSPropV2(decay="time"), batches).tobytes()


@pytest.mark.parametrize("base", [0.0, 0.5, 0.99, 0.999999, 1.0])
def test_powers_are_rounded_once_from_float64(base):
    exponents = np.array([0, 1, 2, 3, 100, 4095, 4096, 4097, 123_456, 2**24 - 1, 2**24], np.float32)
    expected = np.float64(base) ** exponents.astype(np.float64)

    np.testing.assert_allclose(powers(base, tf.constant(exponents)).numpy(), expected, rtol=1e-7, atol=1e-40)
    np.testing.assert_allclose(
        powers(base, tf.constant(exponents), complement=True).numpy(), 1 - expected, rtol=1e-7, atol=1e-40
    )
    assert np.isfinite(powers(base, tf.constant([3e9])).numpy()).all()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", ["touch", "time"])
def test_its_state_is_what_it_says(momentum, decay):
    table, optimizer = tf.Variable(start()), RMSPropV2(momentum=momentum, decay=decay)
    optimizer.build([table])
    made = sum(v.shape.num_elements() for v in optimizer.variables if v.shape.rank)
    assert made == ROWS * RMSPropV2.state_floats(DIM, momentum=momentum, decay=decay, learning_rate=0.1)
    assert RMSPropV2.state_floats(DIM) == DIM


@pytest.mark.parametrize(("argument", "value"), [("momentum", -0.1), ("momentum", 1.0), ("decay", "never")])
def test_a_momentum_or_decay_that_there_is_not_is_refused(argument, value):
    with pytest.raises(ValueError, match=f"{argument} .*Received: .*{value}"):
        RMSPropV2(**{argument: value})
