"""Properties of single tower optimizers beyond the contract of all."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from optimizers import DENSE, RMSPropV2, Router
from optimizers.adafactor import Adafactor
from optimizers.amos import Amos
from optimizers.dense import adagrad_dense, adamw, amsgrad, lion, rmsprop_dense, sgd_dense
from optimizers.dense_momentum import DenseMomentum
from optimizers.ema_momentum import EMAMomentum
from optimizers.lamb import LAMB
from optimizers.lars import LARS
from optimizers.layerwise_normalization import LayerwiseNormalization
from optimizers.lookahead import Lookahead
from optimizers.regularized import Regularized
from optimizers.rmsprop_dense import DenseRMSProp
from tests.optimizers.dense_cases import lookahead, train_in_a_graph, trained

keras = tf_keras.optimizers


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: adamw(0.1, weight_decay=0.5), id="adamw"),
        pytest.param(lambda: lion(0.1, weight_decay=0.5), id="lion"),
        pytest.param(lambda: LAMB(0.1, weight_decay=0.5), id="lamb"),
        pytest.param(lambda: LARS(0.1, weight_decay=0.5), id="lars"),
        pytest.param(lambda: RMSPropV2(0.1, weight_decay=0.5), id="rmsprop_v2"),
        pytest.param(lambda: Lookahead(adamw(0.1, weight_decay=0.5)), id="lookahead of adamw"),
        pytest.param(lambda: Regularized(sgd_dense(0.1), l1_gradient=0.5), id="l1 in the gradient"),
        pytest.param(lambda: Regularized(sgd_dense(0.1), l2_gradient=0.5), id="l2 in the gradient"),
        pytest.param(lambda: keras.deserialize(keras.serialize(adamw(0.1, weight_decay=0.5))), id="adamw restored"),
    ],
)
def test_weight_decay_and_penalties_spare_vectors(make):
    matrix, vector = tf.Variable([[1.0, -2.0]]), tf.Variable([1.0, -2.0])

    make().apply_gradients([(tf.zeros([1, 2]), matrix), (tf.zeros([2]), vector)])

    assert (np.abs(matrix.numpy()) < [[1.0, 2.0]]).all()
    np.testing.assert_array_equal(vector.numpy(), [1.0, -2.0])


@pytest.mark.parametrize("optimizer", [LAMB(), LARS(), EMAMomentum(), Adafactor(), Amos(), lookahead()])
def test_a_table_is_refused(optimizer):
    table = tf.Variable(tf.ones([5, 2]), name="table")

    with pytest.raises(ValueError, match=r"RMSPropV2.*Received: a sparse gradient of table"):
        optimizer.apply_gradients([(tf.IndexedSlices(tf.ones([1, 2]), [3], [5, 2]), table)])


@pytest.mark.parametrize(
    ("make", "argument", "value"),
    [
        *((make, "learning_rate", value) for make in (adamw, adagrad_dense, Amos, LAMB) for value in (-0.1, np.inf)),
        *((make, "weight_decay", value) for make in (adamw, lion, LAMB, LARS) for value in (-0.1, np.nan)),
        *((make, "beta_1", 1.0) for make in (adamw, amsgrad, lion, LAMB)),
        *(
            (make, "momentum", value)
            for make in (sgd_dense, rmsprop_dense, DenseMomentum, LARS)
            for value in (1.0, -0.1)
        ),
        *((make, "epsilon", 0.0) for make in (adamw, adagrad_dense, rmsprop_dense, LAMB)),
        *((make, "beta", 1.0) for make in (EMAMomentum, Amos)),
        (adagrad_dense, "initial_accumulator", -0.1),
        *((adagrad_dense, "max_accumulator", value) for value in (0.05, np.nan)),
        (rmsprop_dense, "rho", 1.0),
        (lion, "beta_1", 0.0),
        (lion, "beta_2", 1.0),
        (LARS, "trust", 0.0),
        (Amos, "scale", 0.0),
        *((Adafactor, key, 0.0) for key in ("decay", "epsilon_1", "epsilon_2", "clip_threshold")),
        *((lookahead, "every", value) for value in (0, 2.5)),
        *((lookahead, "alpha", value) for value in (0.0, 1.1)),
    ],
)
def test_an_argument_out_of_range_is_refused(make, argument, value):
    with pytest.raises(ValueError, match=f"{argument} .*Received: .*{value}"):
        make(**{argument: value})


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(ValueError, match=r"nesterov needs a momentum above 0\. Set momentum\. Received: 0\.0"):
        sgd_dense(nesterov=True)


def test_lookahead_refuses_a_base_whose_clipping_it_would_drop():
    with pytest.raises(ValueError, match=r"`clipnorm` of SGD has no effect in lookahead\. Remove it\. Received: 1\.0"):
        Lookahead(keras.SGD(clipnorm=1.0))


def test_lookahead_starts_from_the_weights_of_the_first_step_not_those_of_build():
    weight, optimizer = tf.Variable([0.0]), Lookahead(sgd_dense(1.0), every=1, alpha=0.5)
    optimizer.build([weight])
    weight.assign([10.0])

    optimizer.apply_gradients([(tf.constant([2.0]), weight)])

    np.testing.assert_array_equal(weight.numpy(), [9.0])


def test_adafactor_survives_a_dead_unit_and_a_missing_input():
    gradient = np.full([4, 3], 0.1, np.float32)
    gradient[1], gradient[:, 2] = 0, 0  # tf_keras's optimizer gives NaN here
    weight = tf.Variable(tf.ones([4, 3]))

    Adafactor(0.1).apply_gradients([(tf.constant(gradient), weight)])

    np.testing.assert_array_equal(weight.numpy() < 1, gradient > 0)


@pytest.mark.parametrize(
    ("optimizer", "numbers"),
    [
        pytest.param(Adafactor(), 40 + 30, id="adafactor"),
        pytest.param(Amos(), 2 * 30, id="amos"),
        pytest.param(DenseRMSProp(), 2 * 40 * 30, id="rmsprop"),
        pytest.param(DenseRMSProp(bias_correction=True), 2 * 40 * 30, id="rmsprop, corrected"),
        pytest.param(DenseRMSProp(centered=True), 3 * 40 * 30, id="rmsprop, centered"),
    ],
)
def test_its_state_is_no_larger_than_it_needs(optimizer, numbers):
    kernel = tf.Variable(tf.ones([40, 30]), name="kernel")
    router = Router({}, {"*": optimizer}, [("tower", ["deep"])])
    router.build([kernel])

    assert [owned.state_bytes for owned in router.owned([kernel])] == [4 * numbers]


@pytest.mark.parametrize("bias_correction", [False, True])
@pytest.mark.parametrize("gradient", [0.01, 0.7, 3.0, 100.0, 12345.678])
def test_a_gradient_without_variance_leaves_centered_rmsprop_finite(gradient, bias_correction):
    weight, optimizer = tf.Variable(tf.ones([4])), rmsprop_dense(centered=True, bias_correction=bias_correction)
    train_in_a_graph(optimizer, [weight], [[np.full([4], gradient, np.float32)]] * 300)

    assert np.isfinite(weight.numpy()).all()


@pytest.mark.parametrize("make", [LAMB, LARS])
def test_a_matrix_of_zeros_leaves_zero(make):
    weight = tf.Variable(tf.zeros([2, 2]))

    make(learning_rate=0.1).apply_gradients([(tf.ones([2, 2]), weight)])

    np.testing.assert_allclose(weight.numpy(), np.full([2, 2], -0.1), rtol=1e-5)


def test_a_step_of_lamb_is_the_rate_times_the_weights_norm_whatever_the_gradient():
    for scale in (1e-3, 1.0, 1e3):
        weight = tf.Variable([[3.0, 4.0]])
        LAMB(learning_rate=0.1).apply_gradients([(tf.constant([[2.0, -1.0]]) * scale, weight)])
        assert np.linalg.norm(weight.numpy() - [[3.0, 4.0]]) == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize(("make", "moved"), [(sgd_dense, -0.9), (DenseMomentum, 0.0)], ids=["inside", "outside"])
def test_a_new_rate_reaches_old_gradients_only_where_it_stands_outside_the_velocity(make, moved):
    weight, optimizer = tf.Variable([0.0]), make(learning_rate=1.0, momentum=0.9)
    optimizer.apply_gradients([(tf.constant([1.0]), weight)])
    optimizer.learning_rate = 0.0

    optimizer.apply_gradients([(tf.constant([1.0]), weight)])

    np.testing.assert_allclose(weight.numpy(), [-1.0 + moved], rtol=1e-6)


def first_step(optimizer, gradient):
    weight = tf.Variable(tf.zeros_like(gradient))
    optimizer.apply_gradients([(tf.constant(gradient), weight)])
    return weight.numpy()


@pytest.mark.parametrize("rho", [0.0, 0.9, 0.999])
def test_the_first_step_of_rmsprop_is_the_rate_only_if_it_is_corrected(rho):
    gradient = np.float32([0.1, -1.0, 1e6])

    corrected = first_step(rmsprop_dense(0.25, rho, bias_correction=True), gradient)
    uncorrected = first_step(rmsprop_dense(0.25, rho), gradient)

    np.testing.assert_allclose(corrected, -0.25 * np.sign(gradient), rtol=1e-4)
    np.testing.assert_allclose(uncorrected, -0.25 / np.sqrt(1 - rho) * np.sign(gradient), rtol=1e-2)


def test_the_first_step_of_centered_and_corrected_rmsprop_has_no_variance_to_divide_by():
    optimizer = rmsprop_dense(0.25, epsilon=0.01, centered=True, bias_correction=True)

    np.testing.assert_allclose(first_step(optimizer, np.float32([0.1, -1.0])), [-0.25, 2.5], rtol=1e-4)


def test_dense_rmsprop_without_its_switches_is_that_of_tf_keras():
    config = {"learning_rate": 0.01, "rho": 0.9, "momentum": 0.5, "epsilon": 1e-5}

    for ours, theirs in zip(trained(DenseRMSProp(**config)), trained(keras.RMSprop(**config)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def test_a_bound_of_adagrad_that_is_never_reached_changes_nothing():
    bounded, unbounded = trained(adagrad_dense(0.1, max_accumulator=1e6)), trained(adagrad_dense(0.1))

    for ours, theirs in zip(bounded, unbounded, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def test_adagrad_at_its_bound_is_gradient_descent():
    bounded = adagrad_dense(0.1, initial_accumulator=0.25, max_accumulator=0.25, epsilon=1e-7)

    for ours, theirs in zip(trained(bounded), trained(sgd_dense(0.2)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("key", ["l1_gradient", "l2_gradient"])
def test_a_penalty_below_zero_is_refused(key):
    with pytest.raises(ValueError, match=f"{key} must be .*Received: -1"):
        Regularized(sgd_dense(), **{key: -1})


@pytest.mark.parametrize("wrapper", [Lookahead, LayerwiseNormalization])
@pytest.mark.parametrize("name", ["ftrl", "group_lasso_adagrad", "group_adam"])
def test_what_moves_weights_is_refused_around_optimizers_that_make_them_from_their_state(wrapper, name):
    for base in (DENSE[name](), Regularized(DENSE[name](), l2_gradient=0.1)):
        with pytest.raises(
            ValueError, match=f"{name} computes weights from its state, which would undo {wrapper.label}"
        ):
            wrapper(base)


# the velocity of LARS includes the learning rate of its gradients, so it keeps moving at a rate of 0
@pytest.mark.parametrize("name", sorted(DENSE.keys() - {"ftrl", "group_lasso_adagrad", "group_adam", "lars"}))
def test_around_any_other_a_step_without_a_gradient_undoes_nothing(name):
    weight, still = tf.Variable([[3.0, -2.0], [1.0, 4.0]]), tf.zeros([2, 2])
    optimizer = Lookahead(DENSE[name](), every=1, alpha=0.5)
    optimizer.apply_gradients([(tf.constant([[1.0, 2.0], [-1.0, 0.5]]), weight)])
    after = weight.numpy()
    optimizer.learning_rate = 0.0

    optimizer.apply_gradients([(still, weight)])

    np.testing.assert_allclose(weight.numpy(), after, rtol=1e-6)


def test_at_a_rate_of_0_layer_wise_normalization_stands_still_whatever_the_velocity():
    weight, optimizer = tf.Variable([[3.0, 4.0]]), LayerwiseNormalization(sgd_dense(0.1, momentum=0.9))
    optimizer.apply_gradients([(tf.constant([[1.0, -1.0]]), weight)])
    before = weight.numpy()
    optimizer.learning_rate = 0.0

    optimizer.apply_gradients([(tf.constant([[1.0, -1.0]]), weight)])

    np.testing.assert_array_equal(weight.numpy(), before)
