"""From the training data to an encoder: fit what is fitted, then find the rows of tables that the data uses."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from features.batch import SPECIAL_ROWS
from features.encoder import Encoder
from features.labels import Columns
from features.layout import table_name
from features.row_groups import RowGroup
from features.schema import CrossFeature, Feature, Features
from features.statistics import THREADS, fit
from features.tables import map_tables

Seen = dict[str, np.ndarray]


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


def _seen(encoder: Encoder, row_groups: list[RowGroup], known: Mapping[str, np.ndarray] | None) -> Seen:
    """Table -> whether the training data, now or before, uses each of its rows, bool [rows].

    A table that was trained before without a record of its rows has none: all of its rows may be trained.
    """
    tracked = {
        name: table_name(feature)
        for name, feature in encoder.features.columns.items()
        if is_tracked(feature) and (known is None or table_name(feature) in known)
    }
    seen = {table: np.zeros(encoder.table_rows(name), bool) for name, table in tracked.items()}
    for table, rows in seen.items():
        rows[:SPECIAL_ROWS] = True
        if known is not None:
            rows |= known[table]
    if not tracked:
        return seen
    reduced = replace(encoder, features=encoder.features.only(tracked), columns=None)

    def used(group: RowGroup, table: pa.Table) -> Seen:
        values = reduced.values(table, str(group))
        return {name: reduced.rows(name, values[name], str(group)) for name in tracked}

    for found in map_tables(used, row_groups, reduced.input_columns, THREADS):
        for name, rows in found.items():
            seen[tracked[name]][rows] = True
    return seen


def is_tracked(feature: Feature) -> bool:
    """Return True if the ids of a feature are not fitted, so that the training data may never use some of them."""
    if isinstance(feature, CrossFeature):
        return True
    return any(getattr(feature, key, None) is not None for key in ("hash", "identity", "part"))
