"""Scored rows of every kind that a metric must handle."""

import numpy as np
import pytest

from ctr.metrics import ScoreCounts

KINDS = ("random", "tied", "constant", "imbalanced", "tiny")


def drawn(kind, seed=1):
    """Return logit, label and weight of rows of both classes."""
    rng = np.random.default_rng(seed)
    rows = 3 if kind == "tiny" else 3000
    label = (rng.random(rows) < (0.01 if kind == "imbalanced" else 0.4)).astype(np.int64)
    label[:2] = 0, 1
    logit = (rng.normal(size=rows) + 0.7 * label - 1).astype(np.float32)
    if kind == "tied":
        logit = np.round(logit)
    if kind == "constant":
        logit[:] = 0.25
    return logit, label, rng.uniform(0.1, 3, rows)


def repeated(times, *columns):
    """Repeat every row `times` times."""
    return [np.repeat(column, times) for column in columns]


def on_every_kind(test):
    """Parametrize a test by counts, their rows and their weights: every kind, with weights and without (None)."""
    cases = [
        pytest.param(ScoreCounts.of(logit, label, weight), logit, label, weight, id=f"{kind}{name}")
        for kind in KINDS
        for logit, label, given in [drawn(kind)]
        for name, weight in (("", None), (" weighted", given))
    ]
    return pytest.mark.parametrize(("counts", "logit", "label", "weight"), cases)(test)
