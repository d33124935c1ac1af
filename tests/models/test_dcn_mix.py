"""DCN-Mix weights low-rank experts by a gate of each row; with one plain expert it equals low-rank DCN-V2."""

from itertools import combinations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from models.dcn_mix import DCNMix, MixtureCross
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
from tests.reference import dcn_mix as reference

EXPERTS, RANK = 3, 2
every_gate = pytest.mark.parametrize("gate", ["softmax", "sigmoid"])
every_activation = pytest.mark.parametrize("activation", ["tanh", "relu", "linear"])


def built(width=WIDTH, **arguments):
    """Return a built tower."""
    tower = DCNMix(**{"hidden": [5, 4], "cross_layers": 2, "experts": EXPERTS, "rank": RANK, **arguments})
    tower(tf.constant(x0(width=width)), 0)
    return tower


def mixture(width=WIDTH, **arguments):
    """Return a built cross layer."""
    plain = {"experts": EXPERTS, "rank": RANK, "gate": "softmax", "activation": "tanh"}
    layer = MixtureCross(**{**plain, "initializer": "glorot_uniform", "seed": 0, "path": "cross/0", **arguments})
    layer.build(tf.TensorShape([None, width]))
    return layer


def experts_of(layer, value=float64):
    """Return (U, C, V) of each expert in the paper's shapes; `value` reads a variable."""
    us, cs = (np.split(value(kernel), layer.experts, axis=0) for kernel in (layer.u, layer.c))
    vs = np.split(value(layer.v), layer.experts, axis=1)
    return [(u.T, c.T, v) for u, c, v in zip(us, cs, vs, strict=True)]


def weights_of(tower, value=float64):
    """Return the weights in the form that the reference takes; `value` reads a variable."""
    cross = [(experts_of(layer, value), value(layer.bias), value(layer.gate_kernel)) for layer in tower.cross]
    return weights_with(cross, tower, value)


@every_activation
@every_gate
@every_structure
@pytest.mark.medium
def test_logits_follow_the_float64_reference(structure, gate, activation):
    tower = built(structure=structure, gate=gate, activation=activation, batch_norm=False, cross_layers=3, dropout=0.5)
    randomize(tower)

    logits = tower(tf.constant(x0()), 0).numpy()

    expected = reference.dcn_mix(x0().astype(np.float64), structure, weights_of(tower), gate, activation)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("experts", "rank"), [(1, 1), (1, 3), (4, 1), (2, 5)])
def test_any_number_of_experts_of_any_rank_follows_the_reference(experts, rank):
    tower = built(structure="cross_only", experts=experts, rank=rank)
    randomize(tower)

    logits = tower(tf.constant(x0()), 0).numpy()

    expected = reference.dcn_mix(x0().astype(np.float64), "cross_only", weights_of(tower), "softmax", "tanh")
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_a_cross_layer_by_hand():
    layer = mixture(width=2, experts=2, rank=1, gate="sigmoid", activation="relu")
    layer.v.assign([[1.0, 0.0], [2.0, -1.0]])  # V_1^T x = 5 + 2 * 6, V_2^T x = -6
    layer.c.assign([[3.0], [7.0]])
    layer.u.assign([[1.0, 10.0], [100.0, 100.0]])
    layer.bias.assign([0.5, 1.0])
    layer.gate_kernel.assign([[0.0, 0.0], [0.0, 1000.0]])  # G = 1/2, 1

    crossed = layer(tf.constant([[3.0, 4.0]]), tf.constant([[5.0, 6.0]]))

    # relu leaves only the bias of the second expert: x_0 * (1/2 (51 [1, 10] + b) + b) + x
    assert crossed.numpy().tolist() == [[3 * (25.5 + 0.75) + 5, 4 * (255 + 1.5) + 6]]


