"""Properties of lazy Adam beyond the contract of every table optimizer."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from optimizers.lazy_adam import LazyAdam
from tests.optimizers.dense import dense_gradients, trained_densely
from tests.optimizers.streams import DIM, ROWS, apply, start, states, stream, trained

NAN = float("nan")


def row_states(optimizer):
    return [v.numpy().ravel() for v in optimizer.variables if v.shape == (ROWS, 1)]


@pytest.mark.medium
@pytest.mark.parametrize("bias_correction", ["table", "row"])
@pytest.mark.parametrize(("beta_1", "beta_2"), [(0.9, 0.999), (0.0, 0.99), (0.5, 0.9)])
def test_it_is_keras_adam_where_every_row_is_touched(bias_correction, beta_1, beta_2):
    theirs = tf_keras.optimizers.Adam(0.02, beta_1, beta_2, epsilon=1e-8)
    expected = trained_densely(theirs, dense_gradients())

    weight = trained_densely(LazyAdam(0.02, beta_1, beta_2, 1e-8, bias_correction), dense_gradients())

    np.testing.assert_allclose(weight, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("steps_before", [0, 100])
@pytest.mark.parametrize("bias_correction", ["table", "row", None])
def test_the_first_step_of_a_row(bias_correction, steps_before):
    table = tf.Variable(np.zeros([ROWS, DIM], np.float32))
    first = np.array([3], np.int32), np.full([1, DIM], -0.3, np.float32)

    apply(LazyAdam(0.125, bias_correction=bias_correction), table, [*stream(steps_before, first=10), first])

    uncorrected = 0.125 * (1 - 0.9) / np.sqrt(1 - 0.999)
    t = steps_before + 1
    expected = {
        "table": uncorrected * np.sqrt(1 - 0.999**t) / (1 - 0.9**t),
        "row": 0.125,
        None: uncorrected,
    }[bias_correction]
    np.testing.assert_allclose(table.numpy()[3], expected, rtol=1e-5)


def test_the_correction_of_a_row_counts_its_touches_and_duplicates_once():
    table, optimizer = tf.Variable(start()), LazyAdam(bias_correction="row")
    batches = list(stream(300, last=30))
    touches = sum(np.isin(np.arange(ROWS), rows).astype(int) for rows, _ in batches)

    apply(optimizer, table, batches)

    correction_1, correction_2 = row_states(optimizer)
    assert 100 < touches.max() < 300
    np.testing.assert_allclose(correction_1, 1 - 0.9**touches, rtol=2e-5)
    np.testing.assert_allclose(correction_2, 1 - 0.999**touches, rtol=2e-5)
    assert (correction_1[30:] == 0).all()
    assert (correction_2[30:] == 0).all()


def test_with_row_correction_a_rows_way_is_that_of_its_own_touches():
    table = tf.Variable(np.zeros([ROWS, DIM], np.float32))
    others, batches = list(stream(20, first=10)), []
    for step, gradient in enumerate([0.5, -0.25, 1.0]):
        touches = [(np.array([row], np.int32), np.full([1, DIM], gradient, np.float32)) for row in (3, 7)]
        batches += [touches[0], *others[step * 5 : step * 5 + 5], touches[1]]

    apply(LazyAdam(0.1, bias_correction="row"), table, [*batches, *others])

    assert table.numpy()[3].tobytes() == table.numpy()[7].tobytes()
    assert (table.numpy()[3] != 0).all()


def test_averaged_over_a_rows_touches_the_second_moment_is_the_mean_of_its_squared_gradients():
    table, optimizer = tf.Variable(start()), LazyAdam(beta_2="1 - 1/t", bias_correction="row")
    batches = list(stream(300, last=30))
    touches, squares = np.zeros([ROWS, 1]), np.zeros([ROWS, DIM])
    for rows, gradients in batches:
        summed = np.zeros([ROWS, DIM])
        np.add.at(summed, rows, gradients)
        touches[np.unique(rows)] += 1
        squares += summed**2

    apply(optimizer, table, batches)

    _, v, _, counted = states(optimizer)
    np.testing.assert_array_equal(counted, touches)
    np.testing.assert_allclose(v, squares / np.maximum(touches, 1), rtol=1e-5)


@pytest.mark.parametrize(("bias_correction", "first_step"), [("table", 1 / (1 - 0.9**101)), ("row", 10), (None, 1)])
def test_averaged_over_the_tables_steps_a_row_that_is_late_moves_far(bias_correction, first_step):
    table = tf.Variable(np.zeros([ROWS, DIM], np.float32))
    late = np.array([3], np.int32), np.full([1, DIM], -0.3, np.float32)

    optimizer = LazyAdam(0.125, beta_2="1 - 1/t", bias_correction=bias_correction)
    apply(optimizer, table, [*stream(100, first=10), late])

    t = 1 if bias_correction == "row" else 101
    np.testing.assert_allclose(table.numpy()[3], 0.125 * 0.1 * first_step * np.sqrt(t), rtol=1e-5)


def test_averaged_moments_do_not_depend_on_what_t_counts_where_every_row_is_touched():
    table, row = (
        trained_densely(LazyAdam(0.02, beta_2="1 - 1/t", bias_correction=t), dense_gradients())
        for t in ("table", "row")
    )
    np.testing.assert_allclose(row, table, rtol=0, atol=1e-5 * np.abs(table).max())


@pytest.mark.parametrize(("bias_correction", "row_states_kept"), [("table", 0), ("row", 2), (None, 0)])
def test_only_row_correction_has_state_for_it(bias_correction, row_states_kept):
    optimizer = LazyAdam(bias_correction=bias_correction)
    optimizer.build([tf.Variable(start())])

    shapes = [tuple(v.shape) for v in optimizer.variables if v.shape.rank]

    assert shapes == [(ROWS, DIM)] * 2 + [(ROWS, 1)] * row_states_kept


@pytest.mark.parametrize("bias_correction", ["table", "row", None])
def test_a_zero_gradient_leaves_a_fresh_row_as_it_is(bias_correction):
    batch = np.arange(ROWS, dtype=np.int32), np.zeros([ROWS, DIM], np.float32)

    assert trained(LazyAdam(bias_correction=bias_correction), [batch]).tobytes() == start().tobytes()


def test_its_defaults_are_those_of_the_paper():
    config = LazyAdam().get_config()

    published = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
    assert {key: config[key] for key in published} == pytest.approx(published)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("learning_rate", value) for value in (-0.1, NAN)),
        *((beta, value) for beta in ("beta_1", "beta_2") for value in (-0.1, 1.0, NAN)),
        *(("beta_2", value) for value in ("1/t", "0.9")),
        *(("epsilon", value) for value in (0.0, -1e-8, NAN)),
        *(("bias_correction", value) for value in ("rows", True)),
        *(("l2_gradient", value) for value in (-0.1, NAN)),
        *(("weight_decay", value) for value in (-0.1, NAN)),
        *(("max_norm", value) for value in (0.0, NAN)),
    ],
)
def test_an_argument_out_of_range_is_refused(argument, value):
    with pytest.raises(ValueError, match=f"{argument} .*Received: {value!r}"):
        LazyAdam(**{argument: value})
