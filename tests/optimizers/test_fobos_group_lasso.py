"""FOBOS with a group lasso: the proximal operator of the rows' norms, rows that return, and missed steps caught up."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize

from optimizers.fobos_group_lasso import FobosGroupLasso
from tests.optimizers.streams import DIM, ROWS, apply, start, stream, trained
from tests.reference.fobos_group_lasso import fobos_group_lasso

NAN = float("nan")


def one_step(weight, gradient, **arguments):
    table = tf.Variable(np.asarray([weight], np.float32))
    optimizer = FobosGroupLasso(beta=0.0, scale_sqrt_dim=False, **arguments)
    optimizer.apply_gradients([(tf.IndexedSlices(np.asarray([gradient], np.float32), [0], [1, len(weight)]), table)])
    return table.numpy()[0].astype(np.float64)


@pytest.mark.parametrize("l21", [0.0, 0.3, 1.0, 3.0, 100.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_step_minimizes_distance_and_norm_together(l21, seed):
    weight, gradient = np.random.default_rng(seed).normal(size=[2, 3])
    eta = 0.5 / np.sqrt(0.1 + (gradient**2).max())
    aim = weight - eta * gradient

    def objective(x):
        return ((x - aim) ** 2).sum() / (2 * eta) + l21 * np.linalg.norm(x)

    found = minimize(objective, aim, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 5000}).x

    stepped = one_step(weight, gradient, learning_rate=0.5, l21=l21)

    assert objective(stepped) <= objective(found) + 1e-6
    np.testing.assert_allclose(stepped, found, atol=1e-3)


def test_monoliths_form_of_the_step_is_the_same():
    weight, gradient = np.random.default_rng(5).normal(size=[2, DIM])
    eta = 0.1 / np.sqrt(0.1 + (gradient**2).max())
    u = gradient - weight / eta
    expected = -eta * (np.linalg.norm(u) - 2.0) / np.linalg.norm(u) * u

    np.testing.assert_allclose(one_step(weight, gradient, learning_rate=0.1, l21=2.0), expected, rtol=1e-5)


def test_a_row_at_zero_returns_with_one_batch_whose_gradient_is_longer_than_l21_and_never_before():
    table, optimizer = tf.Variable(np.zeros([ROWS, DIM], np.float32)), FobosGroupLasso(l21=0.5, scale_sqrt_dim=False)
    row = np.array([5], np.int32)

    apply(optimizer, table, [(row, np.full([1, DIM], 0.2499, np.float32))] * 500)  # of norm 0.4998
    assert (table.numpy() == 0).all()

    apply(optimizer, table, [(row, np.full([1, DIM], 0.2501, np.float32))])
    assert (table.numpy()[5] < 0).all()


def test_scaled_by_the_root_of_the_width_equal_coordinates_share_one_threshold():
    for width in (1, 4, 64):
        for gradient, returns in [(0.49, False), (0.51, True)]:
            table = tf.Variable(np.zeros([1, width], np.float32))
            slices = tf.IndexedSlices(np.full([1, width], gradient, np.float32), [0], [1, width])
            FobosGroupLasso(l21=0.5).apply_gradients([(slices, table)])
            assert (table.numpy() != 0).all() == returns


@pytest.mark.parametrize("catch_up", [False, True])
def test_rows_are_zero_as_a_whole_or_not_at_all_and_are_the_references(catch_up):
    config = {"learning_rate": 0.05, "beta": 0.5, "initial_accumulator": 0.1, "l21": 0.15, "scale_sqrt_dim": True}
    expected, state = start(), {}
    for rows, gradients in stream(200):
        expected, state = fobos_group_lasso(expected, state, rows, gradients, **config, catch_up=catch_up)

    weight = trained(FobosGroupLasso(**config, catch_up=catch_up), stream(200))

    assert set((weight == 0).sum(axis=1).tolist()) == {0, DIM}
    np.testing.assert_array_equal(weight == 0, expected == 0)
    assert np.abs(weight - expected).max() <= 1e-5 * np.abs(expected).max()


def test_without_penalty_a_tiny_row_whose_norm_underflows_stays():
    stepped = one_step([1e-30, 2e-30], [0.0, 0.0], learning_rate=0.1)
    np.testing.assert_allclose(stepped, [1e-30, 2e-30], rtol=1e-6)


@pytest.mark.parametrize("l21", [0.0002, 0.001, 0.1])
def test_to_catch_up_is_to_touch_every_row_at_every_step(l21):
    every_row = np.arange(ROWS, dtype=np.int32)
    nothing = every_row, np.zeros([ROWS, DIM], np.float32)
    batches = list(stream(150))
    with_every_row = [
        (np.concatenate([rows, every_row]), np.concatenate([gradients, nothing[1]])) for rows, gradients in batches
    ]
    expected = trained(FobosGroupLasso(0.05, l21=l21), [*with_every_row, nothing])

    lazy, optimizer = tf.Variable(start()), FobosGroupLasso(0.05, l21=l21, catch_up=True)
    apply(optimizer, lazy, batches)
    before = lazy.numpy()
    apply(optimizer, lazy, [nothing])

    np.testing.assert_array_equal((lazy.numpy() == 0).all(axis=1), (expected == 0).all(axis=1))
    np.testing.assert_allclose(lazy.numpy(), expected, rtol=0, atol=2e-6)
    assert np.abs(before - expected).max() > 1e-4  # there were missed steps to apply


def test_to_catch_up_comes_before_decay_and_the_l2_term():
    table = tf.Variable(np.full([2, 1], 1.0, np.float32))
    optimizer = FobosGroupLasso(
        1.0, initial_accumulator=1.0, l21=0.25, catch_up=True, l2_gradient=0.5, weight_decay=0.1
    )
    for row in (0, 0, 1):
        optimizer.apply_gradients([(tf.IndexedSlices([[0.0]], [row], [2, 1]), table)])

    caught_up = 1 - 2 * 0.25
    eta = 1 / np.sqrt(1 + (0.5 * caught_up) ** 2)
    expected = 0.9 * caught_up - eta * 0.5 * caught_up
    np.testing.assert_allclose(table.numpy()[1, 0], max(expected - eta * 0.25, 0), rtol=1e-6)


def test_a_dense_gradient_leaves_nothing_to_catch_up():
    gradients = np.random.default_rng(2).normal(0, 0.1, [30, ROWS, DIM]).astype(np.float32)
    kernels = []
    for catch_up in (False, True):
        kernels.append(tf.Variable(start()))
        optimizer = FobosGroupLasso(0.05, l21=0.01, catch_up=catch_up)
        for gradient in gradients:
            optimizer.apply_gradients([(tf.constant(gradient), kernels[-1])])
    assert kernels[0].numpy().tobytes() == kernels[1].numpy().tobytes()


@pytest.mark.parametrize("catch_up", [False, True])
def test_at_rate_0_nothing_moves(catch_up):
    table, optimizer = tf.Variable(start()), FobosGroupLasso(0.05, l21=0.001, catch_up=catch_up)
    apply(optimizer, table, stream(20))
    before = table.numpy()

    optimizer.learning_rate = 0.0
    apply(optimizer, table, stream(20, seed=7))

    np.testing.assert_array_equal(table.numpy(), before)


def test_without_an_accumulator_a_touch_without_a_gradient_moves_nothing():
    for catch_up in (False, True):
        optimizer = FobosGroupLasso(initial_accumulator=0.0, l21=0.5, catch_up=catch_up)
        nothing = np.arange(ROWS, dtype=np.int32), np.zeros([ROWS, DIM], np.float32)
        np.testing.assert_array_equal(trained(optimizer, [nothing] * 3), start())


@pytest.mark.parametrize(("catch_up", "floats"), [(False, 1), (True, 2)])
def test_its_state_is_what_it_says(catch_up, floats):
    table, optimizer = tf.Variable(start()), FobosGroupLasso(catch_up=catch_up)
    optimizer.build([table])
    made = sum(v.shape.num_elements() for v in optimizer.variables if v.shape.rank)
    assert made == ROWS * floats == ROWS * FobosGroupLasso.state_floats(DIM, catch_up=catch_up, learning_rate=0.1)


@pytest.mark.parametrize("argument", ["learning_rate", "beta", "initial_accumulator", "l21", "l2_gradient"])
@pytest.mark.parametrize("value", [-0.1, NAN, float("inf")])
def test_an_argument_out_of_range_is_refused(argument, value):
    with pytest.raises(ValueError, match=f"{argument} .*Received: {value}|must be .*Received: {value}"):
        FobosGroupLasso(**{argument: value})
