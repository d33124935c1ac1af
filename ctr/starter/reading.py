"""Counts of every column of the training data, and a sample of rows, from one pass."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ctr.starter.column_counts import ColumnCounts, values_to_count
from features import (
    SAMPLE_ROWS,
    DataError,
    Ragged,
    RowGroup,
    as_floats,
    check_agreement,
    count_rows,
    decoded,
    files_of,
    filtered,
    innermost,
    is_number,
    map_tables,
    type_name,
)

THREADS = 2  # each holds a row group
MAX_CELLS = 20_000_000  # sampled rows times columns
SEED = 0  # of the sample


@dataclass(frozen=True)
class Column:
    """A column of the training data."""

    name: str
    type: pa.DataType
    """Type in the first file that does not hold nulls only; float64 if files disagree on a type of number."""
    counts: ColumnCounts
    sample: pa.Array | None
    """Values of the sampled rows; None for lists and for types that cannot be compared."""
    problem: str | None = None
    """Reason why no feature can read the column, if files disagree."""


@dataclass(frozen=True)
class TrainingData:
    """Counts and sample of the training data."""

    columns: dict[str, Column]
    rows: int
    files: int
    sampled_rows: int


def read_training_data(train: list[RowGroup], others: Mapping[str, list[RowGroup]]) -> TrainingData:
    """Count every column of the training data, and draw a seeded sample of about 100,000 rows.

    Args:
        train: row groups of the training data.
        others: split -> its row groups, of which only the schemas are used.

    Raises:
        DataError: a file cannot be read, or has two columns of one name.
    """
    everything = [*train, *(group for groups in others.values() for group in groups)]
    names = list(dict.fromkeys(name for file in files_of(train) for name in file.schema.names))
    _check_unique(everything)
    problems = {name: _problem(name, train, others) for name in names}
    read = [name for name in names if problems[name] is None]
    fraction = min(SAMPLE_ROWS, MAX_CELLS // max(len(read), 1)) / count_rows(train)
    numbers = {(group.location, group.slice): number for number, group in enumerate(train)}
    types = {name: _common_type(name, train) for name in names}

    def of_row_group(group: RowGroup, table: pa.Table) -> tuple[dict[str, ColumnCounts], dict[str, pa.Array]]:
        random = np.random.default_rng([SEED, 2, numbers[group.location, group.slice]])
        is_sampled = random.random(table.num_rows) < fraction
        counts, sample = {}, {}
        for name in read:
            column = table.column(name)
            if is_number(types[name]) and pa.types.is_boolean(column.type):
                column = column.cast(pa.int8())
            values = values_to_count(column, f"{group}: {name!r}")
            if values is None:
                continue
            counts[name] = ColumnCounts()
            counts[name].add(values)
            if not isinstance(values, Ragged):
                sample[name] = decoded(filtered(values, is_sampled))
        return counts, sample

    totals: dict[str, ColumnCounts] = {}
    chunks: dict[str, list[pa.Array]] = {}
    for counts, sample in map_tables(of_row_group, train, read, THREADS):
        totals |= {name: totals.get(name, ColumnCounts()).merge(of_column) for name, of_column in counts.items()}
        for name, values in sample.items():
            chunks.setdefault(name, []).append(values)
    columns = {
        name: Column(
            name,
            types[name],
            totals.get(name, ColumnCounts()),
            _concatenated(chunks[name]) if name in chunks else None,
            problems[name],
        )
        for name in names
    }
    sampled = max((len(column.sample) for column in columns.values() if column.sample is not None), default=0)
    return TrainingData(columns, count_rows(train), len(files_of(train)), sampled)


def _check_unique(row_groups: list[RowGroup]) -> None:
    for file in files_of(row_groups):
        if repeated := [name for name, times in Counter(file.schema.names).items() if times > 1]:
            raise DataError(f"{file.path}: duplicate column {repeated[0]!r}. Rename one of the two.")


def _problem(name: str, train: list[RowGroup], others: Mapping[str, list[RowGroup]]) -> str | None:
    """Return why the files do not agree on a column: one lacks it, or its types have different meanings."""
    for split, groups in {"train": train, **others}.items():
        lacking = [file.path for file in files_of(groups) if name not in file.schema.names]
        if lacking:
            is_everywhere = len(lacking) == len(files_of(groups))
            return f"{split} lacks it" if is_everywhere else f"{lacking[0]} lacks it"
    everything = [*train, *(group for groups in others.values() for group in groups)]
    try:
        check_agreement(everything, [name], [name])
    except DataError:
        types = dict.fromkeys(type_name(file.schema.field(name).type) for file in files_of(everything))
        return f"files disagree on its type: {', '.join(types)}"
    return None


def _common_type(name: str, row_groups: list[RowGroup]) -> pa.DataType:
    present = [file.schema.field(name).type for file in files_of(row_groups) if name in file.schema.names]
    types = [type_ for type_ in dict.fromkeys(present) if not pa.types.is_null(innermost(type_))]
    if not types:
        return present[0]
    kinds = {(pa.types.is_boolean(type_), pa.types.is_integer(type_), pa.types.is_uint64(type_)) for type_ in types}
    return pa.float64() if len(kinds) > 1 else types[0]


def _concatenated(chunks: list[pa.Array]) -> pa.Array:
    """Return the values of all chunks; numbers of several types become floats, and nulls fit the other chunks."""
    types = {chunk.type for chunk in chunks if chunk.null_count < len(chunk)} or {chunks[0].type}
    type_ = pa.float64() if len(types) > 1 else types.pop()
    return pa.concat_arrays(
        [
            chunk
            if chunk.type == type_
            else pa.nulls(len(chunk), type_)
            if chunk.null_count == len(chunk)
            else as_floats(chunk)
            for chunk in chunks
        ]
    )
