"""Division of row groups into the splits train, valid and test."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from features.casts import cast_hint
from features.errors import DataError
from features.row_groups import RowGroup, count_rows
from features.schema import Split
from features.tables import read_tables
from features.times import as_microseconds
from features.types import type_name

SPLITS = ("train", "valid", "test")
TIME_BINS = 1 << 20


def split_data(row_groups: list[RowGroup], split: Split, seed: int) -> dict[str, list[RowGroup]]:
    """Divide a dataset into `train`, `valid` and `test`.

    By rows: cut at fractions of the rows, in file order. By time: rows of one instant stay together; the cut is the
    boundary nearest to the fraction among 2^20 equal steps between the first and the last instant. At random: each row
    by a draw that depends only on the seed and the row's position. A split whose fraction is 0 is empty.

    Raises:
        DataError: a time column has nulls or no order, or a split with a fraction above 0 received no rows.
    """
    bounds = np.cumsum(split.fractions)[:2]
    if split.by == "rows":
        assign = _by_rows(row_groups, bounds)
    elif split.by == "random":
        assign = _at_random(row_groups, bounds, seed)
    else:
        assert split.column is not None
        assign = _by_time(row_groups, bounds, split.column)
    splits: dict[str, list[RowGroup]] = {name: [] for name in SPLITS}
    for group, assigned in zip(row_groups, assign, strict=True):
        for k, name in enumerate(SPLITS):
            mask = assigned == k
            if mask.all():
                splits[name].append(group)
            elif mask.any():
                splits[name].append(group.select(mask))
    for name, fraction in zip(SPLITS, split.fractions, strict=True):
        if fraction > 0 and not splits[name]:
            raise DataError(
                f"data.split: the split by {split.by} leaves no rows for {name} (fraction {fraction:.3g} of "
                f"{count_rows(row_groups):,} rows). Change the fractions, or use more data."
            )
    return splits


def _by_rows(row_groups: list[RowGroup], bounds: np.ndarray) -> Iterator[np.ndarray]:
    cuts = np.round(bounds * count_rows(row_groups))
    start = 0
    for group in row_groups:
        yield np.searchsorted(cuts, np.arange(start, start + group.rows), side="right")
        start += group.rows


def _at_random(row_groups: list[RowGroup], bounds: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    for number, group in enumerate(row_groups):
        yield np.searchsorted(bounds, np.random.default_rng([seed, 1, number]).random(group.rows), side="right")


def _by_time(row_groups: list[RowGroup], bounds: np.ndarray, column: str) -> Iterator[np.ndarray]:
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
    for times in _times(row_groups, column):
        counts += np.bincount((times - first) // step, minlength=TIME_BINS)
    totals = np.concatenate([[0], np.cumsum(counts)])
    cuts = [first + int(np.argmin(np.abs(totals - bound * totals[-1]))) * step for bound in bounds]
    ends = np.searchsorted(cuts, spans, side="right")
    is_cut = ends[:, 0] != ends[:, 1]
    times_of_cut = _times([group for group, cut in zip(row_groups, is_cut, strict=True) if cut], column)
    for group, (end, _), cut in zip(row_groups, ends, is_cut, strict=True):
        yield np.searchsorted(cuts, next(times_of_cut), side="right") if cut else np.full(group.rows, end)


def _times(row_groups: list[RowGroup], column: str) -> Iterator[np.ndarray]:
    """Yield a time column of each row group as int64: microseconds of timestamps and dates, integers as they are."""
    for group, table in read_tables(row_groups, [column]):
        yield _as_integers(table.column(column).combine_chunks(), group, column)


def _as_integers(values: pa.Array, group: RowGroup, column: str) -> np.ndarray:
    if not (pa.types.is_timestamp(values.type) or pa.types.is_date(values.type) or pa.types.is_integer(values.type)):
        raise DataError(
            f"{group}: cannot split by time on {column!r} of type {type_name(values.type)}, expected a timestamp, date "
            f"or integer.{cast_hint(column, values.type, 'time')}"
        )
    if values.null_count:
        raise DataError(
            f"{group}: {column!r} has {values.null_count:,} nulls, but a split by time needs a time in every row. "
            f"Remove or fill these rows."
        )
    if pa.types.is_integer(values.type):
        return values.cast(pa.int64()).to_numpy()
    return as_microseconds(values, f"{group}: {column!r}").cast(pa.int64()).to_numpy()