@pytest.mark.medium
@pytest.mark.parametrize(("gate", "activation"), [("softmax", "tanh"), ("sigmoid", "tanh"), ("softmax", "linear")])
@every_structure
def test_gradients_of_the_input_and_of_every_weight_follow_finite_differences_of_the_reference(
    structure, gate, activation
):
    tower = built(structure=structure, gate=gate, activation=activation, batch_norm=False)

    check_gradients(tower, lambda x, value: reference.dcn_mix(x, structure, weights_of(tower, value), gate, activation))


def test_softmax_gates_of_a_row_sum_to_1():
    layer = mixture()

    gates = layer.gates(tf.constant(x0())).numpy()

    assert gates.shape == (5, EXPERTS)
    np.testing.assert_allclose(gates.sum(axis=1), 1, rtol=1e-6)


def test_sigmoid_gates_are_between_0_and_1_each_on_its_own():
    layer = mixture(gate="sigmoid")
    layer.gate_kernel.assign(np.eye(WIDTH, EXPERTS))

    gates = layer.gates(tf.constant(x0())).numpy()

    np.testing.assert_allclose(gates, 1 / (1 + np.exp(-x0()[:, :EXPERTS])), rtol=1e-5)


@every_gate
def test_gates_differ_between_rows_and_between_experts(gate):
    gates = mixture(gate=gate).gates(tf.constant(x0())).numpy()

    assert np.ptp(gates, axis=0).min() > 0.05
    assert np.ptp(gates, axis=1).min() > 0.05


