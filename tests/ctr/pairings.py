"""Models paired with optimizers, for tests of every model and for the trajectories of `tests/golden/models`."""

import inspect
import json

import yaml

from models import MODELS

MODEL_PAIRINGS = {
    "dnn": ("{type: dnn, hidden: [8], activation: prelu}", "adagrad", "sgd"),
    "wide_deep": ("{type: wide_deep, hidden: [8]}", "group_lasso_adagrad", "adamw"),
    "linear": ("{type: linear}", "ftrl", "sgd"),
    "fm": ("{type: fm}", "adagrad", "adam"),
    "deepfm": ("{type: deepfm, hidden: [8]}", "lazy_adam", "adam"),
    "dcn": ("{type: dcn, cross_layers: 2, hidden: [8]}", "lazy_adam", "adam"),
    "dcn_v2": ("{type: dcn_v2, cross_layers: 2, rank: 3, hidden: [8]}", "rmsprop_v2", "lamb"),
    "dcn_mix": ("{type: dcn_mix, experts: 2, hidden: [8]}", "ftrl", "adam"),
    "gdcn": ("{type: gdcn, cross_layers: 2, hidden: [8]}", "adagrad", "adam"),
    "compressed_dot": ("{type: compressed_dot, compressed: 2, compress_hidden: [4], hidden: [8]}", "momentum", "lion"),
    "auto_int": (
        "{type: auto_int, attention_layers: 1, attention_width: 6, hidden: [8]}",
        "group_lasso_adagrad",
        "adam",
    ),
    "dlrm": ("{type: dlrm, bottom_hidden: [4], hidden: [8]}", "rowwise_adagrad", "sgd"),
    "final_mlp": (
        "{type: final_mlp, hidden: [8], hidden_2: [6], heads: 2, context_2: [user, history], gate_hidden: [4]}",
        "lazy_adam",
        "adam",
    ),
    "final_net": ("{type: final_net, hidden: [8], hidden_2: [6]}", "rmsprop_v2", "adamw"),
    "fcn": ("{type: fcn, exponential_layers: 1, linear_layers: 2, heads: 2}", "rmsprop", "adamw"),
    "qnn": ("{type: qnn, rows: 2, cross_layers: 1}", "adagrad", "adam"),
    "din": ("{type: din, targets: {history: item}, attention: [4], hidden: [8]}", "rmsprop", "rmsprop"),
    "can": (
        "{type: can, pairs: [[item, history], [user, hour]], micro_mlp: [4, 3, 2], independent_orders: true, "
        "base: {type: din, targets: {history: item}, attention: [4], hidden: [8]}}",
        "rowwise_adagrad",
        "adagrad",
    ),
    "two_stream": (
        "{type: two_stream, streams: {easy: {type: wide_deep, dim: 3, hidden: [6], dropout: 0.1}, "
        "hard: {type: din, targets: {history: item}, attention: [4], hidden: [8], dropout: 0.1}}}",
        "rmsprop_v2",
        "adam",
    ),
}
"""Model -> its settings, its table optimizer, its tower optimizer."""
SMALL_MODEL = "{type: dcn_v2, structure: stacked, cross_layers: 1, hidden: [4]}"
OPTIMIZER_PAIRINGS = {
    "optimizers_momenta": (
        {"user": "sgd", "item": "group_adam", "hour": "fobos_group_lasso"},
        {"cross": "momentum", "deep": "ema_momentum", "head": "amsgrad"},
    ),
    "optimizers_ratios": ({"*": "adagrad"}, {"cross": "lars", "deep": "amos", "head": "adafactor"}),
    "optimizers_lassos": ({"*": "sgd"}, {"cross": "fobos_group_lasso", "deep": "group_lasso_adagrad", "head": "ftrl"}),
    "optimizers_rows": ({"*": "momentum"}, {"cross": "group_adam", "deep": "rmsprop_v2", "head": "adam"}),
}
"""Name -> optimizers of tables and blocks of the small model, for optimizers that no model above is paired with."""
SELF_ENSEMBLE = ("{type: qnn, layers: 1, rows: 2}", {"*": "adagrad"}, {"*": "adam"})
"""Model, and optimizers of its tables and blocks, for the trajectory `self_ensemble`."""
EVERY_TERM = {
    "adafactor": {"epsilon_1": 0.0001},
    "adagrad": {"initial_accumulator": 0.01, "epsilon": 0.001},
    "adam": {"epsilon": 0.001},
    "adamw": {"epsilon": 0.001, "weight_decay": 0.1},
    "amsgrad": {"beta_2": 0.5, "epsilon": 0.001},
    "fobos_group_lasso": {"beta": 0.5, "l21": 0.005},
    "ftrl": {"l1": 0.0005, "l2": 0.01},
    "group_adam": {"epsilon": 0.001, "l1": 0.0001, "l21": 0.0001, "l2": 0.01},
    "group_lasso_adagrad": {"l1": 0.0002, "l21": 0.0002, "l2": 0.01},
    "lamb": {"epsilon": 0.001, "weight_decay": 0.1},
    "lars": {"learning_rate": 1.0, "weight_decay": 0.1},
    "lazy_adam": {"epsilon": 0.001},
    "lion": {"weight_decay": 0.1},
    "momentum": {"nesterov": True},
    "rmsprop": {"epsilon": 0.001},
    "rmsprop_v2": {"beta": 0.9, "epsilon": 0.001},
    "rowwise_adagrad": {"epsilon": 0.001},
}
"""Optimizer -> settings with which each term of its formula changes weights within six steps; others need none."""


