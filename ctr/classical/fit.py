"""Fit a classical model on the data of an experiment."""

import importlib.util
from pathlib import Path

import numpy as np

from ctr.classical.examples import Examples, read_examples
from ctr.classical.fitted import Fitted
from ctr.config.experiment import Experiment
from ctr.errors import ConfigError
from ctr.evaluation.scoring import BatchScorer
from ctr.runs.environment import version_of
from ctr.schema.classical import ClassicalFit, ClassicalModel
from ctr.training.data import PreparedData
from features import Batch

LIBRARY = "scikit-learn"
CHECKOUT = Path(__file__).parents[2]  # if the project is not installed as a wheel


class ClassicalScorer(BatchScorer):
    """Applies a fitted classical model.

    Args:
        fitted: fitted model.
        prepared: splits and encoder that it was fitted with.
        negative_sampling_rate: see `BatchScorer`.
    """

    def __init__(self, fitted: Fitted, prepared: PreparedData, negative_sampling_rate: float | None) -> None:
        super().__init__(prepared.encoder, negative_sampling_rate)
        self.fitted = fitted

    def outputs(self, batch: Batch) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the logits, float32 `[rows]`; a classical model has no named losses."""
        if not len(batch["ids"]):
            return np.empty(0, np.float32), {}
        return self.fitted.logits(batch).astype(np.float32), {}


def fit_classical(
    model: ClassicalModel, experiment: Experiment, prepared: PreparedData
) -> tuple[ClassicalScorer, ClassicalFit]:
    """Fit a classical model on the train split, and select its settings on the valid split.

    It uses `training.threads` threads. With them, the result is a function of data, features and seed.

    Args:
        model: name of the model.
        experiment: experiment, of which data, features, seed and threads count.
        prepared: its checked splits and fitted features.

    Returns:
        The scorer of the fitted model, and the record of the fit.

    Raises:
        ConfigError: the sample of the training examples has only one label.
        DataError: the data is invalid.
    """
    from threadpoolctl import threadpool_limits  # a dependency of scikit-learn, which is optional

    from ctr.classical.logistic import fit_logistic
    from ctr.classical.trees import fit_trees

    encoder, seed = prepared.encoder, experiment.seed
    train = read_examples(prepared.splits["train"], encoder, seed)
    valid = read_examples(prepared.splits["valid"], encoder, seed) if "valid" in prepared.splits else None
    _check_labels(model, train)
    with threadpool_limits(experiment.training.threads):
        fit = {"logistic": fit_logistic, "trees": fit_trees}[model]
        fitted = fit(train, valid, encoder, seed)
    record: ClassicalFit = {
        "model": model,
        "library": f"{LIBRARY} {version_of(LIBRARY)}",
        "examples": train.rows,
        "total_examples": train.total,
        "valid_examples": 0 if valid is None else valid.rows,
        "inputs": fitted.inputs,
        "selected": fitted.selected,
        "warnings": fitted.warnings,
    }
    return ClassicalScorer(fitted, prepared, experiment.data.negative_sampling_rate), record


def check_installed() -> None:
    """Raise ConfigError unless scikit-learn is installed."""
    if importlib.util.find_spec("sklearn") is None:
        is_checkout = (CHECKOUT / "scripts/install").is_file()
        command = f"{CHECKOUT}/scripts/install classical" if is_checkout else "pip install scikit-learn"
        raise ConfigError(
            f"classical_models: {LIBRARY} is not installed. Run `{command}`, or remove the key from the study."
        )


def _check_labels(model: ClassicalModel, train: Examples) -> None:
    """Raise ConfigError unless the examples that count have both labels."""
    positives = train.batch["label"][train.batch["weight"] > 0] == 1
    if positives.all() or not positives.any():
        raise ConfigError(
            f"classical_models: {model} needs both labels, but all {train.rows:,} sampled training examples have the "
            f"label {int(positives.any())}. Remove it from the study."
        )
