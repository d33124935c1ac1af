"""Cases for the contract of every tower optimizer, and helpers that train variables with one."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf
import tf_keras

from optimizers.adafactor import Adafactor
from optimizers.adam import adam
from optimizers.amos import Amos
from optimizers.dense import adagrad_dense, adamw, amsgrad, lion, rmsprop_dense, sgd_dense
from optimizers.dense_momentum import DenseMomentum
from optimizers.ema_momentum import EMAMomentum
from optimizers.lamb import LAMB
from optimizers.lars import LARS
from optimizers.layerwise_normalization import LayerwiseNormalization
from optimizers.lookahead import Lookahead
from optimizers.regularized import Regularized
from tests.optimizers.lanes import on_cases
from tests.reference import dense as reference
from tests.reference.adam import adam as adam_reference

SHAPES = {"kernel": [6, 5], "bias": [5], "stack": [2, 3, 4]}
keras = tf_keras.optimizers


def lookahead(learning_rate=0.01, momentum=0.9, every=5, alpha=0.5):
    """Return Lookahead around momentum."""
    return Lookahead(sgd_dense(learning_rate, momentum), every, alpha)


def regularized(learning_rate, momentum, l1_gradient, l2_gradient):
    """Return penalties around momentum."""
    return Regularized(sgd_dense(learning_rate, momentum), l1_gradient, l2_gradient)


def normalized(learning_rate, weight_decay, **betas):
    """Return layer-wise normalization around Adam: LAMB without decay."""
    return LayerwiseNormalization(adam(learning_rate, **betas))


def all_around(learning_rate, momentum, l1_gradient, l2_gradient, normalized, every, alpha):
    """Return all three wrappers around momentum."""
    inner = LayerwiseNormalization(regularized(learning_rate, momentum, l1_gradient, l2_gradient))
    return Lookahead(inner, every, alpha)


@dataclass(frozen=True, eq=False)
class Case:
    make: Callable[..., tf_keras.optimizers.Optimizer]
    reference: Callable[..., np.ndarray]
    config: dict
    """Arguments of the optimizer and of its reference."""
    quadratic: float
    """Learning rate at which it solves a convex quadratic."""
    rosenbrock: float
    """Learning rate at which it descends Rosenbrock's valley."""
    keras: Callable[..., tf_keras.optimizers.Optimizer] | None = None
    """Function that makes the equivalent tf_keras optimizer."""
    own: dict = field(default_factory=dict)
    """Arguments of the optimizer only."""

    def optimizer(self, **changes):
        return self.make(**{**self.own, **self.config, **changes})


