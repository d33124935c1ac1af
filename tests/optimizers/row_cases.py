"""Table optimizers: CASES has one entry for each configuration, and every test of the shared contract reads it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from optimizers import (
    SGD,
    Adagrad,
    FobosGroupLasso,
    FtrlProximal,
    GroupAdam,
    GroupLassoAdagrad,
    LazyAdam,
    Momentum,
    RMSProp,
    RMSPropV2,
    RowOptimizer,
    RowWiseAdagrad,
)
from tests.optimizers.lanes import on_cases
from tests.reference.adagrad import adagrad
from tests.reference.fobos_group_lasso import fobos_group_lasso
from tests.reference.ftrl import ftrl
from tests.reference.group_adam import group_adam
from tests.reference.group_lasso_adagrad import group_lasso_adagrad
from tests.reference.lazy_adam import lazy_adam
from tests.reference.rmsprop import rmsprop
from tests.reference.rmsprop_v2 import rmsprop_v2
from tests.reference.rowwise_adagrad import rowwise_adagrad
from tests.reference.sgd import momentum, sgd


@dataclass(frozen=True, eq=False)
class Case:
    """A table optimizer and its float64 reference, which take the same arguments.

    One case of each optimizer has objectives: learning rates at which it minimizes a sum of squares and Rosenbrock's
    valley, and the other arguments changed for them.
    """

    optimizer: type[RowOptimizer]
    reference: Callable
    config: dict[str, Any]
    squares: float | None = None
    rosenbrock: float | None = None
    objective_config: dict[str, Any] = field(default_factory=dict)

    def make(self, **changes):
        return self.optimizer(**{**self.config, **changes})


ADAGRAD = {"learning_rate": 0.05, "initial_accumulator": 0.1, "epsilon": 1e-7, "max_accumulator": None}
ADAM = {"learning_rate": 0.02, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
FOBOS = {
    "learning_rate": 0.05,
    "beta": 0.5,
    "initial_accumulator": 0.1,
    "l21": 0.005,
    "scale_sqrt_dim": True,
    "catch_up": False,
}
FTRL = {"learning_rate": 0.1, "beta": 1.0, "l1": 0.0, "l2": 0.0, "keep_initial_weights": True}
GROUP_ADAM = {
    "learning_rate": 0.01,
    "beta_1": 0.9,
    "beta_2": 0.99,
    "epsilon": 1e-6,
    "l1": 0.0,
    "l21": 0.0,
    "l2": 0.0,
    "scale_sqrt_dim": True,
}
GROUP_LASSO = {"learning_rate": 0.05, "beta": 1.0, "l1": 0.2, "l21": 0.4, "l2": 0.3, "keep_initial_weights": True}
RMS = {"learning_rate": 0.02, "beta": 0.99, "epsilon": 1e-3, "l2_gradient": 0.05}

CASES = {
    "rmsprop_v2": Case(RMSPropV2, rmsprop_v2, {**RMS, "epsilon": 1e-8, "l2_gradient": 0.0}, 0.3, 0.02),
    "rmsprop_v2-l2_gradient": Case(RMSPropV2, rmsprop_v2, {**RMS, "epsilon": 1e-8}),
    "rmsprop_v2-epsilon_outside": Case(RMSPropV2, rmsprop_v2, {**RMS, "epsilon_inside": False}),
    "rmsprop_v2-momentum": Case(RMSPropV2, rmsprop_v2, {**RMS, "momentum": 0.9}),
    "rmsprop_v2-time": Case(RMSPropV2, rmsprop_v2, {**RMS, "beta": 0.9, "decay": "time"}),
    "rmsprop_v2-momentum-time": Case(
        RMSPropV2, rmsprop_v2, {**RMS, "beta": 0.9, "momentum": 0.5, "decay": "time", "epsilon_inside": False}
    ),
    "ftrl": Case(FtrlProximal, ftrl, FTRL, 1.0, 0.5, {"beta": 0.1}),
    "ftrl-penalties": Case(FtrlProximal, ftrl, {**FTRL, "l1": 0.5, "l2": 0.3, "keep_initial_weights": False}),
    "ftrl-penalties-preserved": Case(
        FtrlProximal, ftrl, {**FTRL, "beta": 0.5, "l1": 0.5, "l2": 0.3, "l2_gradient": 0.01}
    ),
    "ftrl-shrinkage": Case(FtrlProximal, ftrl, {**FTRL, "l2_shrinkage": 0.2}),
    "ftrl-power": Case(FtrlProximal, ftrl, {**FTRL, "learning_rate_power": -0.3}),
    "ftrl-power_0": Case(FtrlProximal, ftrl, {**FTRL, "beta": 0.0, "learning_rate_power": 0.0}),
    "ftrl-power-shrinkage-penalties": Case(
        FtrlProximal,
        ftrl,
        {**FTRL, "learning_rate_power": -0.7, "l2_shrinkage": 0.2, "l1": 0.3, "l2": 0.2, "keep_initial_weights": False},
    ),
    "group_lasso": Case(
        GroupLassoAdagrad,
        group_lasso_adagrad,
        {**GROUP_LASSO, "beta": 0.1, "l1": 0.0, "l21": 0.0, "l2": 0.0},
        1.0,
        0.5,
    ),
    "group_lasso-penalties": Case(
        GroupLassoAdagrad, group_lasso_adagrad, {**GROUP_LASSO, "keep_initial_weights": False}
    ),
    "group_lasso-penalties-preserved": Case(GroupLassoAdagrad, group_lasso_adagrad, GROUP_LASSO),
    "group_lasso-plain_radius": Case(
        GroupLassoAdagrad, group_lasso_adagrad, {**GROUP_LASSO, "l21": 0.8, "scale_sqrt_dim": False}
    ),
    "fobos_group_lasso": Case(FobosGroupLasso, fobos_group_lasso, FOBOS, 1.0, 0.5, {"beta": 0.0, "l21": 0.0}),
    "fobos_group_lasso-monolith": Case(
        FobosGroupLasso, fobos_group_lasso, {**FOBOS, "beta": 0.0, "scale_sqrt_dim": False, "l2_gradient": 0.01}
    ),
    "fobos_group_lasso-catch_up": Case(
        FobosGroupLasso,
        fobos_group_lasso,
        {**FOBOS, "l21": 0.0005, "catch_up": True, "l2_gradient": 0.01, "weight_decay": 0.1},
    ),
    "group_adam": Case(GroupAdam, group_adam, GROUP_ADAM, 0.1, 0.02, {"beta_2": 0.999, "epsilon": 1e-8}),
    "group_adam-penalties": Case(
        GroupAdam, group_adam, {**GROUP_ADAM, "l1": 0.05, "l21": 0.1, "l2": 0.3, "l2_gradient": 0.01}
    ),
    "group_adam-plain_radius": Case(GroupAdam, group_adam, {**GROUP_ADAM, "l21": 0.1, "scale_sqrt_dim": False}),
    "adagrad": Case(Adagrad, adagrad, ADAGRAD, 1.0, 0.5),
    "adagrad-bounded-l2_gradient": Case(
        Adagrad, adagrad, {**ADAGRAD, "initial_accumulator": 0.01, "max_accumulator": 2.0, "l2_gradient": 0.05}
    ),
    "adagrad-from-zero": Case(Adagrad, adagrad, {**ADAGRAD, "initial_accumulator": 0.0}),
    "rowwise_adagrad": Case(RowWiseAdagrad, rowwise_adagrad, {"learning_rate": 0.05, "epsilon": 1e-8}, 1.0, 0.5),
    "rowwise_adagrad-l2_gradient": Case(
        RowWiseAdagrad, rowwise_adagrad, {"learning_rate": 0.05, "epsilon": 1e-4, "l2_gradient": 0.05}
    ),
    "lazy_adam-table": Case(LazyAdam, lazy_adam, {**ADAM, "bias_correction": "table"}, 0.1, 0.02),
    "lazy_adam-row": Case(LazyAdam, lazy_adam, {**ADAM, "bias_correction": "row"}),
    "lazy_adam-row-l2_gradient": Case(
        LazyAdam,
        lazy_adam,
        {**ADAM, "beta_1": 0.0, "beta_2": 0.9, "epsilon": 1e-3, "bias_correction": "row", "l2_gradient": 0.05},
    ),
    "lazy_adam-uncorrected": Case(LazyAdam, lazy_adam, {**ADAM, "bias_correction": None}),
    "lazy_adam-table-average": Case(LazyAdam, lazy_adam, {**ADAM, "beta_2": "1 - 1/t", "bias_correction": "table"}),
    "lazy_adam-row-average": Case(LazyAdam, lazy_adam, {**ADAM, "beta_2": "1 - 1/t", "bias_correction": "row"}),
    "lazy_adam-uncorrected-average": Case(
        LazyAdam, lazy_adam, {**ADAM, "beta_2": "1 - 1/t", "bias_correction": None, "l2_gradient": 0.05}
    ),
    "rmsprop": Case(RMSProp, rmsprop, {"learning_rate": 0.02, "rho": 0.9, "epsilon": 1e-7}, 0.02, 0.002),
    "rmsprop-l2_gradient": Case(
        RMSProp, rmsprop, {"learning_rate": 0.02, "rho": 0.99, "epsilon": 1e-7, "l2_gradient": 0.05}
    ),
    "momentum": Case(Momentum, momentum, {"learning_rate": 0.05, "momentum": 0.9, "nesterov": False}, 0.02, 0.0002),
    "momentum-nesterov": Case(
        Momentum, momentum, {"learning_rate": 0.05, "momentum": 0.5, "nesterov": True, "l2_gradient": 0.05}
    ),
    "sgd": Case(SGD, sgd, {"learning_rate": 0.05}, 0.05, 0.001),
    "sgd-l2_gradient": Case(SGD, sgd, {"learning_rate": 0.05, "l2_gradient": 0.05}),
}

ONE_EACH = {name: case for name, case in CASES.items() if case.squares}
"""A case for each optimizer, for tests that do not depend on its arguments."""
CATCHES_UP = "fobos_group_lasso-catch_up"
"""The case whose weights change outside of `update`: it decays, and applies the steps missed since the last touch."""
KINDS = {"sgd", "ftrl", "lazy_adam-table"}
"""Cases without state, with weights computed from state, and with two states, for tests of the base class or store."""

every_case = on_cases(CASES, CASES)
every_optimizer = on_cases(CASES, [*ONE_EACH, CATCHES_UP])
every_kind = on_cases(CASES, [*KINDS, CATCHES_UP])
every_kind_of_optimizer = on_cases(ONE_EACH, KINDS)
