"""Evaluate a data set: metrics, PSI against the training data, and the scores as Parquet."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctr.histograms import Histograms
from ctr.metrics import BinaryMetrics
from ctr.metrics.binary import sigmoid
from ctr.scoring import Scored, Scorer, sampling_weights
from features import Batch, DataError, RowGroup


def metrics_of(parts: Iterable[Scored], weighted: bool, negative_sampling_rate: float | None) -> BinaryMetrics:
    """The metrics of scored rows; negatives count 1/r where the set was sampled at rate r."""
    metrics = BinaryMetrics()
    for part in parts:
        metrics.update(part.logit, part.batch["label"], row_weights(part.batch, weighted, negative_sampling_rate))
    return metrics


def row_weights(batch: Batch, weighted: bool, negative_sampling_rate: float | None) -> np.ndarray | None:
    """Weights of rows in metrics, float64 [rows]; None where all are 1."""
    if not weighted and negative_sampling_rate is None:
        return None
    return batch["weight"].astype(np.float64) * sampling_weights(batch["label"], negative_sampling_rate)


class ScoreWriter:
    """Writes scores as Parquet, row group by row group, under its final name only once complete.

    Columns: label int8, weight float32 if declared, logit float32, score float64 = sigmoid(logit), kept columns.
    """

    def __init__(self, path: Path, weighted: bool, keep: list[str]) -> None:
        self.path, self.weighted, self.keep = path, weighted, keep
        self._writer: pq.ParquetWriter | None = None
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, part: Scored) -> None:
        """Append scored rows."""
        columns: dict[str, Any] = {"label": part.batch["label"].astype(np.int8)}
        if self.weighted:
            columns["weight"] = part.batch["weight"]
        columns |= {"logit": part.logit, "score": sigmoid(part.logit)}
        columns |= {name: part.table.column(name) for name in self.keep}
        table = pa.table(columns)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._partial, table.schema, compression="zstd")
        try:
            self._writer.write_table(table.cast(self._writer.schema))
        except pa.ArrowException as error:
            raise DataError(f"the files disagree on the type of a kept column: {error}") from error

    def __enter__(self) -> "ScoreWriter":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self._writer is not None:
            self._writer.close()
            if kind is None:
                os.replace(self._partial, self.path)
            else:
                self._partial.unlink()

    @property
    def _partial(self) -> Path:
        return self.path.with_name(f".{self.path.name}.partial")


@dataclass(frozen=True)
class SetResult:
    """What the report says of one set."""

    metrics: dict[str, Any]
    psi: dict[str, Any]


def evaluate_set(
    scorer: Scorer,
    row_groups: list[RowGroup],
    reference: Histograms,
    scores: ScoreWriter,
    negative_sampling_rate: float | None,
    unstable_above: float,
) -> SetResult:
    """Score a set once: write its scores, compute its metrics, compare it with the reference.

    Args:
        scorer: the trained model.
        row_groups: the set.
        reference: of the training data.
        scores: where the scores go.
        negative_sampling_rate: r of this set; None if it is not sampled.
        unstable_above: the PSI above which a shift is called unstable.
    """
    metrics, histograms = BinaryMetrics(), reference.empty()
    with scores:
        for part in scorer.score(row_groups, scores.keep):
            scores.write(part)
            weight = row_weights(part.batch, scores.weighted, negative_sampling_rate)
            metrics.update(part.logit, part.batch["label"], weight)
            histograms.add(part, negative_sampling_rate)
    return SetResult(metrics.result(), reference.compare(histograms, unstable_above))
