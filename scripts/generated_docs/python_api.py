"""Pages of the Python API: directives that mkdocstrings replaces with the docstrings of functions and classes."""

import functools
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

import ctr
import features
import models
import optimizers
from generated_docs.markdown import table


def _without(registry: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of a registry whose class is not in another."""
    return {name: one for name, one in registry.items() if _unwrapped(one) not in other.values()}


def _unwrapped(entry: Any) -> Any:
    return entry.func if isinstance(entry, functools.partial) else entry


PAGES: dict[ModuleType, dict[str, tuple[str, ...] | dict[str, Any]]] = {
    ctr: {
        "Train, evaluate, compare": ("train", "evaluate", "compare"),
        "A trained run": ("load_run", "TrainedRun"),
        "Configs": ("load_experiment", "Experiment", "load_study", "Study", "trust"),
        "Models of a run": ("sparsity_report",),
        "Errors": ("ConfigError", "Diverged"),
    },
    features: {
        "Read data": (
            "open_data", "open_table", "split_data", "draw_sample", "fit_encoder", "Encoder", "Reader",
            "FileOrderReader", "RowGroup",
        ),
        "Feed Keras": ("as_tf_dataset", "batch_signature"),
        "Decode ids": ("decode_ids", "decoded_batch", "describe_row"),
        "Settings": ("Features", "Split", "Columns"),
        "Errors": ("DataError",),
    },
    models: {
        "The model": ("CTRModel", "AUC", "Inputs", "Category", "SequenceInput", "Table"),
        "Towers": models.MODELS,
        "Parts of a tower": (
            "Tower", "TowerOutput", "BatchLoss", "batch_mean", "Stream", "Field", "Behaviors", "MLP", "BatchNorm",
            "batch_norm_layer", "Dropout", "PathInitializer", "seed_of", "with_streams", "Recorded", "recorded",
        ),
        "Embedding tables": ("EmbeddingTables", "fuse"),
        "Cost": ("cost_of", "ComponentCost"),
    },
    optimizers: {
        "Router": ("Router", "Owned", "resolve", "PatternError"),
        "Sparse optimizers": optimizers.SPARSE,
        "Dense optimizers": _without(optimizers.DENSE, optimizers.SPARSE),
        "Wrappers": ("LayerwiseNormalization", "Lookahead", "Regularized", "innermost"),
        "Schedules": optimizers.SCHEDULES,
        "Schedule classes": ("Adjustable", "InverseSquareRootDecay"),
        "Parts of a sparse optimizer": ("RowOptimizer", "RowStore", "VariableRows"),
    },
}  # fmt: skip
"""Package -> heading -> attributes of the package, or a registry by config name."""
INTRODUCTIONS = {
    ctr: "Use this page to train, evaluate, score and compare from Python, as the `ctr` commands do.",
    features: "Use this page to read Parquet into batches from Python, and to decode ids.",
    models: "Use this page to build a model from Python, or to write a tower of your own.",
    optimizers: "Use this page to use the optimizers from Python, or to write one of your own.",
}
COMPLETE = (ctr, models, optimizers)
"""Packages whose pages have every public function and class."""


def pages() -> dict[str, str]:
    """Return the page of each package."""
    return {f"reference/python-api/{package.__name__}.md": _page(package) for package in PAGES}


def _page(package: ModuleType) -> str:
    groups = PAGES[package]
    listed = {one for names in groups.values() for one in _objects(package, names)}
    public = [getattr(package, name) for name in package.__all__]
    missing = sorted(one.__name__ for one in public if isinstance(one, type | FunctionType) and one not in listed)
    if package in COMPLETE and missing:
        raise ValueError(f"add to PAGES of {__name__}: {', '.join(missing)}")
    parts = [f"# `{package.__name__}`", INTRODUCTIONS[package]]
    for title, names in groups.items():
        parts += [f"## {title}", *_group(package, names)]
    return "\n\n".join(parts) + "\n"


def _objects(package: ModuleType, names: tuple[str, ...] | dict[str, Any]) -> Iterator[Any]:
    """Yield the functions and classes of a group, each once."""
    made = [getattr(package, name) for name in names] if isinstance(names, tuple) else names.values()
    yield from dict.fromkeys(map(_unwrapped, made))


def _group(package: ModuleType, names: tuple[str, ...] | dict[str, Any]) -> Iterator[str]:
    """Yield the parts of a group: a table of config names, then a directive for each function or class."""
    if isinstance(names, dict):
        rows = [[f"`{name}`", f"[`{one.__name__}`](#{_path(one)})"] for name, one in names.items()]
        yield table(["config name", "Python"], rows)
    for one in _objects(package, names):
        yield f"::: {_path(one)}\n    options:\n      heading: {one.__name__}"


def _path(one: Any) -> str:
    return f"{one.__module__}.{one.__qualname__}"
