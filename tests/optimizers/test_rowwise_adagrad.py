"""Properties of row-wise Adagrad beyond the contract of every table optimizer."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.rowwise_adagrad import RowWiseAdagrad
from tests.optimizers.streams import DIM, ROWS, apply, start, stream, trained

NAN = float("nan")


def accumulator(optimizer):
    [state] = [v.numpy() for v in optimizer.variables if v.shape == (ROWS, 1)]
    return state


def test_its_state_is_one_number_a_row():
    optimizer = RowWiseAdagrad()
    optimizer.build([tf.Variable(start())])

    shapes = [tuple(v.shape) for v in optimizer.variables if v.shape.rank]

    assert shapes == [(ROWS, 1)]
    assert RowWiseAdagrad.state_floats(DIM) == 1


def test_the_state_gathers_the_mean_square_of_a_rows_summed_gradient():
    table, optimizer = tf.Variable(start()), RowWiseAdagrad()
    gradients = np.array([[1, 2, 3, 4], [0, 0, 0, 2], [1, 0, 0, 0]], np.float32)

    apply(optimizer, table, [(np.array([3, 7, 3], np.int32), gradients)] * 2)

    expected = np.zeros([ROWS, 1])
    expected[3], expected[7] = 2 * (4 + 4 + 9 + 16) / 4, 2 * 4 / 4
    np.testing.assert_allclose(accumulator(optimizer), expected, rtol=1e-6)


def test_rows_without_a_gradient_keep_every_bit_of_their_state():
    table, optimizer = tf.Variable(start()), RowWiseAdagrad()
    apply(optimizer, table, stream(50))
    before = accumulator(optimizer)

    apply(optimizer, table, stream(100, first=10, last=30))

    after = accumulator(optimizer)
    assert after[:10].tobytes() == before[:10].tobytes()
    assert after[30:].tobytes() == before[30:].tobytes()
    assert (after[10:30] > before[10:30]).all()


def test_at_width_1_it_is_adagrad_with_a_zero_start():
    batches = [(rows, gradients[:, :1]) for rows, gradients in stream(100)]
    tables = []
    for optimizer in (
        RowWiseAdagrad(0.05),
        tf_keras.optimizers.Adagrad(0.05, initial_accumulator_value=0.0, epsilon=1e-16),
    ):
        table = tf.Variable(start()[:, :1])
        for rows, gradients in batches:
            optimizer.apply_gradients([(tf.IndexedSlices(gradients, rows, [ROWS, 1]), table)])
        tables.append(table.numpy())

    np.testing.assert_allclose(*tables, rtol=0, atol=1e-5 * np.abs(tables[1]).max())


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    gradients=st.lists(
        st.lists(st.floats(-(2.0**60), 2.0**60, width=32), min_size=3, max_size=3), min_size=1, max_size=5
    )
)
def test_a_step_goes_along_the_gradient_and_no_further_than_the_rate_times_the_root_of_the_width(gradients):
    optimizer, table = RowWiseAdagrad(learning_rate=0.125), tf.Variable([[0.0, 0.0, 0.0]])
    for gradient in gradients:
        table.assign([[0.0, 0.0, 0.0]])  # from zero, so that the weight equals the step

        optimizer.apply_gradients([(tf.IndexedSlices([gradient], [0], [1, 3]), table)])

        move, length = -table.numpy()[0].astype(np.float64), np.linalg.norm(np.array(gradient))
        assert np.linalg.norm(move) <= 0.125 * np.sqrt(3) * (1 + 1e-6)
        direction = np.array(gradient) / length if length else np.zeros(3)
        np.testing.assert_allclose(move, np.linalg.norm(move) * direction, rtol=1e-5, atol=1e-7)


def test_a_zero_gradient_leaves_a_fresh_row_as_it_is():
    batch = np.arange(ROWS, dtype=np.int32), np.zeros([ROWS, DIM], np.float32)

    assert trained(RowWiseAdagrad(), [batch]).tobytes() == start().tobytes()


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("learning_rate", value) for value in (-0.1, NAN)),
        *(("epsilon", value) for value in (0.0, -1e-8, NAN)),
        *(("l2_gradient", value) for value in (-0.1, NAN)),
        *(("weight_decay", value) for value in (-0.1, NAN)),
        *(("max_norm", value) for value in (0.0, NAN)),
    ],
)
def test_an_argument_out_of_range_is_refused(argument, value):
    with pytest.raises(ValueError, match=f"{argument} .*Received: {value}"):
        RowWiseAdagrad(**{argument: value})
