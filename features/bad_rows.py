"""Rows that cannot be used, left out of a set and counted: what a config may ask for in place of an error."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from features.encoder import Encoder
from features.errors import DataError
from features.kinds.feature import Feature
from features.row_groups import RowGroup, count_rows
from features.tables import read_tables


@dataclass(frozen=True)
class BadRows:
    """How many rows of a set were left out.

    A row that is bad for several reasons counts for the first of them, in the order label, weight, features.
    """

    rows: int = 0
    share: float = 0.0
    """Of the rows that the set has with them."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Reason -> rows; they add up to `rows`."""


def leave_out_bad_rows(
    name: str, row_groups: list[RowGroup], encoder: Encoder, at_most: float
) -> tuple[list[RowGroup], BadRows]:
    """The set without its bad rows, and what was left out; only the columns that can be bad are read.

    Bad is what an encoder refuses in single rows: a label that is null or neither 0 nor 1, a weight that is null,
    negative or not finite, a number that float32 cannot hold, as it is or once standardized, an id outside `identity`.

    Args:
        name: of the set, in errors.
        row_groups: the set; its columns have the types that their features take.
        encoder: of the features; one that is not fitted does not know which numbers are too large once standardized,
            of which the data that it is going to be fitted on has none.
        at_most: the share of the set's rows that may be left out.

    Raises:
        DataError: more rows are bad; the message says how many for which reason, and where the first of them is.
    """
    features = [feature for feature in encoder.features.columns.values() if feature.can_be_invalid]
    read = [column for feature in features for column in feature.columns]
    names = [*(encoder.columns.names if encoder.columns else []), *read]
    reasons: Counter[str] = Counter()
    places: dict[str, RowGroup] = {}
    left: list[RowGroup] = []
    for group, table in read_tables(row_groups if names else [], names):
        good = np.ones(group.rows, bool)
        for reason, bad in _faults(encoder, features, table, str(group)):
            if found := int((bad & good).sum()):
                reasons[reason] += found
                places.setdefault(reason, group)
                good &= ~bad
        if good.any():
            left.append(group if good.all() else group.part(good))
        else:
            group.read(encoder.input_columns)  # nothing else will, and a run must know all that its data holds
    if not reasons:
        return row_groups, BadRows()
    share = reasons.total() / count_rows(row_groups)
    if share > at_most:
        listed = ", ".join(f"{reason} ({count:,}, first in {places[reason]})" for reason, count in reasons.items())
        raise DataError(
            f"{name}: {reasons.total():,} of {count_rows(row_groups):,} rows are bad, a share of {share:.3g}, and "
            f"`bad_rows: {{skip: {at_most:g}}}` allows no more than {at_most:g}: {listed}"
        )
    return left, BadRows(reasons.total(), share, dict(reasons))


def _faults(encoder: Encoder, features: list[Feature], table: pa.Table, where: str) -> Iterator[tuple[str, np.ndarray]]:
    """Each reason with the rows that it holds for, bool [rows]."""
    if encoder.columns is not None:
        yield from encoder.columns.faults(table, where)
    for feature in features:
        yield from feature.faults(table, encoder.fit_of(feature.name), where)
