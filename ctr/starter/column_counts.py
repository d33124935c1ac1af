"""Counts of one raw column, in bounded memory: what a first config has to know of it."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctr.evaluation.input_profile import InputProfile
from features import (
    Ragged,
    Values,
    as_microseconds,
    cast_column,
    innermost,
    is_bytes,
    is_uuid,
    values_of_column,
)

PLACEHOLDERS = ("", " ", "?", "-", "NA", "N/A", "n/a", "nan", "NaN", "null", "NULL", "None", "\\N", "(null)")
"""Texts that usually mean that a value is missing."""
FORMATS = {
    "digits": r"^[+-]?[0-9]+$",
    "numbers": r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?$",
    "days": r"^[0-9]{4}-(?:0[1-9]|1[0-2])-[0-3][0-9]$",
    "times": r"^[0-9]{4}-(?:0[1-9]|1[0-2])-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?$",
}
"""Format of text -> regular expression of a value."""
EXACT_DIGITS = 15  # decimal digits that float64 always holds
FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass
class ColumnCounts:
    """Counts of a column. `merge` merges two states, the second of which follows in the data."""

    profile: InputProfile = field(default_factory=InputProfile)
    """Rows, nulls, distinct values and range; NaN and the texts of `PLACEHOLDERS` count as null."""
    placeholders: set[str] = field(default_factory=set)
    """Texts of `PLACEHOLDERS` that occur."""
    formats: set[str] = field(default_factory=lambda: set(FORMATS))
    """Formats of `FORMATS` that all texts have."""
    longest: int = 0
    """Number of values of the longest list."""
    ones: int = 0
    """Number of values that are 1 or true."""
    has_fractions: bool = False
    """True if a number is not whole."""
    too_large: int = 0
    """Number of values that are infinite, or beyond float32."""
    first: int | None = None
    """First integer or time, of those that are not null."""
    last: int | None = None
    """Last one."""
    steps: int = 0
    """Number of neighbors of which `first`, ..., `last` consist."""
    steps_back: int = 0
    """Number of neighbors of which the second is smaller."""

    def add(self, values: Values) -> None:
        """Count values that `values_to_count` returned."""
        flat = values.flat if isinstance(values, Ragged) else values
        if isinstance(values, Ragged):
            self.longest = max(self.longest, int(values.lengths.max(initial=0)))
        elif pa.types.is_dictionary(flat.type):
            values = self._without_placeholders(flat)
        self.profile.add(values)
        if pa.types.is_floating(flat.type):
            numbers = flat.drop_null().to_numpy()
            finite = np.abs(numbers) <= FLOAT32_MAX
            self.too_large += int((~finite).sum())
            self.has_fractions |= bool((numbers[finite] % 1 != 0).any())
            self.ones += int((numbers == 1).sum())
        elif pa.types.is_integer(flat.type):
            self.ones += pc.sum(pc.equal(flat, pa.scalar(1, flat.type))).as_py() or 0
        if not isinstance(values, Ragged) and (pa.types.is_int64(flat.type) or pa.types.is_timestamp(flat.type)):
            self._count_steps(flat.cast(pa.int64()).drop_null().to_numpy())

    def merge(self, other: "ColumnCounts") -> "ColumnCounts":
        """Return the counts of both together."""
        steps_between = int(self.last is not None and other.first is not None)
        is_back = self.last is not None and other.first is not None and other.first < self.last
        return ColumnCounts(
            self.profile.merge(other.profile),
            self.placeholders | other.placeholders,
            self.formats & other.formats,
            max(self.longest, other.longest),
            self.ones + other.ones,
            self.has_fractions or other.has_fractions,
            self.too_large + other.too_large,
            other.first if self.first is None else self.first,
            self.last if other.last is None else other.last,
            self.steps + other.steps + steps_between,
            self.steps_back + other.steps_back + int(is_back),
        )

    @property
    def is_sorted(self) -> bool:
        """True if the values ascend from row to row, but for one neighbor in a hundred."""
        return self.steps > 0 and self.steps_back <= 0.01 * self.steps and (self.first or 0) < (self.last or 0)

    def _without_placeholders(self, texts: pa.DictionaryArray) -> pa.DictionaryArray:
        """Count what the texts look like, and return them with null for placeholders."""
        used = pc.unique(texts.indices).drop_null()
        dictionary = texts.dictionary
        words = dictionary.take(used)
        is_placeholder = pc.is_in(dictionary, value_set=pa.array(PLACEHOLDERS, dictionary.type))
        found = words.filter(is_placeholder.take(used)).to_pylist()
        self.placeholders.update(found)
        words = words.filter(pc.invert(is_placeholder.take(used)))
        matches = {name: pc.match_substring_regex(words, FORMATS[name]) for name in self.formats}
        self.formats = {name for name, is_match in matches.items() if pc.all(is_match, min_count=0).as_py()}
        texts_of_one = pc.is_in(dictionary, value_set=pa.array(["1", "true"], dictionary.type))
        self.ones += pc.sum(texts_of_one.take(texts.indices)).as_py() or 0
        if not found:
            return texts
        indices = pc.if_else(is_placeholder.take(texts.indices), pa.scalar(None, texts.indices.type), texts.indices)
        return pa.DictionaryArray.from_arrays(indices, dictionary)

    def _count_steps(self, numbers: np.ndarray) -> None:
        if not len(numbers):
            return
        if self.last is None:
            self.first = int(numbers[0])
        else:
            numbers = np.concatenate([[self.last], numbers])
        self.last = int(numbers[-1])
        self.steps += len(numbers) - 1
        self.steps_back += int((numbers[1:] < numbers[:-1]).sum())


def values_to_count(column: pa.ChunkedArray, where: str) -> Values | None:
    """Return the values of a column; None for a type without values that compare, such as a struct.

    Times are in microseconds, binary values in hexadecimal digits, whole decimals that float64 cannot hold as text.

    Raises:
        DataError: a time is beyond the range of microseconds.
    """
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return as_microseconds(column.combine_chunks(), where)
    inner = innermost(column.type)
    if is_bytes(inner) or is_uuid(inner):
        column = cast_column(column, "hex", where)
    elif is_long_decimal(column.type):
        column = cast_column(column, "text", where)
    return values_of_column(column)


def is_long_decimal(type_: pa.DataType) -> bool:
    """Return True for decimals without a fraction that can have more digits than float64 holds, such as some ids."""
    return pa.types.is_decimal(type_) and type_.scale == 0 and type_.precision > EXACT_DIGITS
