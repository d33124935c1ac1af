"""DLRM multiplies all pairs of fields, with the plain numbers as a field, and its start depends on (seed, path)."""

from itertools import chain

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from models import DLRM, DNN, BatchNorm, CTRModel
from models.dlrm import PairDots
from tests.models.deep_cross import check_gradients, float64, x0
from tests.models.fields import (
    DIM,
    FIELDS,
    FIELDS_ONLY,
    INPUTS,
    NO_FIELDS,
    NO_NUMBERS,
    TWO_WIDTHS,
    mlp_weights,
    randomize,
)
from tests.reference import dlrm as reference

WIDTH = FIELDS * DIM + 2
KINDS = {
    "dot": {},
    "dot, no numbers": {"inputs": NO_NUMBERS},
    "dot, no batch norm": {"batch_norm": False},
    "dot, numbers without a hidden layer": {"bottom_hidden": ()},
    "dot, no MLP": {"hidden": ()},
    "cat": {"interaction": "cat"},
    "cat, no numbers": {"interaction": "cat", "inputs": NO_NUMBERS},
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def width_of(inputs):
    return FIELDS * DIM + len(inputs.plain)


def built(inputs=INPUTS, width=None, **arguments):
    """Return a built tower."""
    tower = DLRM(**{"hidden": (5, 4), "bottom_hidden": (3,), **arguments})
    tower.connect(inputs)
    tower(tf.constant(x0(width=width or width_of(inputs))), 0)
    return tower


def expected_logits(tower, x, kind, value=float64):
    """Return the logits of the reference with the tower's weights, read by `value`."""
    has_numbers = x.shape[1] > FIELDS * DIM
    weights = {
        "dim": DIM,
        "bottom": mlp_weights(tower.bottom, value) if has_numbers else [],
        "bottom_output": [value(v) for v in tower.bottom_output.variables],
        "deep": mlp_weights(tower.deep, value),
        "head": [value(tower.head.kernel), value(tower.head.bias)],
    }
    return reference.dlrm(x, FIELDS, kind.get("interaction", "dot"), weights)


@every_kind
def test_logits_follow_the_float64_reference(kind):
    tower = built(dropout=0.5, **kind)
    randomize(tower)
    x = x0(width=width_of(kind.get("inputs", INPUTS)))
    expected = expected_logits(tower, x.astype(np.float64), kind)
    np.testing.assert_allclose(tower(tf.constant(x), 0), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.medium
@every_kind
def test_gradients_follow_finite_differences_of_the_reference(kind):
    kind = {**kind, "batch_norm": False}
    tower = built(**kind)
    check_gradients(
        tower, lambda x, value: expected_logits(tower, x, kind, value), width_of(kind.get("inputs", INPUTS))
    )


def test_pairs_by_hand():
    v = tf.constant([[[1.0, 2.0], [3.0, 4.0], [-5.0, 0.5], [0.0, 1.0]]])
    # <1, 2>, <1, 3>, <1, 4>, <2, 3>, <2, 4>, <3, 4>
    assert PairDots()(v).numpy().tolist() == [[11.0, -4.0, 2.0, -13.0, 4.0, 0.5]]


def test_a_logit_by_hand():
    tower = built(hidden=(), bottom_hidden=())
    tower.bottom_output.kernel.assign([[1.0, 0.0, 0.0, -1.0], [0.0, 2.0, 0.0, 0.0]])
    tower.bottom_output.bias.assign([0.0, 0.0, 5.0, 0.0])
    tower.head.kernel.assign(np.array([[1, 1, 1, 1, 10, 100, 1000, 0, 0, 0]]).T.astype(float))
    user, item, seller = [1.0, 0, 0, 0], [2.0, 1, 0, 0], [0, 0, 1.0, 0]
    # b = [3, 8, 5, 0]; <user, item> = 2, <user, seller> = 0, <user, b> = 3
    logit = tower(tf.constant([[*user, *item, *seller, 3.0, 4.0]]), 0)
    assert logit.numpy().tolist() == [3 + 8 + 5 + 10 * 2 + 0 + 1000 * 3.0]


def test_cat_without_numbers_is_the_dnn():
    tower, plain = built(NO_NUMBERS, interaction="cat"), DNN(hidden=(5, 4))
    x = tf.constant(x0(width=FIELDS * DIM))
    np.testing.assert_array_equal(tower(x, 0), plain(x, 0))


@every_kind
def test_blocks_are_named_and_hold_each_variable_once(kind):
    tower = built(**kind)
    named = {name: [id(v) for layer in layers for v in layer.variables] for name, layers in tower.blocks.items()}
    pairs = [] if kind.get("interaction") == "cat" else ["pairs"]
    assert list(named) == ["bottom", *pairs, "deep", "head"]
    assert sorted(chain(*named.values())) == sorted(id(v) for v in tower.variables)
    assert bool(named["bottom"]) == (kind.get("inputs") is not NO_NUMBERS)


def kernels(tower):
    mlps = [dense.kernel for mlp in (tower.bottom, tower.deep) for dense, *_ in mlp.blocks]
    return [kernel.numpy() for kernel in (*mlps, tower.bottom_output.kernel)]


def test_a_seed_gives_the_same_weights_each_time_and_another_seed_others():
    one, again, other = (kernels(built(seed=seed)) for seed in (1, 1, 2))
    for left, right, changed in zip(one, again, other, strict=True):
        np.testing.assert_array_equal(left, right)
        assert (left != changed).all()


def test_layers_of_one_shape_start_unlike():
    tower = built(bottom_hidden=(40, 40), hidden=(40, 40))
    one, other = tower.bottom.blocks[1][0].kernel, tower.deep.blocks[1][0].kernel
    assert abs(np.corrcoef(np.ravel(one), np.ravel(other))[0, 1]) < 0.15


def test_each_batch_norm_has_the_numbers_of_the_setting():
    tower = built(batch_norm=BatchNorm(epsilon=1e-5, momentum=0.5))
    norms = [norm for mlp in (tower.bottom, tower.deep) for _, norm, *_ in mlp.blocks]
    assert [(norm.epsilon, norm.momentum) for norm in norms] == [(1e-5, 0.5)] * 3


def test_only_the_top_drops_out_in_training_and_by_the_step():
    tower = built(dropout=0.5, batch_norm=False, hidden=(40,))
    numbers, x = tf.constant(x0(width=2)), tf.constant(x0(width=WIDTH))
    np.testing.assert_array_equal(tower.bottom(numbers, 0), tower.bottom(numbers, 0, training=True))
    one, again, other = (tower(x, step, training=True).numpy() for step in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).all()
    np.testing.assert_array_equal(tower(x, 0), tower(x, 1))


@pytest.mark.medium
def test_in_a_model_an_untrained_tower_predicts_the_base_rate_where_x0_is_zero():
    model = CTRModel(FIELDS_ONLY, DLRM(hidden=(4,)), stddev=0.0, base_logit=-2.5)
    batch = {"ids": tf.constant([[3, 4, 5], [6, 7, 8]]), "numerics": tf.zeros([2, 2])}
    np.testing.assert_allclose(model(batch), [-2.5, -2.5], rtol=1e-6)


def test_more_columns_of_x0_belong_to_the_numbers():
    tower = built(width=WIDTH + 3)
    assert tower.bottom.blocks[0][0].kernel.shape == [5, 3]


@pytest.mark.medium
def test_mixed_precision_computes_in_bfloat16_close_to_float32(mixed_bfloat16):
    mixed = built()
    tf_keras.mixed_precision.set_global_policy("float32")
    full = built()
    rough, fine = (tower(tf.constant(x0(width=WIDTH)), 0) for tower in (mixed, full))
    assert {v.dtype for v in (rough, *mixed.variables)} == {tf.float32}
    np.testing.assert_allclose(rough, fine, atol=0.05 * np.abs(fine).max())
    assert (rough.numpy() != fine.numpy()).any()


@pytest.mark.parametrize("interaction", ["dot", "cat"])
def test_one_graph_serves_batches_of_every_size(interaction):
    tower = built(interaction=interaction)
    graph = tf.function(lambda x: tower(x, 0), input_signature=[tf.TensorSpec([None, WIDTH])], autograph=False)
    for size in (0, 1, 7):
        x = x0(size, WIDTH)
        np.testing.assert_allclose(graph(x), tower(tf.constant(x), 0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"interaction": "dots"}, "interaction must be one of dot, cat. Received: 'dots'"),
        ({"bottom_hidden": (3, 0)}, r"^bottom_hidden must be .* Received: \[3, 0\]"),
        ({"hidden": (8, 0)}, r"^hidden must be .* Received: \[8, 0\]"),
        ({"dropout": 1.0}, "dropout must be .* Received: 1.0"),
        (
            {"inputs": TWO_WIDTHS},
            "dlrm needs at least two embeddings, all of one width. Set their `dim`. Received: user 4, item 2, seller 4",
        ),
        ({"inputs": NO_FIELDS}, "dlrm needs at least two embeddings.* Received: none"),
    ],
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else "",
)
def test_refused_are(arguments, message):
    with pytest.raises(ValueError, match=message):
        built(**arguments)
