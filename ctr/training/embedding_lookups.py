"""Embeddings that a batch looks up, for each table."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from features import Batch
from models import CTRModel, Field, Table
from optimizers import Router, RowStore, VariableRows


@dataclass(frozen=True)
class EmbeddingLookup:
    """A table of a model with the fields that look up its embeddings."""

    table: Table
    fields: list[Field]
    fused: tf.Variable
    """Variable that holds the table, possibly together with other tables."""
    offset: int
    """First row of the table in the variable."""

    def rows(self, batch: Batch) -> np.ndarray:
        """Return the distinct rows that a batch looks up, ascending; padding of sequences is row 0."""
        ids = [
            batch["ids"][:, field.column] if field.sequence is None else batch[f"sequences/{field.sequence}"].ravel()
            for field in self.fields
        ]
        return np.unique(np.concatenate(ids))

    @property
    def weights(self) -> RowStore:
        """Embeddings of the table, without optimizer state."""
        return VariableRows(self.fused).view(self.offset, self.table.rows)

    def with_state(self, router: Router) -> RowStore:
        """Return the embeddings of the table together with their optimizer state."""
        return router.store_of(self.fused).view(self.offset, self.table.rows)


def embedding_lookups(model: CTRModel) -> list[EmbeddingLookup]:
    """Return the lookups of every table of a model."""
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
