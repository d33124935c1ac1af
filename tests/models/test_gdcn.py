"""GDCN multiplies each cross product by a gate, and with all gates open it equals DCN-V2."""

from itertools import combinations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from models import DCNV2, GDCN
from models.gdcn import GatedCross
from tests.models.deep_cross import (
    WIDTH,
    check_gradients,
    check_towers,
    every_structure,
    float64,
    randomize,
    weights_with,
    x0,
)
from tests.reference import gdcn as reference


def built(width=WIDTH, **arguments):
    """Return a built tower."""
    tower = GDCN(**{"hidden": [5, 4], "cross_layers": 2, **arguments})
    tower(tf.constant(x0(width=width)), 0)
    return tower


def weights_of(tower, value=float64):
    """Return the weights in the form that the reference takes; `value` reads a variable."""
    cross = [(value(one.dense.kernel).T, value(one.dense.bias), value(one.gate.kernel).T) for one in tower.cross]
    return weights_with(cross, tower, value)


@every_structure
def test_logits_follow_the_float64_reference(structure):
    tower = built(structure=structure, batch_norm=False, cross_layers=3, dropout=0.5)
    randomize(tower)
    logits = tower(tf.constant(x0()), 0).numpy()
    expected = reference.gdcn(x0().astype(np.float64), structure, weights_of(tower))
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_a_cross_layer_by_hand():
    layer = GatedCross("glorot_uniform", 0, "cross/0")
    layer.build(tf.TensorShape([None, 2]))
    layer(tf.zeros([1, 2]), tf.zeros([1, 2]))
    layer.dense.set_weights(
        [np.array([[1.0, 0.0], [2.0, 1.0]]), np.array([10.0, 20.0])]
    )  # W = [[1, 2], [0, 1]], transposed
    layer.gate.set_weights([np.array([[0.0, 1000.0], [0.0, 0.0]])])  # gates 1/2 and 1
    crossed = layer(tf.constant([[3.0, 4.0]]), tf.constant([[5.0, 6.0]]))
    # W x + b = [27, 26]
    assert crossed.numpy().tolist() == [[3 * 27 / 2 + 5, 4 * 26.0 + 6]]


@pytest.mark.medium
@every_structure
def test_gradients_of_the_input_and_of_every_weight_follow_finite_differences_of_the_reference(structure):
    tower = built(structure=structure, batch_norm=False)
    check_gradients(tower, lambda x, value: reference.gdcn(x, structure, weights_of(tower, value)))


def test_with_gates_of_one_half_it_is_dcn_v2_with_half_the_weights():
    gated, plain = built(structure="cross_only"), DCNV2("cross_only", cross_layers=2)
    plain(tf.constant(x0()), 0)
    randomize(gated)
    for one, other in zip(gated.cross, plain.cross, strict=True):
        one.gate.kernel.assign(tf.zeros([WIDTH, WIDTH]))
        other.set_weights([one.dense.kernel / 2, one.dense.bias / 2])
    plain.head.set_weights(gated.head.get_weights())
    np.testing.assert_allclose(gated(tf.constant(x0()), 0), plain(tf.constant(x0()), 0), rtol=1e-5, atol=1e-5)


@every_structure
def test_towers_are_named_and_hold_each_variable_once(structure):
    check_towers(built(structure=structure), structure)


def test_a_cross_layer_has_two_matrices_and_one_bias():
    shapes = [[v.shape.as_list() for v in layer.trainable_variables] for layer in built().cross]
    assert shapes == [[[WIDTH, WIDTH], [WIDTH], [WIDTH, WIDTH]]] * 2


def kernels(**arguments):
    return [kernel.numpy() for layer in built(**arguments).cross for kernel in (layer.dense.kernel, layer.gate.kernel)]


def test_a_seed_gives_the_same_weights_each_time_and_another_seed_others():
    one, again, other = (kernels(seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert all((left != right).all() for left, right in zip(one, other, strict=True))


@pytest.mark.medium
@pytest.mark.parametrize(
    "arguments", [{"structure": "stacked"}, {"hidden": [9, 9, 9]}, {"cross_layers": 5}, {"dropout": 0.5}], ids=str
)
def test_the_start_of_a_layer_does_not_depend_on_other_parts(arguments):
    np.testing.assert_array_equal(kernels(**arguments)[:4], kernels())


def test_kernels_and_gates_of_all_layers_start_unlike():
    for one, other in combinations(kernels(width=40), 2):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.15


def test_kernels_start_in_the_range_of_the_initializer_and_biases_at_zero():
    [layer] = built(width=60, structure="cross_only", cross_layers=1).cross
    for kernel in (layer.dense.kernel, layer.gate.kernel):
        assert np.abs(kernel).max() == pytest.approx(np.sqrt(6 / 120), rel=0.01)
    assert not layer.dense.bias.numpy().any()


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropout_acts_in_training_only_and_by_the_step(dropout):
    tower = built(dropout=dropout)
    one, again, other = (tower(tf.constant(x0()), step, training=True).numpy() for step in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any() == (dropout > 0)
    np.testing.assert_array_equal(tower(tf.constant(x0()), 0), tower(tf.constant(x0()), 1))


@pytest.mark.medium
def test_mixed_precision_computes_in_bfloat16_close_to_float32(mixed_bfloat16):
    mixed = built(structure="cross_only")
    tf_keras.mixed_precision.set_global_policy("float32")
    full = built(structure="cross_only")
    rough, fine = (tower(tf.constant(x0()), 0) for tower in (mixed, full))
    assert mixed.cross[0](tf.constant(x0()), tf.cast(x0(), tf.bfloat16)).dtype == tf.bfloat16
    assert {one.dtype for one in (rough, *mixed.variables)} == {tf.float32}
    np.testing.assert_allclose(rough, fine, atol=0.03 * np.abs(fine).max())
    assert (rough.numpy() != fine.numpy()).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"structure": "paralel"}, "structure must be .*stacked_parallel.* Received: 'paralel'"),
        ({"cross_layers": 0}, "cross_layers must be at least 1. Received: 0"),
        ({"cross_layers": 10**6}, "cross_layers must be at most 100. Received: 1000000"),
        ({"hidden": [8, 0]}, r"hidden must be .*Received: \[8, 0\]"),
        ({"dropout": 1.0}, "dropout must be .*Received: 1.0"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_refused_are(arguments, message):
    with pytest.raises(ValueError, match=message):
        built(**arguments)
