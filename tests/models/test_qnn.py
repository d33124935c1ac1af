"""QNN computes its quadratic layers, with heads and a cross network, and its initial weights depend on (seed, path)."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import tensorflow as tf

from models import QNN, BatchNorm, CTRModel, Field, Inputs, Table
from tests.models.deep_cross import float64
from tests.reference import qnn as reference

DIM, FIELDS = 4, 3
WIDTH = FIELDS * DIM
INPUTS = Inputs(
    tables=(Table("user", 9, DIM), Table("item", 9, DIM), Table("one", 9, 1)),
    fields=(
        Field("user", "user", column=0),
        Field("bias", "one", column=0, branch="wide"),  # of another branch, so its width does not matter
        Field("item", "item", column=1),
        Field("seller", "user", column=2),
    ),
    numerics=("age",),
    plain=(),
)
KINDS = {
    "one head": {},
    "two heads": {"heads": 2},
    "as many heads as the width": {"heads": DIM},
    "no batch norm": {"batch_norm": False},
    "cross network": {"cross_layers": 2},
    "heads and cross network": {"heads": 2, "cross_layers": 1, "batch_norm": False},
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def x0(size=5, width=WIDTH, seed=0):
    return np.random.default_rng(seed).normal(size=[size, width]).astype(np.float32)


def built(width=WIDTH, inputs=INPUTS, **arguments):
    """Return a built tower."""
    tower = QNN(**{"layers": 2, "rows": 3, **arguments})
    tower.connect(inputs)
    tower(tf.constant(x0(width=width)), 0)
    return tower


def randomize(tower):
    """Assign random values to every variable, positive ones to variances."""
    random = np.random.default_rng(1)
    for variable in tower.variables:
        values = random.normal(0, 0.5, size=variable.shape)
        variable.assign(np.abs(values) + 0.1 if "variance" in variable.name else values)


def reference_logits(tower, x, value=float64):
    """Return the logits of the reference with the tower's weights, read by `value`."""

    def weights_of(layer):
        dense, norm = layer.relu_rows.dense, layer.relu_rows.norm
        of_norm = norm and [value(v) for v in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)]
        return {"kernel": value(dense.kernel), "bias": value(dense.bias) if dense.use_bias else None, "norm": of_norm}

    layers, cross = ([weights_of(layer) for layer in part] for part in (tower.quadratic, tower.cross))
    head = [value(v) for v in (tower.head.kernel, tower.head.bias)]
    first = tower.quadratic[0]
    return reference.qnn(x, layers, cross, head, first.rows, first.heads, DIM if first.heads > 1 else None)


@every_kind
def test_logits_follow_the_float64_reference(kind):
    tower = built(dropout=0.5, **kind)
    randomize(tower)
    expected = reference_logits(tower, x0().astype(np.float64))
    logits = tower(tf.constant(x0()), 0).numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.medium
@pytest.mark.parametrize("kind", [{}, {"heads": 2, "cross_layers": 2}], ids=["one head", "heads and cross network"])
def test_gradients_follow_finite_differences_of_the_reference(kind):
    tower = built(batch_norm=False, **kind)
    randomize(tower)
    point, h, random = tf.constant(x0(seed=2)), 1e-6, np.random.default_rng(3)
    with tf.GradientTape() as tape:
        tape.watch(point)
        total = tf.reduce_sum(tower(point, 0))
    sources = [point, *tower.trainable_variables]
    for source, gradient in zip(sources, tape.gradient(total, sources), strict=True):
        direction = random.normal(size=source.shape)

        def reference_total(step, source=source, direction=direction):
            def value(tensor):
                return float64(tensor) + (step * direction if tensor is source else 0)

            return reference_logits(tower, value(point), value).sum()

        terms = gradient.numpy() * direction
        slope = (reference_total(h) - reference_total(-h)) / (2 * h)
        assert terms.sum() == pytest.approx(slope, rel=1e-4, abs=1e-5 * np.abs(terms).sum())


