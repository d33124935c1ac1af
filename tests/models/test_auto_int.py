"""AutoInt lets each field read all fields in heads, and its start depends on (seed, path)."""

from itertools import chain, combinations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from models import DNN, AutoInt, BatchNorm, CTRModel
from models.auto_int import FieldAttention
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
from tests.reference import auto_int as reference

WIDTH = FIELDS * DIM + 2
KINDS = {
    "two heads": {},
    "one head": {"heads": 1},
    "as many heads as the width": {"heads": 6},
    "width of the embeddings": {"attention_width": DIM},
    "no scale": {"scale": False},
    "no residual": {"residual": False},
    "no layer norm": {"layer_norm": False},
    "no batch norm": {"batch_norm": False},
    "one layer": {"attention_layers": 1},
    "no MLP": {"hidden": (), "inputs": NO_NUMBERS},
    "plain": {"scale": False, "residual": False, "layer_norm": False, "batch_norm": False, "heads": 1},
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def width_of(kind):
    return FIELDS * DIM + len(kind.get("inputs", INPUTS).plain)


def built(inputs=INPUTS, width=None, **arguments):
    """Return a built tower."""
    tower = AutoInt(**{"attention_layers": 2, "attention_width": 6, "heads": 2, "hidden": (5, 4), **arguments})
    tower.connect(inputs)
    tower(tf.constant(x0(width=width or FIELDS * DIM + len(inputs.plain))), 0)
    return tower


def expected_logits(tower, x, value=float64):
    """Return the logits of the reference with the tower's weights, read by `value`."""

    def weights_of(layer):
        projection = layer.projection and value(layer.projection.kernel)
        return {
            **{name: value(getattr(layer, name).kernel) for name in ("query", "key", "value")},
            "projection": projection if layer.residual else "none",
            "norm": layer.norm and [value(layer.norm.gamma), value(layer.norm.beta)],
        }

    first = tower.attention[0]
    weights = {
        "attention": [weights_of(layer) for layer in tower.attention],
        "deep": tower.deep and mlp_weights(tower.deep, value),
        "heads": [value(head.kernel) for head in tower.heads],
        "bias": value(tower.heads[-1].bias),
    }
    return reference.auto_int(x, FIELDS, DIM, first.heads, first.scale != 1, weights)


@every_kind
def test_logits_follow_the_float64_reference(kind):
    tower = built(dropout=0.5, **kind)
    randomize(tower)
    x = x0(width=width_of(kind))
    expected = expected_logits(tower, x.astype(np.float64))
    np.testing.assert_allclose(tower(tf.constant(x), 0), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.medium
@every_kind
def test_gradients_follow_finite_differences_of_the_reference(kind):
    tower = built(**{**kind, "batch_norm": False})
    check_gradients(tower, lambda x, value: expected_logits(tower, x, value), width_of(kind))


def attention(**arguments):
    plain = {"width": 2, "heads": 1, "scale": False, "residual": False, "layer_norm": False, "dropout": 0.0}
    layer = FieldAttention(**{**plain, "initializer": "glorot_uniform", "seed": 0, "path": "attention/0", **arguments})
    layer(tf.zeros([1, 2, 2]), 0)
    return layer


def test_an_attention_layer_by_hand():
    layer = attention()
    layer.query.kernel.assign(np.eye(2) * np.log(3.0))
    layer.key.kernel.assign([[1.0, 0.0], [0.0, 0.0]])
    layer.value.kernel.assign([[8.0, 0.0], [0.0, -4.0]])
    x = tf.constant([[[1.0, 0.0], [0.0, 1.0]]])
    # field 1 reads itself with a score of ln 3 and the other with 0, so 3/4 and 1/4; field 2 reads half of each
    np.testing.assert_allclose(layer.attention(x)[0, 0], [[0.75, 0.25], [0.5, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(layer(x, 0)[0], [[6.0, 0.0], [4.0, 0.0]], rtol=1e-6)


def test_a_scale_divides_by_the_root_of_the_width_of_a_head():
    x = tf.constant(x0(4, 12).reshape(4, 3, 4))
    plain, scaled = attention(width=8, heads=2), attention(width=8, heads=2, scale=True)
    for layer, factor in ((plain, 1.0), (scaled, 2.0)):
        layer.build(x.shape)
        layer.query.build(x.shape)
        layer.key.build(x.shape)
        layer.query.kernel.assign(np.ones([4, 8]) * factor)
        layer.key.kernel.assign(np.eye(4, 8))
    np.testing.assert_allclose(plain.attention(x), scaled.attention(x), rtol=1e-5)


def test_attention_of_a_field_sums_to_1():
    weights = built(inputs=NO_NUMBERS).attention[0].attention(tf.constant(x0(5, FIELDS * DIM).reshape(5, FIELDS, DIM)))
    assert weights.shape == [5, 2, FIELDS, FIELDS]
    np.testing.assert_allclose(tf.reduce_sum(weights, axis=-1), np.ones([5, 2, FIELDS]), rtol=1e-5)


def test_a_projection_of_the_residual_exists_only_where_widths_differ():
    assert [one.projection is None for one in built(attention_width=6).attention] == [False, True]
    assert [one.projection is None for one in built(attention_width=DIM).attention] == [True, True]
    assert [one.projection is None for one in built(attention_width=6, residual=False).attention] == [True, True]


def test_the_order_of_fields_does_not_matter_to_the_attention():
    tower, x = built(inputs=NO_NUMBERS), x0(4, FIELDS * DIM).reshape(4, FIELDS, DIM)
    layer, order = tower.attention[0], [2, 0, 1]
    np.testing.assert_allclose(
        layer(tf.constant(x[:, order]), 0), layer(tf.constant(x), 0).numpy()[:, order], rtol=1e-5, atol=1e-6
    )


def test_without_values_it_is_the_dnn():
    tower, plain = built(residual=False, layer_norm=False), DNN(hidden=(5, 4))
    x = tf.constant(x0(width=WIDTH))
    for layer in tower.attention:
        layer.value.kernel.assign(tf.zeros_like(layer.value.kernel))
    plain(x, 0)
    plain.head.set_weights(tower.heads[1].get_weights())
    np.testing.assert_allclose(tower(x, 0), plain(x, 0), rtol=1e-6)


@every_kind
def test_blocks_are_named_and_hold_each_variable_once(kind):
    tower = built(**kind)
    named = {name: [id(v) for layer in layers for v in layer.variables] for name, layers in tower.blocks.items()}
    assert list(named) == (["attention", "head"] if kind.get("hidden") == () else ["attention", "deep", "head"])
    assert sorted(chain(*named.values())) == sorted(id(v) for v in tower.variables)
    assert all(named.values())
    assert [head.use_bias for head in tower.heads] == [False] * (len(tower.heads) - 1) + [True]


def matrices(**arguments):
    layers = built(**arguments).attention
    kernels = [one.kernel for layer in layers for one in (layer.query, layer.key, layer.value, layer.projection) if one]
    return [kernel.numpy() for kernel in kernels]


def test_a_seed_gives_the_same_weights_each_time_and_another_seed_others():
    one, again, other = (matrices(seed=seed) for seed in (1, 1, 2))
    for left, right, changed in zip(one, again, other, strict=True):
        np.testing.assert_array_equal(left, right)
        assert (left != changed).all()


@pytest.mark.medium
@pytest.mark.parametrize(
    "arguments",
    [{"heads": 3}, {"hidden": (9, 9)}, {"attention_layers": 4}, {"dropout": 0.5}],
    ids=str,
)
def test_the_start_of_a_layer_does_not_depend_on_other_arguments(arguments):
    for left, right in zip(matrices(**arguments)[:7], matrices(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_matrices_start_unlike():
    for left, right in combinations(matrices(attention_width=100), 2):
        if left.shape == right.shape:
            assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 0.2


def test_norms_have_their_numbers():
    tower = built(batch_norm=BatchNorm(epsilon=1e-4, momentum=0.5))
    assert [(norm.epsilon, norm.momentum) for _, norm, *_ in tower.deep.blocks] == [(1e-4, 0.5)] * 2
    assert [layer.norm.epsilon for layer in tower.attention] == [1e-5] * 2


def test_training_drops_attention_by_the_step():
    layer = attention(width=4, heads=2, dropout=0.5)
    layer.value.kernel.assign(np.ones([2, 4]))
    x = tf.constant(np.abs(x0(2000, 4)).reshape(2000, 2, 2))
    one, again, other = (layer(x, step, training=True).numpy() for step in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    # a head of a field reads two fields, and reads nothing if both are dropped
    assert (one == 0).mean() == pytest.approx(0.25, abs=0.02)
    np.testing.assert_array_equal(layer(x, 0), layer(x, 1))


@pytest.mark.medium
@pytest.mark.parametrize("kind", [{}, {"hidden": ()}], ids=["MLP", "no MLP"])
def test_an_untrained_model_predicts_the_base_rate_where_x0_is_zero(kind):
    model = CTRModel(FIELDS_ONLY, AutoInt(1, 4, 2, **{"hidden": (4,), **kind}), stddev=0.0, base_logit=-2.5)
    batch = {"ids": tf.constant([[3, 4, 5], [6, 7, 8]]), "numerics": tf.zeros([2, 2])}
    np.testing.assert_allclose(model(batch), [-2.5, -2.5], rtol=1e-6)


@pytest.mark.medium
def test_mixed_precision_computes_in_bfloat16_close_to_float32(mixed_bfloat16):
    mixed = built()
    tf_keras.mixed_precision.set_global_policy("float32")
    full = built()
    rough, fine = (tower(tf.constant(x0(width=WIDTH)), 0) for tower in (mixed, full))
    assert {v.dtype for v in (rough, *mixed.variables)} == {tf.float32}
    np.testing.assert_allclose(rough, fine, atol=0.1 * np.abs(fine).max())
    assert (rough.numpy() != fine.numpy()).any()


def test_one_graph_serves_batches_of_every_size():
    tower = built()
    graph = tf.function(lambda x: tower(x, 0), input_signature=[tf.TensorSpec([None, WIDTH])], autograph=False)
    for size in (0, 1, 7):
        x = x0(size, WIDTH)
        np.testing.assert_allclose(graph(x), tower(tf.constant(x), 0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attention_layers": 0}, "attention_layers must be at least 1. Received: 0"),
        ({"attention_layers": 10**6}, "attention_layers must be at most 100. Received: 1000000"),
        ({"attention_width": 0}, "attention_width must be at least 1. Received: 0"),
        ({"attention_width": 10**6}, "attention_width must be at most 65536. Received: 1000000"),
        ({"heads": 0}, "heads must be at least 1. Received: 0"),
        ({"heads": 4}, "heads must divide attention_width. Use a divisor of 6. Received: 4"),
        ({"hidden": (8, 0)}, r"^hidden must be .* Received: \[8, 0\]"),
        ({"dropout": 1.0}, "dropout must be .* Received: 1.0"),
        ({"inputs": TWO_WIDTHS}, "auto_int needs at least two embeddings, all of one width.* user 4, item 2, seller 4"),
        ({"inputs": NO_FIELDS}, "auto_int needs at least two embeddings.* Received: none"),
        ({"hidden": ()}, "hidden: without an MLP, nothing reads the plain number age. Add widths, or set its `as: emb"),
        (
            {"hidden": (), "inputs": NO_NUMBERS, "width": WIDTH + 1},
            "hidden: without an MLP, nothing reads 3 numbers of x_0 that follow the embeddings",
        ),
    ],
    ids=lambda value: str({k: v for k, v in value.items() if k != "inputs"}) if isinstance(value, dict) else "",
)
def test_refused_are(arguments, message):
    with pytest.raises(ValueError, match=message):
        built(**arguments)
