"""From the training data to an encoder: fit what is fitted, then find the rows of tables that the data uses."""

from dataclasses import replace

from features.encoder import Encoder
from features.labels import Columns
from features.row_groups import RowGroup
from features.schema import Features
from features.seen_rows import find_seen_rows
from features.statistics import fit


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
    encoder = Encoder(features, columns, statistics)
    if features.unseen == "own":
        return encoder
    return replace(encoder, seen=find_seen_rows(encoder, row_groups, None if known is None else known.seen))