ADAM = {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-8}
CASES = {
    "adam": Case(adam, adam_reference, ADAM, 0.01, 0.01, keras.Adam),
    "amsgrad": Case(
        amsgrad,
        lambda *a, **k: adam_reference(*a, **k, amsgrad=True),
        ADAM,
        0.01,
        0.01,
        lambda **k: keras.Adam(**k, amsgrad=True),
    ),
    "uncorrected adam": Case(adam, reference.uncorrected_adam, ADAM, 0.01, 0.01, own={"bias_correction": False}),
    "uncorrected amsgrad": Case(
        adam,
        reference.uncorrected_adam,
        {**ADAM, "amsgrad": True},
        0.01,
        0.01,
        own={"bias_correction": False},
    ),
    "adamw": Case(adamw, reference.adamw, {**ADAM, "weight_decay": 0.01}, 0.01, 0.01, keras.AdamW),
    "adamw, no decay": Case(adamw, reference.adamw, {**ADAM, "weight_decay": 0.0}, 0.01, 0.01, keras.AdamW),
    "adagrad": Case(
        adagrad_dense,
        reference.adagrad,
        {"learning_rate": 0.1, "initial_accumulator": 0.1, "epsilon": 1e-7},
        0.5,
        0.5,
        lambda learning_rate, initial_accumulator, epsilon: keras.Adagrad(learning_rate, initial_accumulator, epsilon),
    ),
    "adagrad, capped": Case(
        adagrad_dense,
        reference.adagrad,
        {"learning_rate": 0.1, "initial_accumulator": 0.1, "epsilon": 1e-7, "max_accumulator": 1.0},
        0.5,
        0.001,
    ),
    "rmsprop": Case(
        rmsprop_dense,
        reference.rmsprop,
        {"learning_rate": 0.01, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7},
        0.01,
        0.001,
        keras.RMSprop,
    ),
    "rmsprop, momentum": Case(
        rmsprop_dense,
        reference.rmsprop,
        {"learning_rate": 0.001, "rho": 0.99, "momentum": 0.9, "epsilon": 1e-5},
        0.001,
        0.0003,
        keras.RMSprop,
    ),
    "rmsprop, centered": Case(
        rmsprop_dense,
        reference.rmsprop,
        {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.5, "epsilon": 1e-3, "centered": True},
        0.001,
        0.00003,
        keras.RMSprop,
    ),
    "rmsprop, corrected": Case(
        rmsprop_dense,
        reference.rmsprop,
        {"learning_rate": 0.001, "rho": 0.99, "momentum": 0.5, "epsilon": 1e-7, "bias_correction": True},
        0.005,
        0.001,
    ),
    "rmsprop, centered, corrected": Case(
        rmsprop_dense,
        reference.rmsprop,
        {
            "learning_rate": 0.001,
            "rho": 0.9,
            "momentum": 0.5,
            "epsilon": 1e-2,
            "centered": True,
            "bias_correction": True,
        },
        0.001,
        0.00003,
    ),
    "sgd": Case(sgd_dense, reference.sgd, {"learning_rate": 0.1}, 0.5, 0.001, keras.SGD),
    "sgd, momentum": Case(sgd_dense, reference.sgd, {"learning_rate": 0.1, "momentum": 0.9}, 0.1, 0.0005, keras.SGD),
    "sgd, nesterov": Case(
        sgd_dense,
        reference.sgd,
        {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
        0.1,
        0.0005,
        keras.SGD,
    ),
    "lion": Case(
        lion,
        reference.lion,
        {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.99, "weight_decay": 0.1},
        0.005,
        0.001,
        keras.Lion,
    ),
    "lion, no decay": Case(
        lion,
        reference.lion,
        {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.99, "weight_decay": 0.0},
        0.005,
        0.001,
        keras.Lion,
    ),
    "adafactor": Case(
        Adafactor,
        reference.adafactor,
        {"learning_rate": 0.01, "decay": 0.8, "epsilon_1": 1e-30, "epsilon_2": 1e-3, "clip_threshold": 1.0},
        0.01,
        0.01,
        lambda decay, **k: keras.Adafactor(**k, beta_2_decay=-decay),
    ),
    "lamb": Case(LAMB, reference.lamb, {**ADAM, "weight_decay": 0.01}, 0.01, 0.005),
    "lars": Case(
        LARS,
        reference.lars,
        {"learning_rate": 1.0, "momentum": 0.9, "trust": 0.01, "weight_decay": 0.001},
        0.2,
        0.02,
    ),
    "ema_momentum": Case(
        EMAMomentum, reference.ema_momentum, {"learning_rate": 0.1, "beta": 0.9, "bias_correction": True}, 0.5, 0.002
    ),
    "ema_momentum, uncorrected": Case(
        EMAMomentum, reference.ema_momentum, {"learning_rate": 0.1, "beta": 0.95, "bias_correction": False}, 0.5, 0.002
    ),
    "momentum": Case(DenseMomentum, reference.sgd, {"learning_rate": 0.1, "momentum": 0.9}, 0.1, 0.0005, keras.SGD),
    "momentum, nesterov": Case(
        DenseMomentum,
        reference.sgd,
        {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
        0.1,
        0.0005,
        keras.SGD,
    ),
    "amos": Case(Amos, reference.amos, {"learning_rate": 0.1, "beta": 0.99, "scale": 1.0}, 0.2, 0.1),
    "lookahead": Case(
        lookahead,
        reference.around_sgd,
        {"learning_rate": 0.1, "momentum": 0.9, "every": 7, "alpha": 0.4},
        0.1,
        0.0005,
    ),
    "regularized": Case(
        regularized,
        reference.around_sgd,
        {"learning_rate": 0.1, "momentum": 0.9, "l1_gradient": 0.001, "l2_gradient": 0.002},
        0.1,
        0.0005,
    ),
    "normalized": Case(
        normalized,
        reference.lamb,
        {**ADAM, "epsilon": 1e-12, "weight_decay": 0.0},
        0.01,
        0.005,
    ),
    "regularized, normalized, lookahead": Case(
        all_around,
        reference.around_sgd,
        {
            "learning_rate": 0.01,
            "momentum": 0.5,
            "l1_gradient": 0.001,
            "l2_gradient": 0.002,
            "normalized": True,
            "every": 7,
            "alpha": 0.4,
        },
        0.005,
        0.008,
    ),
}

VARIANTS = {
    "uncorrected amsgrad",
    "adamw, no decay",
    "rmsprop, momentum",
    "rmsprop, centered",
    "rmsprop, corrected",
    "sgd, momentum",
    "sgd, nesterov",
    "lion, no decay",
    "ema_momentum, uncorrected",
    "momentum, nesterov",
}
"""Names of cases whose class and config name another case has too."""
KINDS = {"adam", "adagrad, capped", "adafactor", "regularized, normalized, lookahead"}
"""Cases of a Keras class, a `RowOptimizer`, a `DenseOptimizer` with states unlike its weights, and all wrappers."""

each = on_cases(CASES, CASES)
each_name = on_cases(CASES, CASES.keys() - VARIANTS)
each_kind = on_cases(CASES, KINDS)


def weights():
    random = np.random.default_rng(0)
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def variables():
    return [tf.Variable(weight, name=name) for name, weight in weights().items()]


def gradients(steps):
    """Return, for each step, a gradient of each of `variables`; magnitudes differ by powers of ten."""
    random = np.random.default_rng(1)
    return [
        [(random.normal(size=shape) * 10 ** random.uniform(-3, 0)).astype(np.float32) for shape in SHAPES.values()]
        for _ in range(steps)
    ]


def train(optimizer, variables_, steps):
    for step in steps:
        optimizer.apply_gradients(zip(map(tf.convert_to_tensor, step), variables_, strict=True))


def trained(optimizer, steps=12):
    some = variables()
    train(optimizer, some, gradients(steps))
    return [v.numpy() for v in some]


def trained_in_a_graph(optimizer, steps):
    """Return the same as `trained`, faster for many steps."""
    some = variables()
    train_in_a_graph(optimizer, some, gradients(steps))
    return [v.numpy() for v in some]


def train_in_a_graph(optimizer, variables_, steps):
    optimizer.build(variables_)

    @tf.function
    def run(stacked):
        for k in tf.range(len(steps)):
            train(optimizer, variables_, [[of_variable[k] for of_variable in stacked]])

    run([tf.constant(np.stack(of_variable)) for of_variable in zip(*steps, strict=True)])


def assert_same_bits(left, right):
    assert [one.tobytes() for one in left] == [one.tobytes() for one in right]
