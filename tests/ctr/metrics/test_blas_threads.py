"""Metrics are functions of the scores only: the number of BLAS threads does not change a bit."""

import os
import subprocess
import sys

import pytest

MEASURE = """
import numpy as np, pyarrow as pa
from ctr.evaluation.histograms import Binning, Histograms
from ctr.metrics import BinaryMetrics, auc_difference, gauc, log_loss_difference

rows, random = 300_000, np.random.default_rng(7)
logit, other = random.normal(-1, 2, (2, rows)).astype(np.float32)
label = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int8)
groups = {"user": pa.array(random.integers(0, rows // 5, rows))}
for weight in (None, random.lognormal(size=rows)):
    for exact_rows in (rows, 1):
        metrics = BinaryMetrics(exact_rows)
        metrics.add(logit, label, weight, groups)
        for name, value in metrics.result().items():
            print(name, value)
        if not metrics.is_binned:
            print(gauc(metrics.by_group("user")))
    print(auc_difference(logit, other, label, weight), log_loss_difference(logit, other, label, weight))
    histograms = Histograms(Binning({}))
    histograms.add({}, weight if weight is not None else np.ones(rows))
    print("histograms", histograms.weight, histograms.square)
"""


@pytest.mark.slow
def test_the_threads_of_blas_change_no_bit_of_a_metric():
    measured = {}
    for threads in ("1", "2", "4"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", MEASURE]
        measured[threads] = subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout.splitlines()
    assert any(line.startswith("brier 0.1") for line in measured["1"])
    assert measured["2"] == measured["1"]
    assert measured["4"] == measured["1"]
