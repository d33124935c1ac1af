"""Adam for towers: tf_keras's Adam against the formula in float64."""

import numpy as np
import pytest
import tensorflow as tf

from optimizers import adam
from tests.optimizers.dense_cases import train_in_a_graph
from tests.reference.adam import adam as reference

SHAPE = [6, 5]


def gradients(steps):
    random = np.random.default_rng(1)
    return [random.normal(0, 10 ** random.uniform(-4, 0), SHAPE).astype(np.float32) for _ in range(steps)]


@pytest.mark.medium
@pytest.mark.parametrize(
    "config",
    [
        {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
        {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"learning_rate": 0.01, "beta_1": 0.0, "beta_2": 0.99, "epsilon": 1e-8},
        {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.9, "epsilon": 1e-8, "amsgrad": True},
        {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "bias_correction": False},
        {
            "learning_rate": 0.01,
            "beta_1": 0.9,
            "beta_2": 0.9,
            "epsilon": 1e-8,
            "amsgrad": True,
            "bias_correction": False,
        },
    ],
    ids=str,
)
def test_float32_follows_the_float64_reference_over_200_steps(config):
    weight = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    variable, optimizer = tf.Variable(weight), adam(**config)

    train_in_a_graph(optimizer, [variable], [[gradient] for gradient in gradients(200)])

    expected = reference(weight, gradients(200), **config)
    assert np.abs(variable.numpy() - expected).max() <= 1e-5 * np.abs(expected).max()


def test_the_first_step_is_the_learning_rate_whatever_the_gradient():
    variable = tf.Variable([0.0, 0.0, 0.0])

    adam(learning_rate=0.25).apply_gradients([(tf.constant([0.1, -1.0, 1e6]), variable)])

    np.testing.assert_allclose(variable.numpy(), [-0.25, 0.25, -0.25], rtol=1e-5)


def test_without_bias_correction_the_first_step_is_longer():
    variable = tf.Variable([0.0, 0.0])

    adam(learning_rate=0.25, bias_correction=False).apply_gradients([(tf.constant([0.1, -1.0]), variable)])

    longer = 0.25 * (1 - 0.9) / np.sqrt(1 - 0.999)
    np.testing.assert_allclose(variable.numpy(), [-longer, longer], rtol=1e-5)


def test_its_defaults_are_those_of_the_paper():
    config = adam().get_config()

    published = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
    assert {key: config[key] for key in published} == pytest.approx(published)


def test_xla_is_off():
    assert not adam().jit_compile
    assert not adam(bias_correction=False).jit_compile


@pytest.mark.parametrize(
    ("argument", "value"),
    [("learning_rate", -0.1), ("beta_1", 1.0), ("beta_1", -0.1), ("beta_2", 1.0), ("beta_2", -0.1), ("epsilon", 0.0)],
)
@pytest.mark.parametrize("bias_correction", [True, False])
def test_an_argument_out_of_range_is_refused(argument, value, bias_correction):
    with pytest.raises(ValueError, match=f"{argument} .*Received: .*{value}"):
        adam(**{argument: value}, bias_correction=bias_correction)
