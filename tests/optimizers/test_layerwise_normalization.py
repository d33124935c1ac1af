"""Layer-wise normalization keeps the direction of a step that is far below the spacing of the weights."""

import numpy as np
import pytest
import tensorflow as tf

from optimizers import DENSE, LayerwiseNormalization, Lookahead, Regularized, RMSPropV2
from optimizers.layerwise_normalization import WEIGHT_INDEPENDENT, _ignores_weights
from tests.optimizers.dense_cases import CASES, normalized

SHAPE, RATE = [12, 8], 0.001
SIZES = [1e-4, 1e-6, 1e-7]
DIRECT = {
    name: case
    for name, case in CASES.items()
    if type(case.optimizer()) in WEIGHT_INDEPENDENT and not case.config.get("weight_decay")
}
each_size = pytest.mark.parametrize("size", SIZES)


def gradients(size, steps=3):
    return (np.random.default_rng(7).normal(size=[steps, *SHAPE]) * size).astype(np.float32)


def weight_changes(optimizer, steps):
    """Return the change of weights of 0.1 at each step."""
    weight = tf.Variable(tf.fill(SHAPE, 0.1))
    changes = []
    for gradient in steps:
        before = weight.numpy().astype(np.float64)
        optimizer.apply_gradients([(tf.constant(gradient), weight)])
        changes.append(weight.numpy() - before)
    return changes


def cosine(left, right):
    return (left * right).sum() / np.linalg.norm(left) / np.linalg.norm(right)


@each_size
@pytest.mark.parametrize("name", DIRECT)
@pytest.mark.medium
def test_a_step_that_does_not_read_the_weight_keeps_its_direction(name, size):
    case = DIRECT[name]
    steps = gradients(size)

    changes = weight_changes(LayerwiseNormalization(case.optimizer(learning_rate=RATE)), steps)

    settings = {**case.config, "learning_rate": RATE}
    reached = [np.zeros(SHAPE), *(case.reference(np.zeros(SHAPE), steps[: t + 1], **settings) for t in range(3))]
    for one, expected in zip(changes, np.diff(reached, axis=0), strict=True):
        assert cosine(one, expected) > 1 - 1e-6
        # each step changes weights near 0.1 by this fraction of their norm
        assert np.linalg.norm(one) == pytest.approx(RATE * 0.1 * np.sqrt(one.size), rel=0.01)


@each_size
def test_penalties_inside_it_keep_the_direction_too(size):
    [gradient] = gradients(size, steps=1)
    penalized = gradient.astype(np.float64) + size * np.float64(np.float32(0.1))

    [found] = weight_changes(LayerwiseNormalization(Regularized(DENSE["sgd"](RATE), l2_gradient=size)), [gradient])

    assert cosine(found, -penalized) > 1 - 1e-6


def test_a_step_that_reads_the_weight_is_rounded_to_its_spacing():
    """The docstring's figures: the direction of a step of 1e-5 of the weights is off by 0.3%, of 1e-7 by 20%."""
    off = {}
    for share in (1e-5, 1e-7):
        [gradient] = gradients(share * 0.1 / RATE, steps=1)
        base = Lookahead(DENSE["sgd"](RATE), every=1, alpha=1.0)  # SGD, computed through the weight
        [found] = weight_changes(LayerwiseNormalization(base), [gradient])
        off[share] = np.sqrt(1 - cosine(found, -gradient.astype(np.float64)) ** 2)
    assert off[1e-5] == pytest.approx(0.003, abs=0.001)
    assert off[1e-7] == pytest.approx(0.2, abs=0.1)


@pytest.mark.parametrize("name", sorted(DENSE))
def test_an_optimizer_that_counts_as_blind_does_not_read_the_weight(name):
    if not _ignores_weights(DENSE[name]()):
        return
    moves = []
    for start in (0.0, 3.0):
        weight, optimizer = tf.Variable(tf.fill(SHAPE, start)), DENSE[name](0.25)
        optimizer.build([weight])
        for gradient in gradients(1.0):
            optimizer.update_step(tf.constant(gradient), weight)
        moves.append(weight.numpy() - start)
    np.testing.assert_allclose(*moves, rtol=0, atol=1e-5)


@pytest.mark.parametrize("setting", [{"l2_gradient": 0.1}, {"weight_decay": 0.1}, {"max_norm": 1.0}])
def test_settings_that_read_the_weight_are_seen(setting):
    assert _ignores_weights(RMSPropV2())
    assert not _ignores_weights(RMSPropV2(**setting))


def test_it_adds_nothing_to_the_state_of_base():
    weight = tf.Variable(tf.ones(SHAPE))
    alone, around = CASES["adam"].optimizer(), normalized(0.01, 0.0)
    for optimizer in (alone, around):
        optimizer.apply_gradients([(tf.ones(SHAPE), weight)])
    assert [v.shape for v in around.variables] == [v.shape for v in alone.variables]


@each_size
def test_around_rmsprop_v2_it_keeps_the_direction(size):
    steps = gradients(size, steps=1)
    [found] = weight_changes(LayerwiseNormalization(RMSPropV2(RATE)), steps)
    expected = -steps[0].astype(np.float64) / np.sqrt(steps[0].astype(np.float64) ** 2 + 1e-8)
    assert cosine(found, expected) > 1 - 1e-6