def test_a_layer_by_hand():
    tower = built(width=2, layers=1, rows=2, batch_norm=False)
    dense = tower.quadratic[0].relu_rows.dense
    # columns: both numbers of row 1, then both of row 2
    dense.kernel.assign([[1.0, 0.0, 0.0, 2.0], [0.0, 1.0, -1.0, 0.0]])
    dense.bias.assign([0.0, 1.0, 2.0, 0.0])
    tower.head.kernel.assign([[1.0], [100.0]])
    # x = [3, 4]: row 1 = [3, 5]; row 2 = ReLU([-2, 6]) = [0, 6]; x * sum + x = [3 * 3 + 3, 4 * 11 + 4]
    assert tower(tf.constant([[3.0, 4.0]]), 0).numpy().tolist() == [12.0 + 100 * 48.0]


def test_heads_by_hand():
    inputs = replace(INPUTS, tables=(Table("user", 9, 2), Table("item", 9, 2)), fields=INPUTS.fields[::2])
    tower = built(width=4, inputs=inputs, layers=1, rows=1, heads=2, batch_norm=False)
    dense = tower.quadratic[0].relu_rows.dense
    dense.kernel.assign(np.zeros([4, 4]))
    dense.bias.assign([1.0, 10.0, 100.0, 1000.0])
    tower.head.kernel.assign([[1.0], [1.0], [1.0], [1.0]])
    x = np.array([2.0, 3.0, 5.0, 7.0])  # a field [2, 3] and a field [5, 7]: head 1 holds 2 and 5, head 2 holds 3 and 7
    assert tower(tf.constant(x[None], tf.float32), 0).numpy().tolist() == [2 + 50 + 300 + 7000 + x.sum()]


def test_a_cross_layer_by_hand():
    tower = built(width=2, layers=1, rows=1, batch_norm=False, cross_layers=1)
    tower.quadratic[0].relu_rows.dense.kernel.assign(np.zeros([2, 2]))
    dense = tower.cross[0].relu_rows.dense
    dense.kernel.assign([[1.0, -1.0], [2.0, 0.0]])
    dense.bias.assign([0.0, 1.0])
    tower.head.kernel.assign([[1.0], [10.0], [100.0], [1000.0]])
    # x_0 = [3, 4]: ReLU([3 + 8, -3 + 1]) = [11, 0], and the quadratic layer adds nothing to x_0
    assert tower(tf.constant([[3.0, 4.0]]), 0).numpy().tolist() == [3 + 40 + 100 * (3 + 33) + 1000 * 4]


@pytest.mark.parametrize("cross_layers", [0, 2])
def test_blocks_are_named_and_hold_each_variable_once(cross_layers):
    names = ["quadratic", "cross", "head"] if cross_layers else ["quadratic", "head"]
    assert list(QNN(cross_layers=cross_layers).blocks) == names
    tower = built(cross_layers=cross_layers)
    named = {name: [id(v) for layer in layers for v in layer.variables] for name, layers in tower.blocks.items()}
    assert list(named) == names
    assert sorted(chain(*named.values())) == sorted(id(v) for v in tower.variables)
    assert all(named.values())


def test_a_bias_exists_only_where_no_batch_norm_follows():
    for batch_norm in (True, False):
        tower = built(batch_norm=batch_norm, cross_layers=1)
        for layer in (*tower.quadratic, *tower.cross):
            assert layer.relu_rows.dense.use_bias is not batch_norm
            assert (layer.relu_rows.norm is not None) is batch_norm


def test_a_batch_norm_has_the_numbers_of_the_settings():
    tower = built(batch_norm=BatchNorm(epsilon=1e-5, momentum=0.5), cross_layers=1)
    for layer in (*tower.quadratic, *tower.cross):
        assert (layer.relu_rows.norm.epsilon, layer.relu_rows.norm.momentum) == (1e-5, 0.5)


def kernels(tower):
    return [layer.relu_rows.dense.kernel.numpy() for layer in (*tower.quadratic, *tower.cross)]


