"""Which rows of which table a batch looks up."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from features import Batch
from models import CTRModel, Field, Table
from optimizers import Router, RowStore, VariableRows


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

    @property
    def weights(self) -> RowStore:
        """The table's rows, weights alone."""
        return VariableRows(self.fused).part(self.offset, self.table.rows)

    def with_state(self, router: Router) -> RowStore:
        """Return the table's rows, weights and the state that a router's optimizer keeps of them."""
        return router.store_of(self.fused).part(self.offset, self.table.rows)


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
