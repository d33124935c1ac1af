"""Sparse optimizers for embedding tables, dense optimizers for the tower, and a router that combines them."""

from collections.abc import Callable
from functools import partial

import tf_keras

from optimizers.adafactor import Adafactor
from optimizers.adagrad import Adagrad
from optimizers.adam import adam
from optimizers.amos import Amos
from optimizers.base import RowOptimizer
from optimizers.dense import adagrad_dense, adamw, amsgrad, lion, rmsprop_dense, sgd_dense
from optimizers.dense_momentum import DenseMomentum
from optimizers.ema_momentum import EMAMomentum
from optimizers.fobos_group_lasso import FobosGroupLasso
from optimizers.ftrl import FtrlProximal
from optimizers.group_adam import GroupAdam
from optimizers.group_lasso import GroupLassoAdagrad
from optimizers.lamb import LAMB
from optimizers.lars import LARS
from optimizers.layerwise_normalization import LayerwiseNormalization
from optimizers.lazy_adam import LazyAdam
from optimizers.lookahead import Lookahead
from optimizers.regularized import Regularized
from optimizers.rmsprop import RMSProp
from optimizers.rmsprop_v2 import RMSPropV2
from optimizers.router import Owned, PatternError, Router, resolve
from optimizers.row_store import RowStore, VariableRows
from optimizers.rowwise_adagrad import RowWiseAdagrad
from optimizers.schedules import SCHEDULES, Adjustable, InverseSquareRootDecay
from optimizers.sgd import SGD, Momentum
from optimizers.wrapper import innermost

SPARSE: dict[str, type[RowOptimizer]] = {
    "ftrl": FtrlProximal,
    "group_lasso_adagrad": GroupLassoAdagrad,
    "fobos_group_lasso": FobosGroupLasso,
    "group_adam": GroupAdam,
    "rmsprop_v2": RMSPropV2,
    "adagrad": Adagrad,
    "rowwise_adagrad": RowWiseAdagrad,
    "lazy_adam": LazyAdam,
    "rmsprop": RMSProp,
    "momentum": Momentum,
    "sgd": SGD,
}
"""Config name -> optimizer of embedding tables. The constructor's arguments are the config's keys."""

DENSE: dict[str, Callable[..., tf_keras.optimizers.Optimizer]] = {
    "adam": adam,
    "adamw": adamw,
    "amsgrad": amsgrad,
    "adagrad": adagrad_dense,
    "rmsprop": rmsprop_dense,
    "sgd": sgd_dense,
    "momentum": DenseMomentum,
    "ema_momentum": EMAMomentum,
    "lamb": LAMB,
    "lars": LARS,
    "lion": lion,
    "amos": Amos,
    "adafactor": Adafactor,
    "ftrl": partial(
        FtrlProximal, keep_initial_weights=True
    ),  # an all-zero tower has no gradient and would stay at zero
    "group_lasso_adagrad": partial(GroupLassoAdagrad, keep_initial_weights=True),
    "fobos_group_lasso": FobosGroupLasso,
    "group_adam": GroupAdam,
    "rmsprop_v2": RMSPropV2,
}
"""Config name -> optimizer of the dense tower. The arguments are the config's keys."""

__all__ = [
    "DENSE",
    "LAMB",
    "LARS",
    "SCHEDULES",
    "SGD",
    "SPARSE",
    "Adafactor",
    "Adagrad",
    "Adjustable",
    "Amos",
    "DenseMomentum",
    "EMAMomentum",
    "FobosGroupLasso",
    "FtrlProximal",
    "GroupAdam",
    "GroupLassoAdagrad",
    "InverseSquareRootDecay",
    "LayerwiseNormalization",
    "LazyAdam",
    "Lookahead",
    "Momentum",
    "Owned",
    "PatternError",
    "RMSProp",
    "RMSPropV2",
    "Regularized",
    "Router",
    "RowOptimizer",
    "RowStore",
    "RowWiseAdagrad",
    "VariableRows",
    "adagrad_dense",
    "adam",
    "adamw",
    "amsgrad",
    "innermost",
    "lion",
    "resolve",
    "rmsprop_dense",
    "sgd_dense",
]
