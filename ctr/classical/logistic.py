"""Logistic regression on one-hot columns."""

import warnings
from copy import copy

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from ctr.classical.examples import Examples
from ctr.classical.fitted import Fitted
from ctr.classical.one_hot import OneHot
from features import Batch, Encoder

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)  # of C, the inverse of the L2 penalty; validation selects one
DEFAULT = 0.1  # C without a valid split
MAX_ITERATIONS = 1000


def fit_logistic(train: Examples, valid: Examples | None, encoder: Encoder, seed: int) -> Fitted:
    """Fit logistic regression with an L2 penalty by L-BFGS, whose strength has the lowest log loss of validation.

    The result does not depend on the seed. The arguments are those of `fit_trees`.
    """
    one_hot = OneHot.fitted(train.batch)
    matrix, label = one_hot.matrix(train.batch), train.batch["label"]
    valid_matrix = None if valid is None else one_hot.matrix(valid.batch)
    model = LogisticRegression(max_iter=MAX_ITERATIONS, warm_start=True)  # each fit starts at the one before
    best: tuple[float, float, LogisticRegression] | None = None
    for strength in STRENGTHS if valid is not None else (DEFAULT,):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is in the record of the fit
            model.set_params(C=strength).fit(matrix, label, train.weight)
        loss = 0.0
        if valid is not None:
            scores = model.predict_proba(valid_matrix)
            loss = log_loss(valid.batch["label"], scores, sample_weight=valid.weight, labels=[0, 1])
        if best is None or loss < best[0]:
            best = loss, strength, copy(model)  # the next fit makes new arrays
    assert best is not None
    _, strength, fitted = best

    def logits(batch: Batch) -> np.ndarray:
        return fitted.decision_function(one_hot.matrix(batch))

    problems = (
        []
        if fitted.n_iter_.max() < MAX_ITERATIONS
        else [f"the fit did not converge within {MAX_ITERATIONS:,} iterations"]
    )
    return Fitted(logits, one_hot.columns, {"C": strength}, problems)