def settings_of(name):
    """Return overrides of the small experiment that train a model with the defaults of its two optimizers."""
    assert name in MODEL_PAIRINGS, f"{name}: add a pairing to MODEL_PAIRINGS of tests/ctr/pairings.py"
    model, sparse, dense = MODEL_PAIRINGS[name]
    return [
        f"model={model}",
        f"optimizers.sparse={{'*': {{type: {sparse}, learning_rate: 0.1}}}}",
        f"optimizers.dense={{type: {dense}, learning_rate: 0.01}}",
        "training.epochs=1",
    ]


def golden_pairings():
    """Return the overrides of the small experiment by name of the golden trajectory."""
    of_models = {name: (model, {"*": sparse}, {"*": dense}) for name, (model, sparse, dense) in MODEL_PAIRINGS.items()}
    of_optimizers = {name: (SMALL_MODEL, *both) for name, both in OPTIMIZER_PAIRINGS.items()}
    pairings = {name: _golden_settings(*pairing) for name, pairing in (of_models | of_optimizers).items()}
    return pairings | {"self_ensemble": [*_golden_settings(*SELF_ENSEMBLE), "training.self_ensemble=true"]}


def _golden_settings(model, sparse, dense):
    """Return overrides that enable dropout, large enough vectors to interact, and every term of an optimizer."""
    return [
        f"model={model}",
        *_dropout(model),
        "model.initializer={tables: 0.3}",
        f"optimizers.sparse={_optimizers(sparse, learning_rate=0.1)}",
        f"optimizers.dense={_optimizers(dense, learning_rate=0.01)}",
    ]


def _dropout(model):
    """Return the dropout setting of a model whose tower or base has dropout."""
    settings = yaml.safe_load(model)
    tower = settings.get("base", settings)["type"]
    has_dropout = "dropout" in inspect.signature(MODELS[tower]).parameters
    return [f"model.{'base.' if 'base' in settings else ''}dropout=0.1"] if has_dropout else []


def _optimizers(types, learning_rate):
    """Return YAML for a section of `optimizers`, given the type of each pattern."""
    chosen = {
        pattern: {"type": name, "learning_rate": learning_rate, **EVERY_TERM.get(name, {})}
        for pattern, name in types.items()
    }
    return json.dumps(chosen)
