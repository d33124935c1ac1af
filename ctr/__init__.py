"""Train click-through-rate (CTR) models on Parquet data, with a report of ranking quality (AUC) and drift (PSI)."""

import os
from importlib import import_module
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # tensorflow-recommenders refuses Keras 3

_HOMES = {
    "Study": "ctr.comparison.study",
    "TrainedRun": "ctr.jobs.trained_run",
    "compare": "ctr.jobs.compare",
    "ConfigError": "ctr.errors",
    "Diverged": "ctr.evaluation.scoring",
    "Experiment": "ctr.config.experiment",
    "evaluate": "ctr.jobs.evaluate",
    "load_experiment": "ctr.config.experiment",
    "load_run": "ctr.jobs.trained_run",
    "load_study": "ctr.comparison.study",
    "sparsity_report": "ctr.training.sparsity",
    "train": "ctr.jobs.train",
    "trust": "ctr.config.user_code",
}

__all__ = [
    "ConfigError",
    "Diverged",
    "Experiment",
    "Study",
    "TrainedRun",
    "compare",
    "evaluate",
    "load_experiment",
    "load_run",
    "load_study",
    "sparsity_report",
    "train",
    "trust",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `ctr --help` does not wait for TensorFlow."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ctr' has no attribute {name!r}")
    import_module("ctr.own_packages").check_packages()
    return getattr(import_module(_HOMES[name]), name)
