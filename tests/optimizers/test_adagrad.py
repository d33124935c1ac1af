"""Properties of Adagrad beyond the contract of every table optimizer."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from optimizers.adagrad import Adagrad
from tests.optimizers.dense import dense_gradients, trained_densely
from tests.optimizers.streams import DIM, ROWS, apply, start, states, stream, trained

NAN = float("nan")
EVERY_ROW = np.arange(ROWS, dtype=np.int32)


@pytest.mark.parametrize("initial", [0.0, 0.1, 1.0])
def test_it_is_keras_adagrad(initial):
    ours, theirs = (
        (lambda: Adagrad(0.05, initial_accumulator=initial)),
        (lambda: tf_keras.optimizers.Adagrad(0.05, initial_accumulator_value=initial)),
    )

    dense, expected_dense = (trained_densely(make(), dense_gradients()) for make in (ours, theirs))
    sparse, expected_sparse = (trained(make(), stream(100)) for make in (ours, theirs))

    np.testing.assert_allclose(dense, expected_dense, rtol=0, atol=1e-5 * np.abs(expected_dense).max())
    np.testing.assert_allclose(sparse, expected_sparse, rtol=0, atol=1e-5 * np.abs(expected_sparse).max())


def test_its_defaults_are_those_of_keras():
    ours, theirs = Adagrad().get_config(), tf_keras.optimizers.Adagrad().get_config()

    assert ours["initial_accumulator"] == theirs["initial_accumulator_value"]
    assert ours["epsilon"] == theirs["epsilon"]


def test_a_bound_that_is_never_reached_changes_no_bit():
    unbounded = trained(Adagrad(0.05), stream(100))

    assert trained(Adagrad(0.05, max_accumulator=1e6), stream(100)).tobytes() == unbounded.tobytes()


def test_at_the_bound_a_steady_gradient_keeps_its_step():
    table = tf.Variable(np.zeros([ROWS, DIM], np.float32))
    optimizer = Adagrad(0.5, initial_accumulator=0.5, epsilon=1e-7, max_accumulator=4.0)
    batch = EVERY_ROW, np.ones([ROWS, DIM], np.float32)
    moves = []
    for _ in range(6):
        before = table.numpy()
        apply(optimizer, table, [batch])
        moves.append((before - table.numpy())[0, 0])

    np.testing.assert_allclose(moves, 0.5 / np.sqrt([1.5, 2.5, 3.5, 4.0, 4.0, 4.0]), rtol=1e-5)
    [accumulator] = states(optimizer)
    np.testing.assert_array_equal(accumulator, 3.5)  # the bound minus the initial value


def test_with_a_bound_at_its_start_it_is_sgd():
    rate = 0.05 / np.sqrt(0.25 + 1e-7)
    expected = start() - rate * dense_gradients().astype(np.float64).sum(axis=0)

    weight = trained_densely(Adagrad(0.05, initial_accumulator=0.25, max_accumulator=0.25), dense_gradients())

    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("initial", [0.0, 0.1])
def test_a_zero_gradient_leaves_a_fresh_row_as_it_is(initial):
    batch = EVERY_ROW, np.zeros([ROWS, DIM], np.float32)

    assert trained(Adagrad(initial_accumulator=initial), [batch]).tobytes() == start().tobytes()


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("learning_rate", value) for value in (-0.1, NAN)),
        *(("initial_accumulator", value) for value in (-0.1, NAN)),
        *(("epsilon", value) for value in (0.0, -1e-8, NAN)),
        *(("max_accumulator", value) for value in (0.05, -1.0, NAN)),
        *(("l2_gradient", value) for value in (-0.1, NAN)),
        *(("weight_decay", value) for value in (-0.1, NAN)),
        *(("max_norm", value) for value in (0.0, NAN)),
    ],
)
def test_an_argument_out_of_range_is_refused(argument, value):
    with pytest.raises(ValueError, match=f"{argument} .*Received: {value}"):
        Adagrad(**{argument: value})
