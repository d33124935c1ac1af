"""Gradient-boosted trees on numbers, and on mean labels of ids."""

from itertools import islice

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from ctr.classical.examples import Examples
from ctr.classical.fitted import Fitted
from ctr.classical.one_hot import id_arrays
from ctr.classical.target_means import FOLDS, TargetMeans, fit_target_means
from features import Batch, Encoder
from models.seeds import seed_of

MAX_TREES = 1000
PATIENCE = 20  # trees without a lower log loss of validation after which fitting stops
DEFAULT_TREES = 100  # without a valid split


def fit_trees(train: Examples, valid: Examples | None, encoder: Encoder, seed: int) -> Fitted:
    """Fit histogram gradient boosting, and keep as many trees as give the lowest log loss of validation.

    The columns are the numerics and, for each feature with ids, the mean label of its ids in the training data. A
    sequence has the average of these means and its length; the average of an empty sequence is missing. The training
    examples have out-of-fold means.

    Args:
        train: training examples.
        valid: validation examples; None without a valid split.
        encoder: encoder fitted on the training data.
        seed: seed of the folds, and of the examples that set the bins of columns.
    """
    means, columns = _fit_columns(train, seed)
    is_validated = valid is not None
    model = HistGradientBoostingClassifier(
        max_iter=MAX_TREES if is_validated else DEFAULT_TREES,
        early_stopping=is_validated,
        n_iter_no_change=PATIENCE,
        random_state=seed_of(seed, "classical/trees"),
    )
    validation = {}
    if valid is not None:
        validation = {
            "X_val": _columns_of(valid.batch, means),
            "y_val": valid.batch["label"],
            "sample_weight_val": valid.weight,
        }
    model.fit(columns, train.batch["label"], train.weight, **validation)

    # validation_score_[k] is minus the log loss of k trees
    trees = max(int(np.argmax(model.validation_score_)), 1) if is_validated else DEFAULT_TREES

    def logits(batch: Batch) -> np.ndarray:
        return next(islice(model.staged_decision_function(_columns_of(batch, means)), trees - 1, None))

    problems = [f"validation still improved after {MAX_TREES:,} trees"] if model.n_iter_ == MAX_TREES else []
    return Fitted(logits, columns.shape[1], {"trees": trees}, problems)


def _fit_columns(train: Examples, seed: int) -> tuple[dict[tuple[str, int], TargetMeans], np.ndarray]:
    """Return the mean labels of each feature with ids, and the columns of the training examples."""
    batch = train.batch
    fold = np.random.default_rng(seed_of(seed, "classical/folds")).integers(0, FOLDS, train.rows)
    means: dict[tuple[str, int], TargetMeans] = {}
    columns = [batch["numerics"].astype(np.float64)]
    for key, ids, is_id in id_arrays(batch):
        example = np.nonzero(is_id)[0]
        of_value = batch["label"][example], train.weight[example], fold[example]
        means[key], out_of_fold = fit_target_means(ids[is_id], *of_value)
        columns += _feature_columns(key, out_of_fold, is_id)
    return means, np.concatenate(columns, axis=1)


def _columns_of(batch: Batch, means: dict[tuple[str, int], TargetMeans]) -> np.ndarray:
    """Return the columns of new examples, float64 `[rows, columns]`, NaN where missing."""
    columns = [batch["numerics"].astype(np.float64)]
    for key, ids, is_id in id_arrays(batch):
        columns += _feature_columns(key, means[key](ids[is_id]), is_id)
    return np.concatenate(columns, axis=1)


def _feature_columns(key: tuple[str, int], values: np.ndarray, is_id: np.ndarray) -> list[np.ndarray]:
    """Return the columns of a feature, each `[rows, 1]`, from the mean label of each of its values, example by example.

    They are the mean label, or the average of a sequence's mean labels and its length.
    """
    if key[0] == "ids":
        return [values[:, None]]
    lengths = is_id.sum(axis=1)
    sums = np.bincount(np.nonzero(is_id)[0], values, len(lengths))
    average = np.divide(sums, lengths, out=np.full(len(lengths), np.nan), where=lengths > 0)
    return [average[:, None], lengths[:, None].astype(np.float64)]
