"""Which rows of which table a batch looks up."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from features import Batch
from models import CTRModel, Field, Table


@dataclass(frozen=True)
class EmbeddingLookup:
    """A table of a model, and the fields that look its rows up."""

    table: Table
    fields: list[Field]
    fused: tf.Variable
    """The variable that holds it, perhaps beside others."""
    offset: int
    """Its first row there."""

    def rows(self, batch: Batch) -> np.ndarray:
        """Its rows that a batch reads, ascending, each once; padding of sequences is row 0."""
        ids = [
            batch["ids"][:, field.column] if field.sequence is None else batch[f"sequences/{field.sequence}"].ravel()
            for field in self.fields
        ]
        return np.unique(np.concatenate(ids))

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """Some of its rows, float32 [rows, dim]."""
        return tf.gather(self.fused, rows + self.offset).numpy()


def embedding_lookups(model: CTRModel) -> list[EmbeddingLookup]:
    """Every table of a model."""
    tables = model.tables
    return [
        EmbeddingLookup(
            table,
            [field for field in tables.inputs.fields if field.table == table.name],
            tables.fused[key],
            tables.offsets[table.name],
        )
        for key, members in tables.groups.items()
        for table in members
    ]
