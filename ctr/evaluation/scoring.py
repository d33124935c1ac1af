"""Apply a trained model to Parquet data, by row group in file order."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import tensorflow as tf

from ctr.errors import Diverged as Diverged
from features import Batch, Encoder, RowGroup, Values, batch_signature, read_ahead, read_tables
from models import CTRModel


@dataclass(frozen=True)
class Scored:
    """A chunk of examples with their scores, in file order."""

    table: pa.Table
    values: dict[str, Values]
    batch: Batch
    logit: np.ndarray  # float32 [rows], corrected for negative sampling
    losses: dict[str, np.ndarray]
    """Name -> float32 [rows], for each loss that the tower names; empty without labels."""


class BatchScorer(ABC):
    """Scores Parquet data by row group in file order. A subclass turns a batch into logits.

    Args:
        encoder: encoder fitted on the training data.
        trained_negatives: fraction r of all negatives that the model saw; ln r is added to every logit. None: 1.
    """

    def __init__(self, encoder: Encoder, trained_negatives: float | None = None) -> None:
        self.encoder = encoder
        self.correction = np.float32(math.log(trained_negatives or 1.0))

    @abstractmethod
    def outputs(self, batch: Batch) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the logits of a batch of any size before the correction, float32 `[rows]`, and its named losses."""

    def score(self, row_groups: list[RowGroup], keep: Iterable[str] = ()) -> Iterator[Scored]:
        """Yield the scores of each row group; the columns `keep` are read in addition to the features."""
        columns = [*self.encoder.input_columns, *keep]
        return (self._scored(*item) for item in read_ahead(self._encoded(row_groups, columns), depth=2))

    def score_table(self, table: pa.Table, where: str) -> Scored:
        """Return the scores of a table in memory."""
        values = self.encoder.values(table, where)
        return self._scored(table, values, self.encoder.encode(table, values, where))

    def _encoded(
        self, row_groups: list[RowGroup], columns: list[str]
    ) -> Iterator[tuple[pa.Table, dict[str, Values], Batch]]:
        for group, table in read_tables(row_groups, columns):
            values = self.encoder.values(table, str(group))
            yield table, values, self.encoder.encode(table, values, str(group))

    def _scored(self, table: pa.Table, values: dict[str, Values], batch: Batch) -> Scored:
        logit, losses = self.outputs(batch)
        logit = logit + self.correction
        if not np.isfinite(logit).all():
            raise Diverged(f"{int((~np.isfinite(logit)).sum())} of {len(logit)} scores are not finite")
        return Scored(table, values, batch, logit, losses)


class Scorer(BatchScorer):
    """Applies a model in inference mode.

    Args:
        model: trained model.
        encoder: encoder fitted on the training data.
        batch_size: examples per batch.
        trained_negatives: fraction r of all negatives that the model saw; ln r is added to every logit. None: 1.
    """

    def __init__(
        self, model: CTRModel, encoder: Encoder, batch_size: int, trained_negatives: float | None = None
    ) -> None:
        super().__init__(encoder, trained_negatives)
        self.model, self.batch_size = model, batch_size
        self._losses = list(model.mean_losses) if encoder.columns is not None else []
        unread = () if self._losses else ("label", "weight")
        signature = batch_signature(encoder)
        spec = {key: signature[key] for key in signature if key not in unread}
        self._predict = tf.function(self._outputs, input_signature=[spec], autograph=False)
        self._inputs = list(spec)

    def outputs(self, batch: Batch) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        chunks = [
            self._predict({key: batch[key][start : start + self.batch_size] for key in self._inputs})
            for start in range(0, len(batch["ids"]), self.batch_size)
        ]
        losses = {name: _concatenate([of_name[name] for _, of_name in chunks]) for name in self._losses}
        return _concatenate([logit for logit, _ in chunks]), losses

    def _outputs(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Return logit and losses of a batch in inference mode."""
        output = self.model.output(batch, training=False)
        return output.logit, output.losses_of(batch["label"], batch["weight"]) if self._losses else {}


def _concatenate(chunks: Sequence[tf.Tensor]) -> np.ndarray:
    return np.concatenate([np.empty(0, np.float32), *(chunk.numpy().astype(np.float32) for chunk in chunks)])


def sampling_weights(label: np.ndarray, negative_sampling_rate: float | None) -> np.ndarray:
    """Return the weight of each example, float64 [rows]: 1/r for a negative of data sampled at rate r, else 1."""
    return np.where(label == 1, 1.0, 1.0 / (negative_sampling_rate or 1.0))
