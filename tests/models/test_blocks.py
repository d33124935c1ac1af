"""Dropout is a function of (seed, path, step), and an MLP computes its formula."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from models import MLP, BatchNorm, Dropout
from models.blocks import logit_head
from tests.reference import dcn_v2 as reference

SHAPE = [400, 250]


def keep_mask(rate=0.5, seed=1, path="deep/0", step=0, shape=SHAPE):
    """Return the mask of the positions that dropout keeps."""
    return Dropout(rate, seed, path)(tf.ones(shape), step, training=True).numpy() != 0


@settings(max_examples=20, deadline=None, derandomize=True)
@given(rate=st.floats(0, 0.99), seed=st.integers(0, 2**40), path=st.text(max_size=8), step=st.integers(0, 2**40))
def test_seed_path_and_step_decide_the_mask(rate, seed, path, step):
    name = "a" + path.encode().hex()  # any valid name of a layer

    first, second = (keep_mask(rate, seed, name, step, [20, 20]) for _ in range(2))

    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("other", [{"step": 1}, {"seed": 2}, {"path": "deep/1"}], ids=lambda other: next(iter(other)))
def test_another_step_seed_or_path_gives_an_unrelated_mask(other):
    one, two = keep_mask().ravel(), keep_mask(**other).ravel()

    assert abs(np.corrcoef(one, two)[0, 1]) < 0.02


def test_a_graph_and_a_variable_step_give_the_same_mask():
    dropout, step = Dropout(0.5, 1, "deep/0"), tf.Variable(7, dtype=tf.int64)

    graph = tf.function(lambda x: dropout(x, step, training=True))(tf.ones(SHAPE))

    np.testing.assert_array_equal(graph.numpy() != 0, keep_mask(step=7))


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5, 0.9])
def test_the_kept_share_is_one_minus_rate_in_all_and_in_each_column(rate):
    mask = keep_mask(rate)

    deviation = np.sqrt(rate * (1 - rate))
    assert mask.mean() == pytest.approx(1 - rate, abs=4 * deviation / np.sqrt(mask.size))
    assert np.abs(mask.mean(axis=0) - (1 - rate)).max() < 5 * deviation / np.sqrt(SHAPE[0])


def test_kept_values_are_divided_by_the_kept_share_so_that_the_mean_stays():
    x = np.random.default_rng(0).uniform(1, 2, SHAPE).astype(np.float32)

    y = Dropout(0.2, 1, "deep/0")(tf.constant(x), 0, training=True).numpy()

    mask = keep_mask(0.2)
    np.testing.assert_allclose(y[mask], x[mask] / 0.8, rtol=1e-6)
    np.testing.assert_array_equal(y[~mask], 0)
    assert y.mean() == pytest.approx(x.mean(), rel=0.01)


@pytest.mark.parametrize(("rate", "training"), [(0.5, False), (0.0, True)], ids=["evaluation", "rate 0"])
def test_nothing_is_dropped_in(rate, training):
    x = tf.random.stateless_normal([4, 5], [1, 2])

    y = Dropout(rate, 1, "deep/0")(x, 0, training=training)

    np.testing.assert_array_equal(x, y)


def test_dropped_values_pass_no_gradient():
    x = tf.ones(SHAPE)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = Dropout(0.5, 1, "deep/0")(x, 0, training=True)

    np.testing.assert_array_equal(tape.gradient(y, x), y)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_a_rate_outside_0_to_1_is_refused(rate):
    with pytest.raises(ValueError, match=f"dropout .*Received: {rate}"):
        Dropout(rate, 1, "deep/0")


def mlp(hidden=(5, 4), batch_norm=False, dropout=0.0):
    return MLP(hidden, batch_norm, dropout, "glorot_uniform", seed=1, path="deep")


def inputs(size=64, width=6):
    return np.random.default_rng(0).normal(3, 2, [size, width]).astype(np.float32)


def test_an_mlp_follows_the_float64_reference():
    layer = mlp()

    y = layer(tf.constant(inputs()), 0).numpy()

    weights = [{"kernel": d.kernel.numpy(), "bias": d.bias.numpy(), "norm": None} for d, *_ in layer.blocks]
    np.testing.assert_allclose(y, reference.mlp(inputs().astype(np.float64), weights), rtol=1e-5, atol=1e-6)


def test_an_mlp_without_layers_changes_nothing():
    np.testing.assert_array_equal(mlp(hidden=())(tf.constant(inputs()), 0), inputs())


def test_no_bias_precedes_a_batch_norm():
    layer = mlp(batch_norm=True)
    layer(tf.constant(inputs()), 0)

    names = {v.name.split("/")[-1].partition(":")[0] for v in layer.trainable_variables}

    assert names == {"kernel", "gamma", "beta"}


def test_training_normalizes_by_the_batch_and_moves_the_mean_by_a_tenth():
    layer = mlp(hidden=[5], batch_norm=True)

    y = layer(tf.constant(inputs()), 0, training=True).numpy()

    dense, norm, *_ = layer.blocks[0]
    x = inputs().astype(np.float64) @ dense.kernel.numpy()
    expected = np.maximum((x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + reference.BATCH_NORM_EPSILON), 0)
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(norm.moving_mean, 0.1 * x.mean(axis=0), rtol=1e-4)


def test_a_batch_of_one_row_is_finite_in_training():
    y = mlp(batch_norm=True)(tf.constant(inputs(size=1)), 0, training=True)

    assert np.isfinite(y).all()


def test_dropout_of_each_layer_of_an_mlp_is_its_own():
    layer = mlp(hidden=(50, 50), dropout=0.5)

    masks = [block[3](tf.ones(SHAPE), 0, training=True).numpy().ravel() != 0 for block in layer.blocks]

    assert abs(np.corrcoef(*masks)[0, 1]) < 0.02


def test_mixed_precision_computes_in_bfloat16_with_float32_weights_and_a_float32_logit(mixed_bfloat16):
    layer, head = mlp(batch_norm=True, dropout=0.5), logit_head("glorot_uniform", seed=1)

    hidden = layer(tf.constant(inputs()), 0, training=True)
    logit = head(hidden)

    assert hidden.dtype == tf.bfloat16
    assert logit.dtype == tf.float32
    assert {v.dtype for v in (*layer.variables, *head.variables)} == {tf.float32}


def test_an_mlp_normalizes_with_its_numbers():
    x = np.random.default_rng(0).normal(0, 0.01, [50, 3])  # a variance of the order of epsilon
    mlp = MLP([4], BatchNorm(epsilon=1e-5, momentum=0.5), 0.0, "glorot_uniform", 1, "deep")

    y = mlp(tf.constant(x, tf.float32), 0, training=True).numpy()

    [(dense, norm, *_)] = mlp.blocks
    h = x @ dense.kernel.numpy().astype(np.float64)
    np.testing.assert_allclose(y, np.maximum((h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5), 0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.moving_mean, 0.5 * h.mean(0), rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(norm.moving_variance, 0.5 + 0.5 * h.var(0), rtol=1e-6)
    assert not dense.use_bias


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"epsilon": 0.0}, "epsilon must be above 0. Received: 0.0"),
        ({"epsilon": float("nan")}, "epsilon must be above 0. Received: nan"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\). Received: 1.0"),
        ({"momentum": -0.1}, r"momentum must be in \[0, 1\). Received: -0.1"),
    ],
    ids=str,
)
def test_batch_norm_refuses(numbers, message):
    with pytest.raises(ValueError, match=f"batch_norm: {message}"):
        BatchNorm(**numbers)
