"""DCN-V2 computes its two equations in four structures, and its initial weights depend on (seed, path) only."""

import numpy as np
import pytest
import tensorflow as tf

from models import DCNV2
from tests.models.deep_cross import WIDTH, check_towers, every_structure, x0
from tests.reference import dcn_v2 as reference


def built(width=WIDTH, **arguments):
    """Return a built tower."""
    tower = DCNV2(**{"hidden": [5, 4], "cross_layers": 2, **arguments})
    tower(tf.constant(x0(width=width)), 0)
    return tower


def randomize(tower):
    """Assign random values to every variable, positive ones to variances."""
    random = np.random.default_rng(1)
    for variable in tower.variables:
        values = random.normal(size=variable.shape)
        variable.assign(np.abs(values) + 0.1 if "variance" in variable.name else values)


def mlp_weights(mlp):
    if mlp is None:
        return None
    return [
        {
            "kernel": dense.kernel.numpy(),
            "bias": dense.bias.numpy() if dense.use_bias else None,
            "norm": [v.numpy() for v in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)]
            if norm is not None
            else None,
        }
        for dense, norm, *_ in mlp.blocks
    ]


def weights_of(tower):
    """Return the layer's weights in the form that the reference takes."""
    cross = [[v.numpy() for v in layer.trainable_variables] for layer in tower.cross]
    return {
        "cross": [(matrices, bias) for *matrices, bias in cross],
        "deep_on_cross": mlp_weights(tower.deep_on_cross),
        "deep": mlp_weights(tower.deep),
        "head": [v.numpy() for v in tower.head.trainable_variables],
    }


@pytest.mark.parametrize("batch_norm", [True, False], ids=["batch norm", "no batch norm"])
@pytest.mark.parametrize("rank", [None, 2], ids=["full rank", "low rank"])
@every_structure
def test_logits_follow_the_float64_reference(structure, rank, batch_norm):
    tower = built(structure=structure, rank=rank, batch_norm=batch_norm, cross_layers=3, dropout=0.5)
    randomize(tower)

    logits = tower(tf.constant(x0()), 0).numpy()

    expected = reference.dcn_v2(x0().astype(np.float64), structure, weights_of(tower))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_a_cross_layer_by_hand():
    tower = built(width=2, structure="cross_only", cross_layers=1)
    kernel, bias = tower.cross[0].trainable_variables
    kernel.assign([[1.0, 0.0], [2.0, 1.0]])  # W = [[1, 2], [0, 1]], transposed
    bias.assign([10.0, 20.0])
    head, _ = tower.head.trainable_variables
    head.assign([[1.0], [100.0]])

    logit = tower(tf.constant([[3.0, 4.0]]), 0)

    # W x + b = [21, 24]; x_0 * that + x = [66, 100]
    assert logit.numpy().tolist() == [66.0 + 100 * 100.0]


@pytest.mark.parametrize("rank", [None, 2], ids=["full rank", "low rank"])
@every_structure
def test_the_gradient_follows_finite_differences_of_the_reference(structure, rank):
    tower = built(structure=structure, rank=rank, batch_norm=False)
    point, direction = x0(seed=2), x0(seed=3)
    weights, h = weights_of(tower), 1e-6

    with tf.GradientTape() as tape:
        x = tf.constant(point)
        tape.watch(x)
        total = tf.reduce_sum(tower(x, 0))
    slope = float(tf.reduce_sum(tape.gradient(total, x) * direction))

    def reference_total(step):
        return reference.dcn_v2(point.astype(np.float64) + step * direction, structure, weights).sum()

    assert slope == pytest.approx((reference_total(h) - reference_total(-h)) / (2 * h), rel=1e-4)


@every_structure
def test_a_bias_stands_only_where_no_batch_norm_follows(structure):
    for batch_norm in (True, False):
        tower = built(structure=structure, batch_norm=batch_norm)

        for mlp in filter(None, (tower.deep, tower.deep_on_cross)):
            assert [dense.use_bias for dense, *_ in mlp.blocks] == [not batch_norm] * 2
            assert [norm is not None for _, norm, *_ in mlp.blocks] == [batch_norm] * 2


@every_structure
def test_towers_are_named_and_hold_each_variable_once(structure):
    check_towers(built(structure=structure), structure)


def kernels(tower, part):
    """Return the kernels of `cross`, `deep`, `deep_on_cross` or `head`."""
    layer = getattr(tower, part)
    return [v.numpy() for one in (layer if isinstance(layer, list) else [layer]) for v in one.trainable_variables]


def assert_same_bits(left, right):
    assert [one.tobytes() for one in left] == [one.tobytes() for one in right]


@every_structure
def test_a_seed_gives_the_same_weights_each_time_and_another_seed_others(structure):
    one, again, other = (built(structure=structure, seed=seed) for seed in (1, 1, 2))

    for part in ("cross", "deep", "deep_on_cross", "head"):
        if getattr(one, part) is not None:
            assert_same_bits(kernels(one, part), kernels(again, part))
            assert (kernels(one, part)[0] != kernels(other, part)[0]).all()


