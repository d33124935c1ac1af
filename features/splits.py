"""Division of row groups into the splits train, valid and test."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BeforeValidator, NonNegativeFloat, PositiveFloat, model_validator

from features.casts import cast_advice
from features.columns import check_agreement
from features.errors import DataError
from features.hashing import uniform
from features.row_groups import RowGroup, count_rows
from features.settings import MAX_COUNT, Count, Settings
from features.tables import read_tables
from features.times import DAY, HOUR, PER_SECOND, as_microseconds
from features.types import type_name
from features.values import categories, is_category

SPLITS = ("train", "valid", "test")
GAP, IN_GAP = "gap", len(SPLITS)
TIME_BINS = 1 << 20


class TimeGap(Settings):
    """A length of time, in one unit."""

    days: PositiveFloat | None = None
    """Number of days."""
    hours: PositiveFloat | None = None
    """Number of hours."""
    minutes: PositiveFloat | None = None
    """Number of minutes."""

    @model_validator(mode="after")
    def _has_one_unit(self) -> "TimeGap":
        if sum(length is not None for length in (self.days, self.hours, self.minutes)) != 1:
            raise ValueError("needs one unit. Set `days`, `hours` or `minutes`.")
        return self

    @property
    def microseconds(self) -> int:
        """Length in microseconds, at least 1."""
        seconds = DAY * (self.days or 0) + HOUR * (self.hours or 0) + 60 * (self.minutes or 0)
        return max(1, round(seconds * PER_SECOND["us"]))

    def __str__(self) -> str:
        [(unit, length)] = ((unit, length) for unit, length in self if length is not None)
        return f"{{{unit}: {length:g}}}"


def _gap(value: Any) -> Any:
    if isinstance(value, dict):
        return TimeGap.model_validate(value)
    is_length = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_COUNT
    if not (is_length or value is None or isinstance(value, TimeGap)):
        raise ValueError(
            "must be a length of time such as {hours: 24}, or a whole number above 0 for a column of integers"
        )
    return value


def _without_test(fractions: Any) -> Any:
    """Complete the fractions of train and valid by a fraction of 0 for test."""
    if not isinstance(fractions, list | tuple) or len(fractions) not in (2, 3):
        raise ValueError("must be 2 or 3 numbers, such as [0.9, 0.1] or [0.8, 0.1, 0.1]")
    return [*fractions, 0.0] if len(fractions) == 2 else fractions


class Split(Settings):
    """Division of one dataset into train, valid and test, or of the training files into train and valid."""

    by: Literal["rows", "time", "random", "hash"]
    """Rule of the split. `rows`: file order. `time`: the values of `column`. `random`: a draw for each row from the
    seed. `hash`: a hash of the value of `column`, so that all rows of a value are in one split."""
    column: str | None = None
    """Column of a split by `time` or `hash`, without nulls. `time`: timestamps, dates or integers. `hash`: integers,
    text or booleans, such as the user."""
    fractions: Annotated[tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat], BeforeValidator(_without_test)]
    """Fractions of train, valid and test: of the rows, or by `hash` of the values. They sum to 1, and the first is
    above 0. Two fractions are those of train and valid."""
    gap: Annotated[Count | TimeGap | None, BeforeValidator(_gap)] = None
    """Length of time before the first row of valid and before the first row of test, in a split by time. Rows within it
    are in no split. `{days: N}`, `{hours: N}` or `{minutes: N}`; a whole number for a column of integers."""

    @model_validator(mode="after")
    def _is_complete(self) -> "Split":
        if abs(sum(self.fractions) - 1) > 1e-9 or self.fractions[0] == 0:
            raise ValueError(
                f"fractions must sum to 1, and the first must be above 0. Received: {list(self.fractions)}"
            )
        if (self.by in ("time", "hash")) != (self.column is not None):
            rule = "needs a `column`. Set it." if self.column is None else "does not have a `column`. Remove it."
            raise ValueError(f"`by: {self.by}` {rule}")
        if self.gap is not None and self.by != "time":
            raise ValueError(f"`by: {self.by}` does not have a `gap`. Remove it, or use `by: time`.")
        return self


def split_data(row_groups: list[RowGroup], split: Split, seed: int) -> dict[str, list[RowGroup]]:
    """Divide a dataset into `train`, `valid` and `test`.

    By rows: cut at fractions of the rows, in file order. By time: rows of one instant stay together; the cut is the
    boundary nearest to the fraction among 2^20 equal steps between the first and the last instant. At random: each row
    by a draw that depends only on the seed and the row's position. By hash: each row by the value of a column alone. A
    split whose fraction is 0 is empty.

    Returns:
        Name of a split -> its row groups. A split with a gap has the key `gap`, too: rows that are in no split.

    Raises:
        DataError: a column has nulls or an unsuitable type, or a split with a fraction above 0 received no rows.
    """
    sums = np.cumsum(split.fractions)
    bounds = np.where(sums == sums[-1], 1.0, sums)[:2]  # fractions might sum to 1 only after rounding
    if split.by == "rows":
        assign = _by_rows(row_groups, bounds)
    elif split.by == "random":
        assign = _at_random(row_groups, bounds, seed)
    else:
        assert split.column is not None
        if split.by == "hash":
            assign = _by_hash(row_groups, bounds, split.column)
        else:
            assign = _by_time(row_groups, bounds, split.column, _gap_length(row_groups, split))
    names = SPLITS if split.gap is None else (*SPLITS, GAP)
    splits: dict[str, list[RowGroup]] = {name: [] for name in names}
    for group, assigned in zip(row_groups, assign, strict=True):
        for k, name in enumerate(names):
            mask = assigned == k
            if mask.all():
                splits[name].append(group)
            elif mask.any():
                splits[name].append(group.select(mask))
    _check_filled(splits, split, count_rows(row_groups))
    return splits


def _check_filled(splits: dict[str, list[RowGroup]], split: Split, rows: int) -> None:
    """Raise DataError if a split with a fraction above 0 has no rows."""
    for name, fraction in zip(SPLITS, split.fractions, strict=True):
        if fraction > 0 and not splits[name]:
            if in_gap := count_rows(splits.get(GAP, [])):
                raise DataError(
                    f"data.split.gap: a gap of {split.gap} takes {in_gap:,} of {rows:,} rows and leaves no rows for "
                    f"{name} (fraction {fraction:.3g}). Reduce the gap, or change the fractions."
                )
            raise DataError(
                f"data.split: the split by {split.by} leaves no rows for {name} (fraction {fraction:.3g} of "
                f"{rows:,} rows). Change the fractions, or use more data."
            )


def _by_rows(row_groups: list[RowGroup], bounds: np.ndarray) -> Iterator[np.ndarray]:
    cuts = np.round(bounds * count_rows(row_groups))
    start = 0
    for group in row_groups:
        yield np.searchsorted(cuts, np.arange(start, start + group.rows), side="right")
        start += group.rows


def _at_random(row_groups: list[RowGroup], bounds: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    for number, group in enumerate(row_groups):
        yield np.searchsorted(bounds, np.random.default_rng([seed, 1, number]).random(group.rows), side="right")


def _by_hash(row_groups: list[RowGroup], bounds: np.ndarray, column: str) -> Iterator[np.ndarray]:
    check_agreement(row_groups, [column], ())
    for group, table in read_tables(row_groups, [column]):
        values = table.column(column).combine_chunks()
        if not (is_category(values.type) or pa.types.is_null(values.type)):
            raise DataError(
                f"{group}: cannot split by hash on {column!r} of type {type_name(values.type)}, expected integers, "
                f"text or booleans.",
                cast_advice(column, values.type, "key"),
            )
        _check_no_nulls(values, group, column, "by hash needs a value in every row")
        encoded = categories(values, []).dictionary_encode()
        yield np.searchsorted(bounds, uniform(encoded.dictionary), side="right")[encoded.indices.to_numpy()]


def _gap_length(row_groups: list[RowGroup], split: Split) -> int:
    """Return the gap of a split by time, in microseconds or in the unit of a column of integers; 0 without one.

    Raises:
        DataError: the unit of the gap does not suit the column.
    """
    if split.gap is None:
        return 0
    assert split.column is not None
    holds_integers = pa.types.is_integer(row_groups[0].file.schema.field(split.column).type)
    if isinstance(split.gap, TimeGap):
        if holds_integers:
            raise DataError(
                f"data.split.gap: {split.gap} of column {split.column!r}, which holds integers. Use a whole number in "
                f"the unit of the column, or set `data.cast: {{{split.column}: {{timestamp: FORMAT}}}}`."
            )
        return split.gap.microseconds
    if not holds_integers:
        raise DataError(
            f"data.split.gap: {split.gap} has no unit, but column {split.column!r} does not hold integers. Use a "
            f"length such as `{{hours: 24}}`."
        )
    return split.gap


def _by_time(row_groups: list[RowGroup], bounds: np.ndarray, column: str, gap: int) -> Iterator[np.ndarray]:
    counts_time = {pa.types.is_integer(group.file.schema.field(column).type): group for group in row_groups}
    if len(counts_time) > 1:
        raise DataError(
            f"{counts_time[True].file.path}: column {column!r} holds integers, but times in "
            f"{counts_time[False].file.path}. Use one type in all files."
        )
    spans = np.array([(times.min(), times.max()) for times in _times(row_groups, column)])
    first, last = int(spans[:, 0].min()), int(spans[:, 1].max())
    if last - first >= 2**63:
        earliest, latest = row_groups[spans[:, 0].argmin()], row_groups[spans[:, 1].argmax()]
        raise DataError(
            f"data.split: {column!r} ranges from {first} ({earliest}) to {last} ({latest}), more than int64 can span. "
            f"Remove placeholders."
        )
    step = max(1, -(-(last - first + 1) // TIME_BINS))
    counts = np.zeros(TIME_BINS, np.int64)
    firsts = np.full(TIME_BINS + 1, np.iinfo(np.int64).max)  # of each step, only with a gap
    for times in _times(row_groups, column):
        steps = (times - first) // step
        counts += np.bincount(steps, minlength=TIME_BINS)
        if gap:
            np.minimum.at(firsts, steps, times)
    totals = np.concatenate([[0], np.cumsum(counts)])
    at = [int(np.argmin(np.abs(totals - bound * totals[-1]))) for bound in bounds]
    edges, parts = [first + k * step for k in at], np.arange(len(SPLITS))
    if gap:
        edges = _with_gaps([min(int(firsts[k:].min()), last + 1) for k in at], gap, first, last)
        parts = np.array([0, IN_GAP, 1, IN_GAP, 2])
    ends = np.searchsorted(edges, spans, side="right")
    is_cut = ends[:, 0] != ends[:, 1]
    times_of_cut = _times([group for group, cut in zip(row_groups, is_cut, strict=True) if cut], column)
    for group, (end, _), cut in zip(row_groups, ends, is_cut, strict=True):
        yield parts[np.searchsorted(edges, next(times_of_cut), side="right") if cut else np.full(group.rows, end)]


def _with_gaps(starts: list[int], gap: int, first: int, last: int) -> list[int]:
    """Return the start of the gap before each split, followed by the start of the split.

    Args:
        starts: first times of valid and of test; a time after `last` for a split without rows, which has no gap.
        gap: length of the gaps.
        first: first time of the data.
        last: last time of the data.
    """
    edges: list[int] = []
    for start in starts:
        edges += [max(start - gap, edges[-1] if edges else first) if start <= last else start, start]
    return edges


def _times(row_groups: list[RowGroup], column: str) -> Iterator[np.ndarray]:
    """Yield a time column of each row group as int64: microseconds of timestamps and dates, integers as they are."""
    for group, table in read_tables(row_groups, [column]):
        yield _as_integers(table.column(column).combine_chunks(), group, column)


def _as_integers(values: pa.Array, group: RowGroup, column: str) -> np.ndarray:
    if not (pa.types.is_timestamp(values.type) or pa.types.is_date(values.type) or pa.types.is_integer(values.type)):
        raise DataError(
            f"{group}: cannot split by time on {column!r} of type {type_name(values.type)}, expected a timestamp, date "
            f"or integer.",
            cast_advice(column, values.type, "time"),
        )
    _check_no_nulls(values, group, column, "by time needs a time in every row")
    if pa.types.is_integer(values.type):
        return values.cast(pa.int64()).to_numpy()
    return as_microseconds(values, f"{group}: {column!r}").cast(pa.int64()).to_numpy()


def _check_no_nulls(values: pa.Array, group: RowGroup, column: str, rule: str) -> None:
    if values.null_count:
        raise DataError(
            f"{group}: {column!r} has {values.null_count:,} nulls, but a split {rule}. Remove or fill these rows."
        )
