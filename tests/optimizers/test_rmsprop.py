"""Properties of RMSProp beyond the contract of every table optimizer."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers import RMSPropV2
from optimizers.rmsprop import RMSProp
from tests.optimizers.dense import dense_gradients, trained_densely
from tests.optimizers.streams import DIM, ROWS, apply, start, stream, trained

NAN = float("nan")


@pytest.mark.parametrize("rho", [0.0, 0.9, 0.99])
def test_it_is_keras_rmsprop_where_every_row_is_touched(rho):
    expected = trained_densely(tf_keras.optimizers.RMSprop(0.02, rho=rho), dense_gradients())

    weight = trained_densely(RMSProp(0.02, rho), dense_gradients())

    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_its_defaults_are_those_of_keras():
    ours, theirs = RMSProp().get_config(), tf_keras.optimizers.RMSprop().get_config()

    assert {key: ours[key] for key in ("learning_rate", "rho", "epsilon")} == {
        key: theirs[key] for key in ("learning_rate", "rho", "epsilon")
    }


@pytest.mark.parametrize("rho", [0.0, 0.9, 0.99])
def test_it_is_rmsprop_v2_with_another_rate_and_epsilon(rho):
    expected = trained(RMSPropV2(0.02, beta=rho, epsilon=1e-4), stream(100))

    weight = trained(RMSProp(0.02 * np.sqrt(1 - rho), rho, epsilon=1e-4 * (1 - rho)), stream(100))

    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    gradients=st.lists(st.floats(-(2.0**60), 2.0**60, width=32), min_size=1, max_size=5),
    rho=st.sampled_from([0, 0.75, 0.99]),
)
def test_no_coordinate_moves_further_than_the_rate_over_the_root_of_one_minus_rho(gradients, rho):
    optimizer = RMSProp(learning_rate=0.125, rho=rho)
    table = tf.Variable([[0.0]])
    for gradient in gradients:
        table.assign([[0.0]])  # from zero, so that the weight equals the step

        optimizer.apply_gradients([(tf.IndexedSlices([[gradient]], [0], [1, 1]), table)])

        assert abs(table.numpy().item()) <= 0.125 / np.sqrt(1 - rho) * (1 + 1e-6)


def test_a_steady_gradient_moves_by_the_learning_rate():
    table, optimizer = tf.Variable(np.zeros([ROWS, DIM], np.float32)), RMSProp(learning_rate=0.1, rho=0.9)
    batch = np.array([0], np.int32), np.full([1, DIM], 3.0, np.float32)
    apply(optimizer, table, [batch] * 200)
    before = table.numpy()[0]

    apply(optimizer, table, [batch])

    np.testing.assert_allclose(before - table.numpy()[0], 0.1, rtol=1e-4)


def test_a_row_decays_when_it_is_touched_and_not_with_time():
    table = tf.Variable(np.zeros([ROWS, DIM], np.float32))
    others, batches = list(stream(20, first=10)), []
    for step, gradient in enumerate([0.5, -0.25, 1.0]):
        touches = [(np.array([row], np.int32), np.full([1, DIM], gradient, np.float32)) for row in (3, 7)]
        batches += [touches[0], *others[step * 5 : step * 5 + 5], touches[1]]

    apply(RMSProp(0.1), table, [*batches, *others])

    assert table.numpy()[3].tobytes() == table.numpy()[7].tobytes()
    assert (table.numpy()[3] != 0).all()


def test_a_zero_gradient_leaves_a_fresh_row_as_it_is():
    batch = np.arange(ROWS, dtype=np.int32), np.zeros([ROWS, DIM], np.float32)

    assert trained(RMSProp(), [batch]).tobytes() == start().tobytes()


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("learning_rate", value) for value in (-0.1, NAN)),
        *(("rho", value) for value in (-0.01, 1.0, NAN)),
        *(("epsilon", value) for value in (0.0, -1e-8, NAN)),
        *(("l2_gradient", value) for value in (-0.1, NAN)),
        *(("weight_decay", value) for value in (-0.1, NAN)),
        *(("max_norm", value) for value in (0.0, NAN)),
    ],
)
def test_an_argument_out_of_range_is_refused(argument, value):
    with pytest.raises(ValueError, match=f"{argument} .*Received: {value}"):
        RMSProp(**{argument: value})
