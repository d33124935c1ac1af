"""DCN computes its equation in four structures, and equals DCN-V2 with one vector for each row of the matrix."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from models.dcn import DCN, VectorCross
from models.dcn_v2 import Cross
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
from tests.reference import dcn as reference


def built(width=WIDTH, **arguments):
    """Return a built tower."""
    tower = DCN(**{"hidden": [5, 4], "cross_layers": 2, **arguments})
    tower(tf.constant(x0(width=width)), 0)
    return tower


def weights_of(tower, value=float64):
    """Return the weights in the form that the reference takes; `value` reads a variable."""
    cross = [(value(layer.kernel)[:, 0], value(layer.bias)) for layer in tower.cross]
    return weights_with(cross, tower, value)


def vector_cross(w, b):
    """Return a cross layer with these weights."""
    layer = VectorCross("glorot_uniform", seed=0, path="cross/0")
    layer.build(tf.TensorShape([None, len(b)]))
    layer.set_weights([np.reshape(w, [-1, 1]), np.array(b)])
    return layer


@every_structure
def test_logits_follow_the_float64_reference(structure):
    tower = built(structure=structure, batch_norm=False, cross_layers=3, dropout=0.5)
    randomize(tower)

    logits = tower(tf.constant(x0()), 0).numpy()

    expected = reference.dcn(x0().astype(np.float64), structure, weights_of(tower))
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_a_cross_layer_by_hand():
    layer = vector_cross(w=[1.0, 2.0], b=[10.0, 20.0])

    crossed = layer(tf.constant([[3.0, 4.0]]), tf.constant([[5.0, 6.0]]))

    # w^T x = 17; x_0 * 17 + b + x
    assert crossed.numpy().tolist() == [[3 * 17.0 + 10 + 5, 4 * 17.0 + 20 + 6]]


@every_structure
def test_gradients_of_the_input_and_of_every_weight_follow_finite_differences_of_the_reference(structure):
    tower = built(structure=structure, batch_norm=False)

    check_gradients(tower, lambda x, value: reference.dcn(x, structure, weights_of(tower, value)))


def test_without_bias_it_is_dcn_v2_with_each_row_of_the_matrix_equal_to_the_vector():
    w, matrix = np.linspace(-1, 2, WIDTH), Cross()
    first, x = tf.constant(x0(seed=1)), tf.constant(x0(seed=2))
    matrix(first, x)
    matrix.set_weights([np.outer(w, np.ones(WIDTH)), np.zeros(WIDTH)])  # a Dense holds W^T, and W = 1 w^T

    np.testing.assert_allclose(vector_cross(w, np.zeros(WIDTH))(first, x), matrix(first, x), rtol=1e-5, atol=1e-5)


def test_the_bias_is_added_and_not_multiplied_by_the_input():
    w, b = np.linspace(-1, 2, WIDTH), np.arange(WIDTH) + 1.0
    first, x = tf.constant(x0(seed=1)), tf.constant(x0(seed=2))

    difference = vector_cross(w, b)(first, x) - vector_cross(w, np.zeros(WIDTH))(first, x)

    np.testing.assert_allclose(difference, np.tile(b, [5, 1]), rtol=1e-5)


@every_structure
def test_towers_are_named_and_hold_each_variable_once(structure):
    check_towers(built(structure=structure), structure)


def test_a_cross_layer_has_twice_as_many_weights_as_columns():
    shapes = [[v.shape.as_list() for v in layer.trainable_variables] for layer in built().cross]

    assert shapes == [[[WIDTH, 1], [WIDTH]]] * 2


def kernels(**arguments):
    return [layer.kernel.numpy() for layer in built(**arguments).cross]


def test_a_seed_gives_the_same_weights_each_time_and_another_seed_others():
    one, again, other = (kernels(seed=seed) for seed in (1, 1, 2))

    np.testing.assert_array_equal(one, again)
    assert all((left != right).all() for left, right in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "arguments", [{"structure": "stacked"}, {"hidden": [9, 9, 9]}, {"cross_layers": 5}, {"dropout": 0.5}], ids=str
)
def test_the_start_of_a_layer_does_not_depend_on_other_parts(arguments):
    np.testing.assert_array_equal(kernels(**arguments)[:2], kernels())


def test_layers_start_unlike():
    one, other = kernels(width=400)

    assert abs(np.corrcoef(one[:, 0], other[:, 0])[0, 1]) < 0.15


def test_kernels_start_in_the_range_of_the_initializer_and_biases_at_zero():
    [layer] = built(width=400, structure="cross_only", cross_layers=1).cross

    assert np.abs(layer.kernel).max() == pytest.approx(np.sqrt(6 / 401), rel=0.02)
    assert not layer.bias.numpy().any()


def test_a_row_has_the_same_logit_alone_as_in_a_batch():
    tower = built(batch_norm=False)
    randomize(tower)

    alone, together = (tower(tf.constant(rows), 0) for rows in (x0()[:1], x0()))

    np.testing.assert_allclose(alone, together[:1], rtol=1e-5)


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
        ({"cross_layers": 0}, "cross_layers must be at least 1"),
        ({"hidden": [8, 0]}, r"hidden must be .*Received: \[8, 0\]"),
        ({"dropout": 1.0}, "dropout must be .*Received: 1.0"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_refused_are(arguments, message):
    with pytest.raises(ValueError, match=message):
        built(**arguments)