@pytest.mark.parametrize(
    ("part", "one", "other"),
    [
        pytest.param("cross", {"structure": "cross_only"}, {"structure": "parallel"}, id="cross, parallel to deep"),
        pytest.param("cross", {"structure": "parallel"}, {"structure": "stacked"}, id="cross, below deep"),
        pytest.param("cross", {"hidden": [3]}, {"hidden": [9, 9, 9]}, id="cross, whatever the MLP"),
        pytest.param("deep", {"structure": "parallel"}, {"structure": "stacked_parallel"}, id="deep, next to another"),
        pytest.param("deep", {"cross_layers": 1}, {"cross_layers": 5}, id="deep, whatever the cross layers"),
        pytest.param("deep", {"rank": None}, {"rank": 2}, id="deep, whatever the rank"),
        pytest.param("deep", {"dropout": 0.0}, {"dropout": 0.5}, id="deep, whatever the dropout"),
        pytest.param(
            "deep_on_cross", {"structure": "stacked"}, {"structure": "stacked_parallel"}, id="deep on cross, with deep"
        ),
        pytest.param(
            "head", {"structure": "stacked", "hidden": [WIDTH]}, {"structure": "cross_only"}, id="head of equal width"
        ),
        pytest.param("head", {"cross_layers": 1}, {"cross_layers": 5}, id="head, whatever the cross layers"),
    ],
)
@pytest.mark.medium
def test_weights_do_not_depend_on_other_parts(part, one, other):
    assert_same_bits(kernels(built(**one), part), kernels(built(**other), part))


def test_a_deeper_tower_starts_with_the_weights_of_a_shallower_one():
    shallow, deep = built(cross_layers=1, hidden=[5]), built(cross_layers=3, hidden=[5, 4])

    assert_same_bits(kernels(shallow, "cross"), kernels(deep, "cross")[:2])
    np.testing.assert_array_equal(shallow.deep.blocks[0][0].kernel, deep.deep.blocks[0][0].kernel)


def correlation(one, other):
    return abs(np.corrcoef(np.ravel(one), np.ravel(other))[0, 1])


def test_layers_of_one_shape_start_unlike():
    tower = built(width=40, structure="stacked_parallel", hidden=[40, 40])
    (cross_0, _, cross_1, _), on_cross, beside = kernels(tower, "cross"), tower.deep_on_cross.blocks, tower.deep.blocks
    all_kernels = [cross_0, cross_1, *(dense.kernel.numpy() for dense, *_ in (*on_cross, *beside))]

    pairs = [(a, b) for place, a in enumerate(all_kernels) for b in all_kernels[:place]]

    assert len(pairs) == 15
    assert all(correlation(a, b) < 0.15 for a, b in pairs)


@pytest.mark.parametrize("rank", [10, 20, 39], ids=lambda rank: f"rank {rank} of 40")
def test_the_two_matrices_of_low_rank_start_unlike(rank):
    u, v, _ = kernels(built(width=40, structure="cross_only", cross_layers=1, rank=rank), "cross")

    assert correlation(u, v) < 0.2
    assert correlation(u, v.T) < 0.2


def test_kernels_have_the_range_of_the_initializer():
    [kernel, _] = kernels(built(width=60, structure="cross_only", cross_layers=1), "cross")

    assert np.abs(kernel).max() == pytest.approx(np.sqrt(6 / 120), rel=0.01)


@pytest.mark.parametrize("dropout", [0.0, 0.9])
def test_evaluation_has_no_dropout(dropout):
    logits = [built(dropout=dropout)(tf.constant(x0()), step).numpy() for step in (0, 1)]

    np.testing.assert_array_equal(logits[0], logits[1])
    np.testing.assert_array_equal(logits[0], built(dropout=0.0)(tf.constant(x0()), 0).numpy())


def test_training_has_dropout_that_changes_with_the_step():
    tower = built(dropout=0.5)

    logits = [tower(tf.constant(x0()), step, training=True).numpy() for step in (0, 0, 1)]

    np.testing.assert_array_equal(logits[0], logits[1])
    assert (logits[0] != logits[2]).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"structure": "paralel"}, "structure .*stacked_parallel.* Received: 'paralel'"),
        ({"cross_layers": 0}, "cross_layers must be at least 1"),
        ({"rank": 0}, "Received: .*rank=0"),
        ({"rank": WIDTH}, f"rank must be below .*{WIDTH}.* Received: {WIDTH}"),
        ({"rank": WIDTH + 1}, f"rank must be below .*{WIDTH}.* Received: {WIDTH + 1}"),
        ({"hidden": [8, 0]}, r"hidden must be .*Received: \[8, 0\]"),
        ({"dropout": 1.0}, "dropout .*Received: 1.0"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_refused_are(arguments, message):
    with pytest.raises(ValueError, match=message):
        built(**arguments)
