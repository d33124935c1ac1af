"""Embeddings of a trained model as a DataFrame, with the values that they belong to."""

import numpy as np
import pandas as pd
import pyarrow as pa

from ctr.errors import ConfigError
from features import SPECIAL_ROWS, Encoder, decode_ids, describe_row, nearest
from models import CTRModel

KINDS = pd.Index(["padding", "null", "out of vocabulary", "value"])
NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype(), pa.large_string(): pd.StringDtype()}


def embedding_frame(model: CTRModel, encoder: Encoder, name: str) -> pd.DataFrame:
    """Return the embeddings of a feature or table, one row per id.

    Args:
        model: model of the encoder's batches.
        encoder: fitted encoder.
        name: feature, or one of the model's own tables, such as `wide/item`.

    Returns:
        `kind`: `padding`, `null` and `out of vocabulary` for the three special rows, `value` for all others. `value`:
        value of the data, null for special rows; of a hash or a cross the number of the bucket, of a number the range.
        `count`: occurrences in the training data, null if unknown. `dim_0` to `dim_<width - 1>`: embedding, float32.
        The index is the id in a batch.

    Raises:
        ConfigError: the model has no such table.
    """
    table, feature = _find(model, encoder, name)
    rows = model.tables.inputs.table(table).rows
    frame = pd.DataFrame(
        {
            "kind": pd.Categorical.from_codes(np.minimum(np.arange(rows), SPECIAL_ROWS), KINDS),
            "value": _values(encoder, feature, rows),
            "count": _counts(encoder, feature, rows),
        }
    )
    vectors = np.concatenate(list(model.tables.table_blocks(table)))
    columns = [f"dim_{index}" for index in range(vectors.shape[1])]
    return pd.concat([frame, pd.DataFrame(vectors, columns=columns)], axis=1)


def _find(model: CTRModel, encoder: Encoder, name: str) -> tuple[str, str]:
    """Return the table of a feature or table, and a feature whose ids are its rows."""
    declared = encoder.features.columns
    readers: dict[str, str] = {}  # table -> the first feature that reads it
    for field in model.tables.inputs.fields:
        reader = encoder.id_features[field.column] if field.column is not None else field.sequence
        assert reader is not None
        readers.setdefault(field.table, reader)
    if name in declared and declared[name].has_table and declared[name].table_name in readers:
        return declared[name].table_name, name
    if name in readers:
        return name, readers[name]
    if name not in declared:
        known = list(dict.fromkeys([*declared, *readers]))
        raise ConfigError(f"embeddings: no feature or table {name!r}; {nearest(str(name), known)}")
    own = [table for table, reader in readers.items() if reader == name]
    if len(own) == 1:  # such as the wide weight of a cross
        return own[0], name
    reason = "more than one table" if own else "no table"
    choices = ", ".join(own or readers)
    raise ConfigError(f"embeddings: {name!r} has {reason}. Choose one of: {choices}.")


def _values(encoder: Encoder, feature: str, rows: int) -> pd.Series:
    if encoder.features.columns[feature].reads_numbers:  # few rows, whose ids are ranges
        texts = [None] * SPECIAL_ROWS + [describe_row(encoder, feature, row) for row in range(SPECIAL_ROWS, rows)]
        return pd.Series(texts, dtype="string")
    return decode_ids(encoder, feature, np.arange(rows)).to_pandas(types_mapper=NULLABLE.get)


def _counts(encoder: Encoder, feature: str, rows: int) -> pd.Series:
    counts = encoder.features.columns[feature].id_counts(encoder.fit_of(feature))
    series = pd.Series(pd.NA, index=range(rows), dtype="Int64")
    if counts is not None:
        series[SPECIAL_ROWS:] = counts
    return series
