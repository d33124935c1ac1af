"""Properties of SGD and momentum beyond the contract of every table optimizer."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from optimizers.sgd import SGD, Momentum
from tests.optimizers.dense import dense_gradients, trained_densely
from tests.optimizers.streams import DIM, ROWS, apply, start, states, stream, trained

NAN = float("nan")


def one_row(row, gradient):
    return np.array([row], np.int32), np.full([1, DIM], gradient, np.float32)


def test_sgd_is_keras_sgd():
    expected = trained(tf_keras.optimizers.SGD(0.05), stream(100))

    weight = trained(SGD(0.05), stream(100))

    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_sgd_keeps_no_state():
    optimizer = SGD()
    optimizer.build([tf.Variable(start())])

    assert all(v.shape.rank == 0 for v in optimizer.variables)
    assert SGD.state_floats(DIM) == 0


def test_in_sgd_decay_and_an_l2_term_in_the_gradient_are_the_same():
    decayed, pulled = trained(SGD(0.05, weight_decay=0.5), stream(100)), trained(SGD(0.05, 0.5), stream(100))

    assert np.abs(decayed - trained(SGD(0.05), stream(100))).max() > 0.01
    np.testing.assert_allclose(decayed, pulled, rtol=0, atol=1e-6 * np.abs(pulled).max())


@pytest.mark.medium
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_momentum_is_keras_sgd_where_every_row_is_touched(momentum, nesterov):
    theirs = tf_keras.optimizers.SGD(0.05, momentum=momentum, nesterov=nesterov)
    expected = trained_densely(theirs, dense_gradients())

    weight = trained_densely(Momentum(0.05, momentum, nesterov), dense_gradients())

    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("nesterov", [False, True])
def test_without_momentum_it_is_sgd_bit_for_bit(nesterov):
    weight = trained(Momentum(0.05, momentum=0.0, nesterov=nesterov), stream(100))

    assert weight.tobytes() == trained(SGD(0.05), stream(100)).tobytes()


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_rows_way_is_that_of_its_own_touches(nesterov):
    table = tf.Variable(np.zeros([ROWS, DIM], np.float32))
    others = list(stream(20, first=10))
    batches = []
    for step, gradient in enumerate([0.5, -0.25, 1.0]):
        batches += [one_row(3, gradient), *others[step * 5 : step * 5 + 5], one_row(7, gradient)]

    apply(Momentum(0.1, 0.9, nesterov), table, [*batches, *others])

    assert table.numpy()[3].tobytes() == table.numpy()[7].tobytes()
    assert (table.numpy()[3] != 0).all()


def test_a_change_of_rate_acts_on_new_gradients_alone():
    table, optimizer = tf.Variable(np.zeros([ROWS, DIM], np.float32)), Momentum(0.1, momentum=0.5)
    apply(optimizer, table, [one_row(3, 1.0)])
    np.testing.assert_allclose(table.numpy()[3], -0.1, rtol=1e-6)

    optimizer.learning_rate = 0.0
    apply(optimizer, table, [one_row(3, 1.0)])

    np.testing.assert_allclose(table.numpy()[3], -0.15, rtol=1e-6)
    [velocity] = states(optimizer)
    np.testing.assert_allclose(velocity[3], -0.05, rtol=1e-6)


@pytest.mark.parametrize("optimizer_class", [SGD, Momentum])
def test_a_zero_gradient_leaves_a_fresh_row_as_it_is(optimizer_class):
    batch = np.arange(ROWS, dtype=np.int32), np.zeros([ROWS, DIM], np.float32)

    assert trained(optimizer_class(), [batch]).tobytes() == start().tobytes()


@pytest.mark.parametrize("optimizer_class", [SGD, Momentum])
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("learning_rate", value) for value in (-0.1, NAN)),
        *(("l2_gradient", value) for value in (-0.1, NAN)),
        *(("weight_decay", value) for value in (-0.1, NAN)),
        *(("max_norm", value) for value in (0.0, NAN)),
    ],
)
def test_an_argument_out_of_range_is_refused(optimizer_class, argument, value):
    with pytest.raises(ValueError, match=f"{argument} .*Received: {value}"):
        optimizer_class(**{argument: value})


@pytest.mark.parametrize("value", [-0.1, 1.0, NAN])
def test_a_momentum_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match=f"momentum .*Received: {value}"):
        Momentum(momentum=value)
