"""Counts of one column or feature, in bounded memory."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctr.metrics.distinct import DistinctCount
from features import Ragged, Values, decoded


@dataclass
class InputProfile:
    """Counts of a feature or another column in one split; a sequence counts by its values, and an empty list is null.

    `merge` merges two profiles.
    """

    rows: int = 0
    nulls: int = 0
    """Rows without a value."""
    values: int = 0
    unknown: int | None = None
    """Number of values that share the embedding of unknown values; None if the feature has no such embedding."""
    low: Any = None
    high: Any = None
    distinct: DistinctCount = field(default_factory=DistinctCount)

    def add(self, values: Values) -> None:
        """Count the values of some rows."""
        flat = values.flat if isinstance(values, Ragged) else values
        lists = values.lengths if isinstance(values, Ragged) else None
        self.rows += len(flat) if lists is None else len(lists)
        self.nulls += flat.null_count if lists is None else int((lists == 0).sum())
        self.values += len(flat) - flat.null_count
        distinct = decoded(pc.unique(flat)).drop_null()
        if not len(distinct):
            return
        self.distinct.add(distinct)
        low, high = map(_plain, pc.min_max(distinct).values())
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)

    def merge(self, other: "InputProfile") -> "InputProfile":
        """Return the profile of both together."""
        pair = (self, other)
        unknown = [profile.unknown for profile in pair if profile.unknown is not None]
        lows = [profile.low for profile in pair if profile.low is not None]
        highs = [profile.high for profile in pair if profile.high is not None]
        return InputProfile(
            self.rows + other.rows,
            self.nulls + other.nulls,
            self.values + other.values,
            sum(unknown) if unknown else None,
            min(lows, default=None),
            max(highs, default=None),
            self.distinct.merge(other.distinct),
        )

    @property
    def different(self) -> int:
        """Number of distinct values, estimated unless `distinct.is_exact`."""
        return min(self.distinct.estimate, self.values)

    @property
    def null_share(self) -> float:
        """Fraction of rows without a value, 0 to 1."""
        return self.nulls / self.rows

    @property
    def unknown_share(self) -> float | None:
        """Fraction of values that share the embedding of unknown values, 0 to 1; None without such values."""
        return None if self.unknown is None or not self.values else self.unknown / self.values


def _plain(value: pa.Scalar) -> Any:
    """Return a value that compares with others of its column; a time as NumPy's, which has every year."""
    return np.datetime64(value.value, "us") if pa.types.is_timestamp(value.type) else value.as_py()
