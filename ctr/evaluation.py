"""Score a data set in file order: metrics, histograms, and the scores as Parquet."""

import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from ctr.metrics import BinaryMetrics, CategoryBins, QuantileBins, bins_from_json, compare
from ctr.metrics.binary import sigmoid
from ctr.metrics.psi import Bins
from features import Batch, DataError, Encoder, Ragged, RowGroup, Values, read_ahead
from models import CTRModel


class Diverged(ArithmeticError):
    """Loss or scores are no longer finite."""


@dataclass(frozen=True)
class Scored:
    """Some rows with their scores, in file order."""

    table: pa.Table
    values: dict[str, Values]
    batch: Batch
    logit: np.ndarray  # float32 [rows], corrected for negative sampling


class Scorer:
    """Applies a model in evaluation mode.

    Args:
        model: trained.
        encoder: of the training data.
        batch_size: rows at once.
        negative_sampling_rate: r of the training data; ln r is added to every logit. None: 1.
    """

    def __init__(
        self, model: CTRModel, encoder: Encoder, batch_size: int, negative_sampling_rate: float | None = None
    ) -> None:
        self.model, self.encoder, self.batch_size = model, encoder, batch_size
        self.correction = np.float32(math.log(negative_sampling_rate or 1.0))
        spec = {
            key: tf.TensorSpec([None, *shape], tf.as_dtype(dtype))
            for key, (shape, dtype) in encoder.batch_spec.items()
            if key not in ("label", "weight")
        }
        self._predict = tf.function(lambda batch: model(batch, training=False), input_signature=[spec], autograph=False)
        self._inputs = list(spec)

    def score(self, row_groups: list[RowGroup], keep: Iterable[str] = ()) -> Iterator[Scored]:
        """Score row group after row group, `keep` read along with the features."""
        columns = [*self.encoder.input_columns, *keep]
        return (self._scored(*item) for item in read_ahead(self._encoded(row_groups, columns), depth=2))

    def score_table(self, table: pa.Table, where: str) -> Scored:
        """Score a table that is in memory."""
        values = self.encoder.values(table, where)
        return self._scored(table, values, self.encoder.encode(table, values, where))

    def _encoded(
        self, row_groups: list[RowGroup], columns: list[str]
    ) -> Iterator[tuple[pa.Table, dict[str, Values], Batch]]:
        for group in row_groups:
            table = group.read(columns)
            values = self.encoder.values(table, str(group))
            yield table, values, self.encoder.encode(table, values, str(group))

    def _scored(self, table: pa.Table, values: dict[str, Values], batch: Batch) -> Scored:
        logits = [
            self._predict({key: batch[key][start : start + self.batch_size] for key in self._inputs}).numpy()
            for start in range(0, table.num_rows, self.batch_size)
        ]
        logit = np.concatenate([np.empty(0, np.float32), *logits]) + self.correction
        if not np.isfinite(logit).all():
            raise Diverged(f"{int((~np.isfinite(logit)).sum())} of {len(logit)} scores are not finite")
        return Scored(table, values, batch, logit)


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
    kept = np.where(batch["label"] == 1, 1.0, 1.0 / (negative_sampling_rate or 1.0))
    return batch["weight"].astype(np.float64) * kept


@dataclass
class Histograms:
    """The distributions of the score and of each feature over fixed bins.

    A negative of a set sampled at rate r counts 1/r, so that sampled and unsampled data compare. A sequence counts each
    of its values, and an empty one as missing.
    """

    bins: dict[str, Bins]  # "score", and "feature/<name>"
    counts: dict[str, np.ndarray] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    @classmethod
    def fitted(cls, sample: list[Scored], bins: int) -> "Histograms":
        """Bins from a sample, empty counts."""
        logits = np.concatenate([part.logit for part in sample]).astype(np.float64)
        fitted: dict[str, Bins] = {"score": QuantileBins.fitted(logits, bins)}
        for name in sample[0].values:
            values = _joined([part.values[name] for part in sample])
            if pa.types.is_floating(values.type):
                fitted[f"feature/{name}"] = QuantileBins.fitted(values.to_numpy(zero_copy_only=False), bins)
            else:
                fitted[f"feature/{name}"] = CategoryBins.fitted(values, bins)
        return cls(fitted)

    def empty(self) -> "Histograms":
        """The same bins without counts."""
        return Histograms(self.bins)

    def add(self, part: Scored, negative_sampling_rate: float | None) -> None:
        """Count scored rows."""
        weight = np.where(part.batch["label"] == 1, 1.0, 1.0 / (negative_sampling_rate or 1.0))
        self._add("score", part.logit.astype(np.float64), weight)
        for name, values in part.values.items():
            if isinstance(values, Ragged):
                is_empty = values.lengths == 0
                found = pa.concat_arrays([values.flat, pa.nulls(int(is_empty.sum()), values.flat.type)])
                found_weight = np.concatenate([np.repeat(weight, values.lengths), weight[is_empty]])
                self._add(f"feature/{name}", found, found_weight)
            else:
                self._add(f"feature/{name}", values, weight)

    def compare(self, other: "Histograms", unstable_above: float) -> dict[str, Any]:
        """PSI of `other` against these: {"score": ..., "features": {name: ...}}."""
        found = {
            name: compare(self.counts[name], other.counts[name], self.sizes[name], other.sizes[name], unstable_above)
            for name in self.bins
        }
        features = {name.removeprefix("feature/"): psi for name, psi in found.items() if name != "score"}
        return {"score": found["score"], "features": features}

    def save(self, folder: Path) -> None:
        """Write `histograms.json` into a new folder."""
        folder.mkdir(parents=True)
        described = {
            name: {**bins.to_json(), "counts": self.counts[name].tolist(), "size": self.sizes[name]}
            for name, bins in self.bins.items()
        }
        (folder / "histograms.json").write_text(json.dumps(described, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Histograms":
        """Read what `save` wrote."""
        described = json.loads((folder / "histograms.json").read_text())
        return cls(
            bins={name: bins_from_json(one) for name, one in described.items()},
            counts={name: np.array(one["counts"]) for name, one in described.items()},
            sizes={name: one["size"] for name, one in described.items()},
        )

    def _add(self, name: str, values: Any, weight: np.ndarray) -> None:
        bins = self.bins[name]
        if isinstance(bins, QuantileBins) and isinstance(values, pa.Array):
            values = values.to_numpy(zero_copy_only=False)
        counts = bins.count(values, weight)
        self.counts[name] = self.counts.get(name, np.zeros(len(counts))) + counts
        self.sizes[name] = self.sizes.get(name, 0) + len(values)


def _joined(parts: list[Values]) -> pa.Array:
    """The values of several row groups; a hashed column that is integer here and text there becomes text."""
    flat = [part.flat if isinstance(part, Ragged) else part for part in parts]
    filled = [values for values in flat if values.null_count < len(values)] or flat[:1]
    types = {values.type for values in filled}
    return pa.concat_arrays([v.cast(pa.large_string()) for v in filled] if len(types) > 1 else filled)


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
