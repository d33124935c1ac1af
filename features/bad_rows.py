"""Removal of invalid rows from a split, with their counts, if the config asks for it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from features.encoder import Encoder
from features.errors import Advice, DataError
from features.kinds.feature import Feature
from features.labels import MANY_LABELS, MAP_LABELS, NOT_A_LABEL
from features.row_groups import RowGroup, count_rows
from features.tables import read_tables

CORRECT_OR_SKIP = Advice("Correct the rows, or raise `skip`.", "Correct the rows.")


@dataclass(frozen=True)
class BadRows:
    """Number of invalid rows removed from a split.

    A row that is invalid for several reasons counts for the first of them, in the order label, weight, features.
    """

    rows: int = 0
    """Number of removed rows."""
    fraction: float = 0.0
    """Fraction of the split's rows that were removed, 0 to 1."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Reason -> number of rows; the numbers add up to `rows`."""

    @property
    def has_other_labels(self) -> bool:
        """True if so many labels are neither 0 nor 1 that the column must have another meaning."""
        return bool(self.rows) and self.reasons.get(NOT_A_LABEL, 0) / self.rows * self.fraction > MANY_LABELS


def leave_out_bad_rows(
    name: str, row_groups: list[RowGroup], encoder: Encoder, at_most: float
) -> tuple[list[RowGroup], BadRows]:
    """Return a split without its invalid rows, and their counts; reads only columns that can be invalid.

    A row is invalid if an encoder rejects it by itself: a label that is null or neither 0 nor 1, a weight that is null,
    negative or not finite, a number that float32 cannot hold, as it is or after standardization, or an id outside
    `identity`.

    Args:
        name: name of the split, for errors.
        row_groups: row groups of the split, whose columns have types that their features accept.
        encoder: encoder of the features. If it is not fitted, it cannot find numbers that are too large after
            standardization; the data that it will be fitted on has no such numbers.
        at_most: maximum fraction of the split's rows that can be removed, 0 to 1.

    Raises:
        DataError: more rows are invalid; the message counts them by reason and locates the first.
    """
    features = [feature for feature in encoder.features.columns.values() if feature.can_be_invalid]
    read = [column for feature in features for column in feature.columns]
    names = [*(encoder.columns.names if encoder.columns else []), *read]
    reasons: Counter[str] = Counter()
    first_group: dict[str, RowGroup] = {}
    remaining: list[RowGroup] = []
    for group, table in read_tables(row_groups if names else [], names):
        good = np.ones(group.rows, bool)
        for reason, bad in _faults(encoder, features, table, str(group)):
            if count := int((bad & good).sum()):
                reasons[reason] += count
                first_group.setdefault(reason, group)
                good &= ~bad
        if good.any():
            remaining.append(group if good.all() else group.select(good))
        else:
            group.read(encoder.input_columns)  # nothing else reads it, and a run must hash all of its data
    if not reasons:
        return row_groups, BadRows()
    fraction = reasons.total() / count_rows(row_groups)
    removed = BadRows(reasons.total(), fraction, dict(reasons))
    if fraction > at_most:
        lines = [f"{reason}: {count:,}, first in {first_group[reason]}" for reason, count in reasons.items()]
        raise DataError(
            f"{name}: {reasons.total():,} of {count_rows(row_groups):,} rows are invalid ({100 * fraction:.3g}%), "
            f"more than `bad_rows: {{skip: {at_most:g}}}` allows:\n  " + "\n  ".join(lines) + "\n",
            MAP_LABELS if removed.has_other_labels else CORRECT_OR_SKIP,
        )
    return remaining, removed


def _faults(encoder: Encoder, features: list[Feature], table: pa.Table, where: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each reason with the rows to which it applies, bool `[rows]`."""
    if encoder.columns is not None:
        yield from encoder.columns.faults(table, where)
    for feature in features:
        yield from feature.faults(table, encoder.fit_of(feature.name), where)