@pytest.mark.medium
def test_weights_depend_on_the_seed_and_the_path_only():
    small, large, other = built(), built(layers=3, cross_layers=2, dropout=0.5), built(seed=5)
    for index in range(2):
        np.testing.assert_array_equal(kernels(small)[index], kernels(large)[index])
        assert (kernels(small)[index] != kernels(other)[index]).all()
    np.testing.assert_array_equal(kernels(large)[3], kernels(built(cross_layers=1))[2])


def test_layers_of_one_shape_start_unlike():
    one, two, crossed = kernels(built(width=40, rows=1, cross_layers=1))
    for left, right in ((one, two), (one, crossed), (two, crossed)):
        assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 0.15


def test_kernels_have_the_range_of_the_initializer():
    [kernel] = kernels(built(width=40, layers=1, rows=2))
    assert np.abs(kernel).max() == pytest.approx(np.sqrt(6 / 120), rel=0.01)


@pytest.mark.parametrize("cross_layers", [0, 1])
def test_evaluation_has_no_dropout(cross_layers):
    plain, dropped = (built(dropout=dropout, cross_layers=cross_layers) for dropout in (0.0, 0.9))
    np.testing.assert_array_equal(plain(tf.constant(x0()), 0), dropped(tf.constant(x0()), 1))


def test_training_drops_rows_and_outputs_by_the_step():
    tower = built(layers=1, cross_layers=1, batch_norm=False, dropout=0.5)
    layer, cross, x = tower.quadratic[0], tower.cross[0], tf.constant(x0(size=200))
    one, again, other = (layer(x, 1, step, training=True).numpy() for step in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert ((one == 0) != (other == 0)).any()
    assert (one == 0).mean() == pytest.approx(0.5, abs=0.05)
    without_rows = np.isclose(one, 2 * x.numpy())  # each of the 3 rows is dropped or zero by its ReLU
    assert without_rows[one != 0].mean() == pytest.approx(0.75**3, abs=0.1)
    assert (cross(x, x, 0, training=True).numpy() == 0).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.medium
def test_with_one_head_x0_can_be_anything():
    mixed = Inputs(
        (Table("user", 9, 3), Table("item", 9, 2)),
        (Field("user", "user", column=0), Field("item", "item", column=1)),
        ("age",),
        (0,),
    )
    assert CTRModel(mixed, QNN()).tower.head.kernel.shape == [6, 1]
    assert CTRModel(Inputs((), (), ("age", "price"), (0, 1)), QNN()).tower.head.kernel.shape == [2, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": 0}, "layers must be at least 1. Received: 0"),
        ({"rows": 0}, "rows must be at least 1. Received: 0"),
        ({"heads": 0}, "heads must be at least 1. Received: 0"),
        ({"cross_layers": -1}, "cross_layers must be at least 0. Received: -1"),
        ({"layers": 10**6}, "layers must be at most 100. Received: 1000000"),
        ({"cross_layers": 101}, "cross_layers must be at most 100. Received: 101"),
        ({"rows": 10**6}, "rows must be at most 65536. Received: 1000000"),
        ({"dropout": 1.0}, "dropout must be .* Received: 1.0"),
        ({"heads": 3}, "heads must divide the `dim` of the embeddings, 4. Received: 3"),
        ({"heads": 8}, "heads must divide the `dim` of the embeddings, 4. Received: 8"),
        ({"heads": 2, "inputs": replace(INPUTS, plain=(0,))}, "age is a plain number. Set its `as: embedding`, or use"),
        (
            {"heads": 2, "inputs": replace(INPUTS, tables=(Table("user", 9, 4), Table("item", 9, 2)))},
            "need embeddings of one `dim`. Received: user 4, item 2, seller 4",
        ),
        ({"heads": 2, "inputs": replace(INPUTS, fields=())}, "need embeddings of one `dim`. Received: none"),
        ({"heads": 2, "width": WIDTH + 3}, "x_0 has 3 more numbers than the embeddings of features. Use `heads: 1`"),
    ],
    ids=lambda value: str(next(iter(value.items()))) if isinstance(value, dict) and "inputs" not in value else "",
)
def test_refused_are(arguments, message):
    with pytest.raises(ValueError, match=message):
        built(**arguments)
