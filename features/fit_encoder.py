"""Fitting of an encoder on the training data, including the record of the table rows that the data uses."""

from dataclasses import replace

from features.columns import check_columns
from features.encoder import Encoder
from features.labels import Columns
from features.row_groups import RowGroup
from features.schema import Features
from features.seen_rows import find_seen_rows
from features.statistics import Statistics, fit


def fit_encoder(
    features: Features, columns: Columns, row_groups: list[RowGroup], seed: int, known: Encoder | None = None
) -> Encoder:
    """Fit an encoder on the training data.

    The data is read once for `fit`. With `features.unseen: shared`, the columns of features whose ids are not fitted by
    a vocabulary are read a second time, because ids of crosses need the fitted buckets.

    Args:
        features: declared features.
        columns: label column and optional weight column.
        row_groups: training data.
        seed: seed of the sample of rows that determines bucket edges.
        known: encoder of earlier training data with the same features; None without such data.

    Raises:
        DataError: as for `fit`, a file lacks a column, or an id is outside 0 <= id < identity.
    """
    unfitted = Encoder(features, columns, Statistics.of_no_data(features))
    check_columns(row_groups, unfitted.input_columns, unfitted.check)
    statistics = fit(features, columns, row_groups, seed, None if known is None else known.statistics)
    encoder = Encoder(features, columns, statistics)
    if features.unseen == "own":
        return encoder
    return replace(encoder, seen=find_seen_rows(encoder, row_groups, None if known is None else known.seen))
