"""The plain MLP tower, and the activations of an MLP."""

import numpy as np
import pytest
import tensorflow as tf

from models import DNN
from tests.reference import din as reference


def x0(size=5, width=6, seed=0):
    return np.random.default_rng(seed).normal(size=[size, width]).astype(np.float32)


def test_without_batch_norm_it_is_products_and_relus():
    tower = DNN(hidden=(4, 3), batch_norm=False)
    tower(tf.constant(x0()), 0)
    (first, second), head = [block[0] for block in tower.deep.blocks], tower.head

    x = x0().astype(np.float64)
    for dense in (first, second):
        x = np.maximum(x @ dense.kernel.numpy() + dense.bias.numpy(), 0)
    expected = (x @ head.kernel.numpy() + head.bias.numpy())[:, 0]

    np.testing.assert_allclose(tower(tf.constant(x0()), 0), expected, rtol=1e-5, atol=1e-6)


def test_prelu_has_a_slope_below_zero_that_starts_at_a_quarter():
    tower = DNN(hidden=(4,), activation="prelu", batch_norm=False)
    tower(tf.constant(x0()), 0)
    dense, head = tower.deep.blocks[0][0], tower.head

    x = x0().astype(np.float64) @ dense.kernel.numpy()
    expected = (np.where(x > 0, x, 0.25 * x) @ head.kernel.numpy())[:, 0]

    np.testing.assert_allclose(tower(tf.constant(x0()), 0), expected, rtol=1e-5, atol=1e-6)


def dice_of(mlp):
    """Return a Dice layer with nonzero slopes and an input for it."""
    dense, dice = mlp.blocks[0][0], mlp.blocks[0][2]
    mlp(tf.constant(x0()), 0)
    dice.alpha.assign([0.5, -0.3, 0.0, 2.0])
    return dice, x0().astype(np.float64) @ dense.kernel.numpy()


def test_dice_in_training_standardizes_by_the_batch():
    mlp = DNN(hidden=(4,), activation="dice", batch_norm=False).deep
    dice, x = dice_of(mlp)

    expected = reference.dice(x, dice.alpha.numpy(), x.mean(axis=0), x.var(axis=0))

    np.testing.assert_allclose(mlp(tf.constant(x0()), 0, training=True), expected, rtol=1e-4, atol=1e-5)


def test_dice_in_evaluation_standardizes_by_the_averages_of_training():
    mlp = DNN(hidden=(4,), activation="dice", batch_norm=False).deep
    dice, x = dice_of(mlp)
    for _ in range(3):
        mlp(tf.constant(x0()), 0, training=True)

    kept = 0.9**3
    mean, variance = (1 - kept) * x.mean(axis=0), kept + (1 - kept) * x.var(axis=0)

    expected = reference.dice(x, dice.alpha.numpy(), mean, variance)
    np.testing.assert_allclose(mlp(tf.constant(x0()), 0), expected, rtol=1e-4, atol=1e-5)


def test_an_activation_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"activation must be one of relu, prelu, dice. Received: 'gelu'"):
        DNN(activation="gelu")


@pytest.mark.parametrize("activation", ["relu", "prelu", "dice"])
def test_towers_hold_each_variable_once(activation):
    tower = DNN(hidden=(4, 3), activation=activation)
    tower(tf.constant(x0()), 0)

    held = [id(v) for layers in tower.blocks.values() for layer in layers for v in layer.variables]

    assert sorted(held) == sorted(id(v) for v in tower.variables)
