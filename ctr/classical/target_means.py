"""Mean labels of ids, fitted out of fold: columns of numbers for trees.

Like `TargetEncoder` of scikit-learn, which has neither sample weights nor lists of ids. Source: Micci-Barreca 2001, A
Preprocessing Scheme for High-Cardinality Categorical Attributes in Classification and Prediction Problems.
"""

from dataclasses import dataclass

import numpy as np

FOLDS = 5
SMOOTHING = 20.0  # examples with the mean label that are added to those of each id


@dataclass(frozen=True)
class TargetMeans:
    """Smoothed mean label of each id of a feature: (positives + s · mean) / (examples + s), weighted.

    Attributes:
        known: sorted ids of the training data.
        mean: mean label of each of them, float64.
        prior: mean label of the training data, for ids that it does not have.
    """

    known: np.ndarray
    mean: np.ndarray
    prior: float

    def __call__(self, ids: np.ndarray) -> np.ndarray:
        """Return the mean label of each id, float64 in the shape of `ids`."""
        if not len(self.known):
            return np.full(ids.shape, self.prior)
        index = np.searchsorted(self.known, ids).clip(max=len(self.known) - 1)
        return np.where(self.known[index] == ids, self.mean[index], self.prior)


def fit_target_means(
    ids: np.ndarray, label: np.ndarray, weight: np.ndarray, fold: np.ndarray, smoothing: float = SMOOTHING
) -> tuple[TargetMeans, np.ndarray]:
    """Fit the mean labels of ids, and return them with the out-of-fold means of the training ids.

    The out-of-fold mean of an id leaves out all examples of the fold, so that no column holds an example's own label.

    Args:
        ids: id of each value, int `[values]`; an example of a sequence has several values.
        label: label of the example of each value, 0 or 1, `[values]`.
        weight: weight of the example of each value, float64 `[values]`.
        fold: fold of the example of each value, int from 0, `[values]`.
        smoothing: total weight of examples with the mean label that are added to each id.

    Returns:
        The means of all training examples, for new data, and the out-of-fold mean of each value, float64 `[values]`.

    >>> ids, label, fold = np.array([7, 7, 8, 8]), np.array([1, 0, 0, 0]), np.array([0, 1, 0, 1])
    >>> means, out_of_fold = fit_target_means(ids, label, np.ones(4), fold, smoothing=0.0)
    >>> means(np.array([7, 8, 9])).tolist(), out_of_fold.tolist()
    ([0.5, 0.0, 0.25], [0.0, 1.0, 0.0, 0.0])
    """
    known, index = np.unique(ids, return_inverse=True)
    folds = int(fold.max(initial=0)) + 1
    shape = (folds, len(known))
    cell = fold * len(known) + index
    counts = (np.bincount(cell, values, folds * len(known)) for values in (weight, weight * label))
    examples, positives = (count.reshape(shape).astype(np.float64) for count in counts)  # integers without values
    mean, prior = _smoothed(positives.sum(axis=0), examples.sum(axis=0), smoothing)
    out_of_fold, _ = _smoothed(positives.sum(axis=0) - positives, examples.sum(axis=0) - examples, smoothing)
    return TargetMeans(known, mean, float(prior)), out_of_fold[fold, index]


def _smoothed(positives: np.ndarray, examples: np.ndarray, smoothing: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the smoothed means of ids, on the last axis, and the mean of all ids; an id without examples has it."""
    total = examples.sum(axis=-1, keepdims=True)
    prior = np.divide(positives.sum(axis=-1, keepdims=True), total, out=np.zeros_like(total), where=total > 0)
    weight = examples + smoothing
    means = np.where(weight > 0, (positives + smoothing * prior) / np.where(weight > 0, weight, 1), prior)
    return means, prior[..., 0]
