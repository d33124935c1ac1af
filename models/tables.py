"""Fused embedding tables: one variable, one gather and one gradient for all tables of one width and one optimizer."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any

import numpy as np
import tensorflow as tf

from models.inputs import Behaviors, Field, Inputs, Table
from models.recording import Recorded
from models.seeds import seed_of

SPECIAL_ROWS = 3  # padding, null, out of vocabulary: initially zero
READ_ROWS = 1 << 20
BLOCK_ROWS = 1 << 14  # rows per random seed, so that initial embeddings do not depend on the number of rows


class EmbeddingTables(Recorded):
    """Layer that looks up the ids of each field and concatenates the embeddings of each branch.

    Tables of one width and one group share a variable `[rows, dim]`, each at its own offset. The initial embedding of a
    row is normal(0, stddev), a function of (seed, table, row) that does not depend on the fusing; the three special
    rows start at zero.

    Args:
        inputs: tables and fields.
        stddev: standard deviation of the initial embeddings of tables without their own.
        seed: seed of the initial embeddings.
        grouping: table -> group, such as the optimizer of the table; None: one group.

    Call: batch (dict) -> branch -> float `[batch, width]`: the branch's fields in declared order. The plain numeric
    features follow in `deep`, which has the precision of the tower, and can have width 0. So they do in the x_0 of a
    tower inside the tower, such as `streams/easy/deep`. The branch of an unpooled sequence is `Behaviors`.
    """

    def __init__(
        self, inputs: Inputs, stddev: float, seed: int, grouping: Mapping[str, str] | None = None, name: str = "tables"
    ) -> None:
        super().__init__(name=name, autocast=False)
        if not inputs.plain and not inputs.fields:
            raise ValueError("tables: a model needs an embedding, a wide weight or a plain number. Add a feature.")
        self.inputs = inputs
        groups = fuse(inputs.tables, grouping)
        # immutable, so that Keras does not add them to checkpoints
        self.groups = MappingProxyType(groups)
        self._group_of = MappingProxyType({table.name: key for key in groups for table in groups[key]})
        self.offsets = MappingProxyType(
            {
                table.name: sum(previous.rows for previous in members[:index])
                for members in groups.values()
                for index, table in enumerate(members)
            }
        )
        self.fused = {
            key: self.add_weight(
                name=f"fused_{index}",
                shape=[sum(table.rows for table in members), members[0].dim],
                initializer=_starts(members, stddev, seed),
                experimental_autocast=False,  # autocasting would cast the whole variable at every lookup
            )
            for index, (key, members) in enumerate(self.groups.items())
        }
        dims = {table.name: table.dim for table in inputs.tables}
        deep = [field for field in inputs.fields if field.branch == "deep"]
        self.width = sum(dims[field.table] for field in deep) + len(inputs.plain)
        self._x0_branches = tuple(dict.fromkeys(["deep", *(one.branch for one in inputs.fields if one.feeds_x0)]))

    def call(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        used = {self._group_of[field.table]: 0 for field in self.inputs.fields}
        pooled: dict[str, tf.Tensor] = {}  # group -> [batch, fields of the group, dim]
        unpooled: dict[str, Behaviors] = {}  # branch -> embeddings of a sequence
        for key in used:
            runs = self._look_up(key, batch)
            sequences = [(run[0], vectors) for run, vectors in runs if run[0].is_unpooled]
            unpooled |= {field.branch: Behaviors(vectors, _mask(field, batch)) for field, vectors in sequences}
            if reduced := [_reduce(run, vectors, batch) for run, vectors in runs if not run[0].is_unpooled]:
                pooled[key] = _concatenate(reduced)
        pieces: dict[str, list[tf.Tensor]] = {"deep": []}
        pooled_fields = [field for field in self.inputs.fields if not field.is_unpooled]
        for (branch, key), run in groupby(pooled_fields, lambda field: (field.branch, self._group_of[field.table])):
            start, vectors = used[key], pooled[key]
            used[key] += len(list(run))
            if used[key] - start < vectors.shape[1]:
                vectors = vectors[:, start : used[key]]
            pieces.setdefault(branch, []).append(tf.reshape(vectors, [-1, vectors.shape[1] * vectors.shape[2]]))
        for branch in self._x0_branches:
            if self.inputs.plain or not pieces[branch]:
                pieces[branch].append(_columns(batch["numerics"], self.inputs.plain))
        branches = {branch: _concatenate(arrays) for branch, arrays in pieces.items()}
        x0 = {branch: tf.cast(branches[branch], self.compute_dtype) for branch in self._x0_branches}
        return {**branches, **unpooled, **x0}

    def table_blocks(self, name: str) -> Iterator[np.ndarray]:
        """Yield the weights of a logical table, up to `READ_ROWS` rows at a time, because a full read would copy it."""
        start, rows = self.offsets[name], self.inputs.table(name).rows
        for first in range(start, start + rows, READ_ROWS):
            yield self._gather(self._group_of[name], tf.range(first, min(first + READ_ROWS, start + rows))).numpy()

    def _gather(self, key: str, rows: tf.Tensor) -> tf.Tensor:
        """Return rows of a group's variable, `[..., dim]`; the only place that reads tables."""
        return tf.nn.embedding_lookup(self.fused[key], rows)

    def _look_up(self, key: str, batch: Mapping[str, tf.Tensor]) -> list[tuple[list[Field], tf.Tensor]]:
        """Gather the embeddings of all fields of a group at once.

        Returns runs of consecutive fields of one kind, each with its embeddings `[batch, ids, dim]`.
        """
        fields = [field for field in self.inputs.fields if self._group_of[field.table] == key]
        kinds = groupby(fields, lambda field: (field.sequence and field.name, field.scale is None))
        runs = [list(run) for _, run in kinds]  # a sequence is a run of its own
        ids = [self._ids(run, batch) for run in runs]
        vectors = self._gather(key, _concatenate(ids))  # [batch, ids, dim]
        pieces = tf.split(vectors, [tf.shape(array)[1] for array in ids], axis=1) if len(runs) > 1 else [vectors]
        return list(zip(runs, pieces, strict=True))

    def _ids(self, run: list[Field], batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Return row numbers of the fused variable, `[batch, ids]`."""
        offsets = tf.constant([self.offsets[field.table] for field in run])
        if run[0].sequence is not None:
            return batch[f"sequences/{run[0].sequence}"] + offsets
        return _columns(batch["ids"], [field.column for field in run]) + offsets


def fuse(tables: Sequence[Table], grouping: Mapping[str, str] | None = None) -> dict[str, tuple[Table, ...]]:
    """Group the tables that share a variable: those of one width and one group.

    Raises:
        ValueError: the tables of a group together have more rows than int32 can count.
    """
    groups: dict[str, tuple[Table, ...]] = {}
    for table in tables:
        key = f"{table.dim} {grouping[table.name] if grouping else ''}"
        groups[key] = (*groups.get(key, ()), table)
    for members in groups.values():
        if (rows := sum(table.rows for table in members)) > 2**31 - 1:
            largest = max(members, key=lambda table: table.rows)
            raise ValueError(
                f"{len(members)} tables of width {largest.dim}, {largest.name!r} the largest, share a variable and "
                f"have {rows:,} rows together. The limit is 2^31 - 1 rows. Use smaller tables, or give some tables a "
                f"different `dim` or their own optimizer pattern."
            )
    return groups


def _columns(array: tf.Tensor, columns: Sequence[int | None]) -> tf.Tensor:
    """Return columns of an array; the array itself if they are all its columns in order."""
    if list(columns) == list(range(array.shape[1])):
        return array
    return tf.gather(array, tf.constant(columns, tf.int32), axis=1)


def _concatenate(arrays: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.concat(arrays, axis=1) if len(arrays) > 1 else arrays[0]


def _mask(field: Field, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Return 1 for values of a sequence and 0 for padding, float32 `[batch, length]`."""
    length = tf.shape(batch[f"sequences/{field.sequence}"])[1]
    return tf.sequence_mask(batch[f"lengths/{field.sequence}"], length, tf.float32)


def _reduce(run: list[Field], vectors: tf.Tensor, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Reduce the embeddings of a run of fields or of one sequence, `[batch, ids, dim]` -> `[batch, fields, dim]`."""
    first = run[0]
    if first.sequence is not None:
        mask = _mask(first, batch)
        if first.pooling == "mean":
            mask /= tf.cast(tf.maximum(batch[f"lengths/{first.sequence}"], 1), mask.dtype)[:, None]
        return tf.einsum("bld,bl->bd", vectors, mask)[:, None]
    if first.scale is None:
        return vectors
    return vectors * _columns(batch["numerics"], [field.scale for field in run])[:, :, None]


def _starts(tables: Sequence[Table], stddev: float, seed: int) -> Any:
    """Return an initializer of a fused variable."""

    def initializer(shape: Any, dtype: Any = None, **_: Any) -> tf.Tensor:
        rows = np.empty(shape, np.float32)
        offset = 0
        for table in tables:
            for block, first in enumerate(range(0, table.rows, BLOCK_ROWS)):
                values = tf.random.stateless_normal(
                    [BLOCK_ROWS, table.dim],
                    [seed_of(seed, table.name), block],
                    stddev=stddev if table.stddev is None else table.stddev,
                )
                size = min(BLOCK_ROWS, table.rows - first)
                rows[offset + first : offset + first + size] = values[:size]
            rows[offset : offset + SPECIAL_ROWS] = 0
            offset += table.rows
        return tf.convert_to_tensor(rows)

    return initializer
