"""Score files in Parquet format."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctr.evaluation.scoring import Scored
from ctr.metrics.counts import sigmoid
from features import as_microseconds


class ScoreWriter:
    """Writes a score file by row group; the file gets its final name once it is complete.

    Columns: label int8 if the data has labels, weight float32 if it has weights, logit float32, score float64 =
    sigmoid(logit), and the pass-through columns of the schema `passthrough`.
    """

    def __init__(self, path: Path, weighted: bool, passthrough: pa.Schema) -> None:
        self.path, self.weighted, self.passthrough = path, weighted, passthrough
        self._writer: pq.ParquetWriter | None = None
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, chunk: Scored) -> None:
        """Append scored examples."""
        columns: dict[str, Any] = {}
        if "label" in chunk.batch:
            columns["label"] = chunk.batch["label"].astype(np.int8)
        if self.weighted:
            columns["weight"] = chunk.batch["weight"]
        columns |= {"logit": chunk.logit, "score": sigmoid(chunk.logit)}
        columns |= {field.name: _as_passthrough(chunk.table.column(field.name), field) for field in self.passthrough}
        table = pa.table(columns)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._partial, table.schema, compression="zstd")
        self._writer.write_table(table)

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


def _as_passthrough(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """Return a column in the common type of all files."""
    if pa.types.is_timestamp(field.type) and column.type != field.type and not pa.types.is_null(column.type):
        return pa.chunked_array([as_microseconds(column.combine_chunks(), f"pass-through column {field.name!r}")])
    return column.cast(field.type)
