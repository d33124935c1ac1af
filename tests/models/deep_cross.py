"""What the tests of the Deep & Cross family share."""

import numpy as np
import pytest

WIDTH = 6
every_structure = pytest.mark.parametrize("structure", ["stacked", "parallel", "stacked_parallel", "cross_only"])


def x0(size=5, width=WIDTH, seed=0):
    return np.random.default_rng(seed).normal(size=[size, width]).astype(np.float32)


def randomize(layer):
    """Give every variable random values, biases too, of a size that saturates neither gates nor tanh."""
    random = np.random.default_rng(1)
    for variable in layer.variables:
        variable.assign(random.normal(0, 0.5, variable.shape))


def float64(variable):
    return variable.numpy().astype(np.float64)


def weights_with(cross, tower, value):
    """The weights as the references take them, with those of the cross layers; no batch norm.

    Args:
        cross: of each layer.
        tower: the rest is its.
        value: gives a variable's.
    """

    def mlp(block):
        return [{"kernel": value(dense.kernel), "bias": value(dense.bias), "norm": None} for dense, *_ in block.blocks]

    return {
        "cross": cross,
        "deep_on_cross": tower.deep_on_cross and mlp(tower.deep_on_cross),
        "deep": tower.deep and mlp(tower.deep),
        "head": [value(v) for v in tower.head.trainable_variables],
    }
