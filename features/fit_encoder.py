"""From the training data to an encoder: fit what is fitted, then find the rows of tables that the data uses."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from features.batch import SPECIAL_ROWS
from features.encoder import Encoder
from features.labels import Columns
from features.layout import has_unfitted_ids, table_name
from features.row_groups import RowGroup
from features.schema import Features
from features.statistics import THREADS, fit
from features.tables import map_tables

SeenRows = dict[str, np.ndarray]


def fit_encoder(
    features: Features, columns: Columns, row_groups: list[RowGroup], seed: int, known: Encoder | None = None
) -> Encoder:
    """Fit an encoder on the training data.

    The data is read once for what `fit` needs. With `features.unseen: shared` the columns of features whose ids are not
    by vocabulary are read a second time, because ids of crosses need the fitted buckets.

    Args:
        features: the declared features.
        columns: the label, and the weight if there is one.
        row_groups: the training data.
        seed: seed of the rows that edges are drawn from.
        known: the encoder of the data that the same features were trained on before; None: none.

    Raises:
        DataError: as `fit`, and an id outside 0 <= id < identity.
    """
    statistics = fit(features, columns, row_groups, seed, None if known is None else known.statistics)
    encoder = Encoder.fitted(features, columns, statistics)
    if features.unseen == "own":
        return encoder
    return replace(encoder, seen=_seen(encoder, row_groups, None if known is None else known.seen))


def _seen(encoder: Encoder, row_groups: list[RowGroup], known: Mapping[str, np.ndarray] | None) -> SeenRows:
    """Return which rows of each table examples of a weight above 0 use, now or before, bool [rows].

    A table that was trained before without a record of its rows gets none, because any of its rows may be trained.
    """
    tracked = {
        name: table_name(feature)
        for name, feature in encoder.features.columns.items()
        if has_unfitted_ids(feature) and (known is None or table_name(feature) in known)
    }
    seen = {table: np.zeros(encoder.table_size(name), bool) for name, table in tracked.items()}
    for table, rows in seen.items():
        rows[:SPECIAL_ROWS] = True
        if known is not None:
            rows |= known[table]
    if not tracked:
        return seen
    reduced, columns = replace(encoder, features=encoder.features.only(tracked), columns=None), encoder.columns
    weight = [] if columns is None or columns.weight is None else [columns.weight]

    def ids_of(group: RowGroup, table: pa.Table) -> SeenRows:
        if columns is not None and weight:
            table = table.filter(pa.array(columns.weights(table, str(group)) > 0))
        values = reduced.values(table, str(group))
        return {name: reduced.ids(name, values[name], str(group)) for name in tracked}

    for found in map_tables(ids_of, row_groups, [*reduced.input_columns, *weight], THREADS):
        for name, rows in found.items():
            seen[tracked[name]][rows] = True
    return seen
