"""Snapshot of a step, to replay it: the batch as Parquet, and the weights that the batch uses."""

import os
from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf

from ctr.errors import ConfigError
from ctr.training.embedding_lookups import embedding_lookups
from ctr.training.model_state import variables_of
from features import Batch, Encoder, decoded_batch
from features.errors import first_line
from models import CTRModel
from optimizers import VariableRows

RAW = "batch/"
"""Prefix of columns that hold the arrays of the batch, in addition to the columns of features."""


def save_snapshot(path: Path, model: CTRModel, encoder: Encoder, batch: Batch) -> None:
    """Write a batch to `path`, and its weights to an .npz file next to it.

    The Parquet file has the columns of `decoded_batch`, one for each feature, followed by a column `batch/<key>` with
    the exact values of each array of the batch. The weights are those of the tower and the embeddings that the batch
    looks up.

    Args:
        path: path of the .parquet file; its folder is created.
        model: compiled model.
        encoder: encoder of the batch.
        batch: batch of the step.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"{RAW}{key}": _column(array) for key, array in batch.items() if 0 not in array.shape[1:]}
    table = pa.table({**decoded_batch(encoder, batch), **arrays})
    rows_of = _looked_up_rows(model, batch)
    weights: dict[str, np.ndarray] = {}
    for name, variable in _weights_of(model).items():
        rows = rows_of.get(id(variable))
        if rows is not None:
            weights[f"{name}/rows"] = rows
            weights[name] = VariableRows(variable).gather(rows)[0].numpy()
        else:
            weights[name] = tf.identity(variable).numpy()
    _write(path.with_suffix(".npz"), lambda partial: np.savez(partial, allow_pickle=False, **weights))
    _write(path, lambda partial: pq.write_table(table, partial))


def load_batch(path: Path, encoder: Encoder) -> Batch:
    """Load the batch of a saved step.

    Raises:
        ConfigError: the file is damaged, or the features are different.
    """
    try:
        table = pq.read_table(path)
        batch = {}
        for key, (shape, dtype) in encoder.batch_spec.items():
            if 0 in shape:
                batch[key] = np.empty((table.num_rows, *shape), dtype)
                continue
            column = table[f"{RAW}{key}"].combine_chunks()
            flat = pc.list_flatten(column) if shape else column
            batch[key] = flat.to_numpy(zero_copy_only=False).astype(dtype, casting="no").reshape(-1, *shape)
            if len(batch[key]) != table.num_rows:
                raise ValueError(f"batch/{key} has a different width")
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{path}: not the saved step of a run with these features: {first_line(error)}. Use a step of this run."
        ) from error
    return batch


def load_weights(path: Path, model: CTRModel) -> None:
    """Set the weights that the batch of a saved step uses.

    Args:
        path: path of the batch, which has the weights next to it.
        model: compiled model of the run.

    Raises:
        ConfigError: the weights are missing, damaged, or belong to a different model.
    """
    file = path.with_suffix(".npz")
    try:
        with np.load(file, allow_pickle=False) as weights:
            for name, variable in _weights_of(model).items():
                if f"{name}/rows" in weights:
                    VariableRows(variable).scatter(weights[f"{name}/rows"], weights[name])
                else:
                    variable.assign(weights[name])
    except (OSError, KeyError, ValueError, EOFError, BadZipFile, tf.errors.OpError) as error:
        raise ConfigError(f"{file}: not the weights of this run: {str(error).splitlines()[0]}") from error


def _looked_up_rows(model: CTRModel, batch: Batch) -> dict[int, np.ndarray]:
    """Return id of a variable that holds tables -> its distinct rows that the batch looks up."""
    rows_of: dict[int, list[np.ndarray]] = {}
    for lookup in embedding_lookups(model):
        rows_of.setdefault(id(lookup.fused), []).append(lookup.rows(batch) + lookup.offset)
    return {key: np.concatenate(rows) for key, rows in rows_of.items()}


def _weights_of(model: CTRModel) -> dict[str, tf.Variable]:
    return {name: variable for name, variable in variables_of(model).items() if not name.startswith("optimizer/")}


def _column(array: np.ndarray) -> pa.Array:
    return pa.array(array) if array.ndim == 1 else pa.FixedSizeListArray.from_arrays(array.ravel(), array.shape[1])


def _write(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file atomically."""
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    write(partial)
    os.replace(partial, path)
