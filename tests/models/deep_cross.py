"""Helpers for tests of the Deep & Cross family."""

from itertools import chain

import numpy as np
import pytest
import tensorflow as tf

WIDTH = 6
every_structure = pytest.mark.parametrize("structure", ["stacked", "parallel", "stacked_parallel", "cross_only"])


def x0(size=5, width=WIDTH, seed=0):
    return np.random.default_rng(seed).normal(size=[size, width]).astype(np.float32)


def randomize(layer):
    """Assign random values to every variable, biases too, small enough to saturate neither gates nor tanh."""
    random = np.random.default_rng(1)
    for variable in layer.variables:
        variable.assign(random.normal(0, 0.5, variable.shape))


def float64(variable):
    return variable.numpy().astype(np.float64)


def weights_with(cross, tower, value):
    """Return the weights in the form that the references take; without batch norm.

    Args:
        cross: weights of each cross layer.
        tower: tower with the other weights.
        value: function that reads a variable.
    """

    def mlp(block):
        return [{"kernel": value(dense.kernel), "bias": value(dense.bias), "norm": None} for dense, *_ in block.blocks]

    return {
        "cross": cross,
        "deep_on_cross": tower.deep_on_cross and mlp(tower.deep_on_cross),
        "deep": tower.deep and mlp(tower.deep),
        "head": [value(v) for v in tower.head.trainable_variables],
    }


def check_towers(tower, structure):
    """Check that blocks are named and that each variable is in exactly one of them."""
    named = {name: [id(v) for layer in layers for v in layer.variables] for name, layers in tower.blocks.items()}

    assert list(named) == (["cross", "head"] if structure == "cross_only" else ["cross", "deep", "head"])
    assert sorted(chain(*named.values())) == sorted(id(v) for v in tower.variables)
    assert all(named.values())


def check_gradients(tower, reference_logits, width=WIDTH):
    """Check gradients of the input and of every weight against finite differences of the reference.

    Args:
        tower: built tower without batch norm.
        reference_logits: function of x_0 and of `value`, which reads a variable.
        width: width of x_0.
    """
    randomize(tower)
    point, h, random = tf.constant(x0(width=width, seed=2)), 1e-6, np.random.default_rng(3)

    with tf.GradientTape() as tape:
        tape.watch(point)
        total = tf.reduce_sum(tower(point, 0))
    sources = [point, *tower.trainable_variables]

    for source, gradient in zip(sources, tape.gradient(total, sources), strict=True):
        direction = random.normal(size=source.shape)

        def reference_total(step, source=source, direction=direction):
            def value(tensor):
                return float64(tensor) + (step * direction if tensor is source else 0)

            return reference_logits(value(point), value).sum()

        terms = gradient.numpy() * direction
        slope = (reference_total(h) - reference_total(-h)) / (2 * h)
        assert terms.sum() == pytest.approx(slope, rel=1e-4, abs=1e-5 * np.abs(terms).sum())