def test_a_gate_chooses_another_expert_for_another_row():
    layer = mixture(width=3, experts=2, rank=1, activation="linear")
    layer.v.assign([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    layer.c.assign([[1.0], [1.0]])
    layer.u.assign([[10.0] * 3, [20.0] * 3])
    layer.gate_kernel.assign([[1000.0, 0.0], [0.0, 1000.0], [0.0, 0.0]])
    rows = tf.constant([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])

    added = layer(tf.ones([2, 3]), rows) - rows

    assert added.numpy().tolist() == [[10.0] * 3, [20.0] * 3]


def test_the_gate_sees_the_layer_s_own_input_and_not_that_of_the_tower():
    layer = mixture()
    randomize(layer)
    first, x, other = (tf.constant(x0(seed=seed)) for seed in (1, 2, 3))

    # x_0 only multiplies
    np.testing.assert_allclose((layer(first, x) - x) / first, (layer(other, x) - x) / other, rtol=1e-3, atol=1e-5)


def test_the_bias_counts_as_often_as_the_gates_sum_to():
    first, x = tf.constant(x0(seed=1)), tf.constant(x0(seed=2))
    for gate, total in (("softmax", 1.0), ("sigmoid", EXPERTS / 2)):
        layer = mixture(gate=gate)
        layer.gate_kernel.assign(tf.zeros_like(layer.gate_kernel))
        layer.u.assign(tf.zeros_like(layer.u))
        layer.bias.assign(tf.fill([WIDTH], 2.0))

        np.testing.assert_allclose(layer(first, x), first * 2 * total + x, rtol=1e-5, atol=1e-5)


def low_rank_cross(rank, v, u, b):
    """Return DCN-V2's layer with these kernels, [in, out]."""
    layer = Cross(projection_dim=rank)
    layer(tf.constant(x0()), tf.constant(x0()))
    layer.set_weights([v, u, b])
    return layer


def test_one_linear_expert_with_the_identity_for_c_is_dcn_v2_of_low_rank():
    layer = mixture(experts=1, activation="linear")
    randomize(layer)
    layer.c.assign(np.eye(RANK))
    first, x = tf.constant(x0(seed=1)), tf.constant(x0(seed=2))

    expected = low_rank_cross(RANK, layer.v.numpy(), layer.u.numpy(), layer.bias.numpy())(first, x)

    np.testing.assert_allclose(layer(first, x), expected, rtol=1e-5, atol=1e-5)


def test_one_linear_expert_of_the_rank_of_the_width_can_be_dcn_v2_of_full_rank():
    layer = mixture(experts=1, rank=WIDTH, activation="linear")
    full, first, x = Cross(), tf.constant(x0(seed=1)), tf.constant(x0(seed=2))
    full(first, x)
    full.set_weights([x0(WIDTH, seed=3), x0(1, seed=4)[0]])
    v, c = (np.linalg.qr(x0(WIDTH, seed=seed))[0] for seed in (5, 6))
    layer.set_weights([v, c, (v @ c).T @ full.get_weights()[0], full.get_weights()[1], layer.gate_kernel.numpy()])

    np.testing.assert_allclose(layer(first, x), full(first, x), rtol=1e-4, atol=1e-5)


def test_experts_that_are_alike_are_one_expert():
    one, three = mixture(experts=1), mixture(experts=3)
    randomize(one)
    randomize(three)
    for name, repeats in (("v", [1, 3]), ("c", [3, 1]), ("u", [3, 1]), ("bias", [1])):
        getattr(three, name).assign(np.tile(getattr(one, name), repeats))
    first, x = tf.constant(x0(seed=1)), tf.constant(x0(seed=2))

    np.testing.assert_allclose(three(first, x), one(first, x), rtol=1e-5, atol=1e-5)


def test_the_rank_is_a_quarter_of_the_width_unless_given():
    assert [mixture(width=width, rank=None).v.shape[1] // EXPERTS for width in (1, 3, 4, 11, 40)] == [1, 1, 1, 2, 10]
    assert mixture(width=40, rank=7).v.shape == [40, EXPERTS * 7]


@every_structure
def test_towers_are_named_and_hold_each_variable_once(structure):
    check_towers(built(structure=structure), structure)


def kernels(**arguments):
    """Return all kernels of the cross layers, including gates."""
    return [v.numpy() for layer in built(**arguments).cross for v in (layer.v, layer.c, layer.u, layer.gate_kernel)]


def assert_same_bits(left, right):
    assert [one.tobytes() for one in left] == [one.tobytes() for one in right]


def test_a_seed_gives_the_same_weights_each_time_and_another_seed_others():
    one, again, other = (kernels(seed=seed) for seed in (1, 1, 2))

    assert_same_bits(one, again)
    assert all((left != right).all() for left, right in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "arguments",
    [
        {"structure": "stacked"},
        {"hidden": [9, 9, 9]},
        {"cross_layers": 5},
        {"dropout": 0.5},
        {"gate": "sigmoid"},
        {"activation": "relu"},
    ],
    ids=str,
)
@pytest.mark.medium
def test_the_start_of_a_layer_does_not_depend_on_other_parts(arguments):
    assert_same_bits(kernels(**arguments)[:8], kernels())


def test_more_experts_leave_the_start_of_the_first_ones_as_it_is():
    few, many = (experts_of(mixture(experts=experts)) for experts in (2, 5))

    for left, right in zip(few, many[:2], strict=True):
        assert_same_bits(left, right)


def test_mixed_precision_starts_with_the_weights_of_float32(mixed_bfloat16):
    mixed = kernels()
    tf_keras.mixed_precision.set_global_policy("float32")

    assert_same_bits(mixed, kernels())


@pytest.mark.parametrize(("rank", "count"), [(20, 96), (40, 306)])
def test_experts_matrices_and_layers_start_unlike(rank, count):
    layers = [mixture(width=40, rank=rank, path=path) for path in ("cross/0", "cross/1")]
    matrices = [matrix for layer in layers for expert in experts_of(layer) for matrix in expert]

    pairs = [(a, one) for a, b in combinations(matrices, 2) for one in (b, b.T) if a.shape == one.shape]

    assert len(pairs) == count
    assert all(abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.2 for a, b in pairs)


def test_layers_of_a_tower_start_unlike():
    one, other = (layer.v.numpy() for layer in built(width=40, rank=20).cross)

    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.1


def test_each_matrix_starts_in_the_range_of_the_initializer_for_its_own_shape():
    layer = mixture(width=60, rank=20)

    for u, c, v in experts_of(layer):
        assert np.abs(v).max() == pytest.approx(np.sqrt(6 / 80), rel=0.02)
        assert np.abs(c).max() == pytest.approx(np.sqrt(6 / 40), rel=0.02)
        assert np.abs(u).max() == pytest.approx(np.sqrt(6 / 80), rel=0.02)
    assert np.abs(layer.gate_kernel).max() == pytest.approx(np.sqrt(6 / 63), rel=0.02)
    assert not layer.bias.numpy().any()


def test_an_initializer_that_looks_at_one_side_of_a_matrix_sees_its_input():
    for u, c, v in experts_of(mixture(width=60, rank=20, initializer="he_uniform")):
        assert np.abs(v).max() == pytest.approx(np.sqrt(6 / 60), rel=0.02)
        assert np.abs(c).max() == pytest.approx(np.sqrt(6 / 20), rel=0.02)
        assert np.abs(u).max() == pytest.approx(np.sqrt(6 / 20), rel=0.02)


@pytest.mark.parametrize("experts", [1, EXPERTS])
def test_a_row_has_the_same_logit_alone_as_in_a_batch(experts):
    tower = built(experts=experts, batch_norm=False)
    randomize(tower)

    alone, together = (tower(tf.constant(rows), 0) for rows in (x0()[:1], x0()))

    np.testing.assert_allclose(alone, together[:1], rtol=1e-5)


def test_one_graph_serves_batches_of_every_size():
    tower = built()
    graph = tf.function(lambda x: tower(x, 0), input_signature=[tf.TensorSpec([None, WIDTH])], autograph=False)

    for size in (0, 1, 7):
        np.testing.assert_allclose(graph(x0(size)), tower(tf.constant(x0(size)), 0), rtol=1e-5, atol=1e-6)


@every_gate
@pytest.mark.medium
def test_mixed_precision_computes_every_product_of_a_cross_layer_in_bfloat16_close_to_float32(mixed_bfloat16, gate):
    mixed = built(structure="cross_only", gate=gate)
    tf_keras.mixed_precision.set_global_policy("float32")
    full = built(structure="cross_only", gate=gate)

    graph = tf.function(lambda x: mixed(x, 0)).get_concrete_function(tf.TensorSpec([None, WIDTH])).graph
    rough, fine = (tower(tf.constant(x0()), 0) for tower in (mixed, full))

    products = [op.outputs[0].dtype for op in graph.get_operations() if "MatMul" in op.type]
    assert products == [tf.bfloat16] * 8 + [tf.float32]  # four in each of two layers, then the head
    assert {one.dtype for one in (rough, *mixed.variables)} == {tf.float32}
    np.testing.assert_allclose(rough, fine, atol=0.03 * np.abs(fine).max())
    assert (rough.numpy() != fine.numpy()).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"structure": "paralel"}, "structure must be .*stacked_parallel.* Received: 'paralel'"),
        ({"cross_layers": 0}, "cross_layers must be at least 1"),
        ({"experts": 0}, "experts must be at least 1. Received: experts=0"),
        ({"rank": 0}, "rank must be at least 1. Received: rank=0"),
        ({"rank": WIDTH}, f"rank must be below .*{WIDTH}.* Received: {WIDTH}"),
        ({"gate": "softmin"}, "gate must be one of softmax, sigmoid. Received: 'softmin'"),
        ({"activation": "gelu"}, "activation must be one of tanh, relu, linear. Received: 'gelu'"),
        ({"hidden": [8, 0]}, r"hidden must be .*Received: \[8, 0\]"),
        ({"dropout": 1.0}, "dropout must be .*Received: 1.0"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_refused_are(arguments, message):
    with pytest.raises(ValueError, match=message):
        built(**arguments)
