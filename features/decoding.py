"""Decoding of embedding row ids to raw feature values."""

import numpy as np
import pyarrow as pa

from features.batch import SPECIAL_ROWS, Batch
from features.encoder import Encoder

SPECIAL = ("padding", "null", "out of vocabulary")


def decode_ids(encoder: Encoder, name: str, rows: np.ndarray) -> pa.Array:
    """Return the values of rows in the table of the feature `name`; the three special rows are null.

    A vocabulary gives the values of the data, `identity` the id, `part` the hour, weekday (0-6) or day of the month. A
    hash, a cross and the ranges of a number give only their bucket, from 0.

    Args:
        encoder: fitted encoder.
        name: name of a feature with ids.
        rows: row numbers, integers `[rows]`, local to the table.
    """
    feature = encoder.features.columns[name]
    ids = pa.array(rows.astype(np.int64) - SPECIAL_ROWS, mask=rows < SPECIAL_ROWS)
    return feature.decode(ids, encoder.fit_of(name))


def describe_row(encoder: Encoder, name: str, row: int) -> str:
    """Describe a row in the table of the feature `name`, such as `'item 5'`, `null` or `hash bucket 17`."""
    if row < SPECIAL_ROWS:
        return SPECIAL[row]
    feature = encoder.features.columns[name]
    value = decode_ids(encoder, name, np.array([row]))[0].as_py()
    return feature.describe(value, encoder.fit_of(name))


def decoded_batch(encoder: Encoder, batch: Batch) -> dict[str, pa.Array]:
    """Return the features of a batch by name: categories and lists as `decode_ids`, numbers as the model sees them."""
    categories: dict[str, pa.Array] = {}
    column_of = {name: column for column, name in enumerate(encoder.id_features)}
    for name in encoder.features.columns:
        if name in column_of:
            categories[name] = decode_ids(encoder, name, batch["ids"][:, column_of[name]])
        elif (key := f"sequences/{name}") in batch:
            ids, lengths = batch[key], batch[f"lengths/{name}"]
            is_value = np.arange(ids.shape[1]) < lengths[:, None]
            ends = np.concatenate([[0], np.cumsum(is_value.sum(axis=1))]).astype(np.int32)
            categories[name] = pa.ListArray.from_arrays(pa.array(ends), decode_ids(encoder, name, ids[is_value]))
    numerics = {name: pa.array(batch["numerics"][:, k]) for k, name in enumerate(encoder.layout["numerics"])}
    return {**categories, **numerics}
