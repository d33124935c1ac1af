"""Fixed sample of a dataset, with which distributions are compared."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from features.row_groups import RowGroup, count_rows
from features.tables import read_tables

SAMPLE_ROWS = 100_000


def draw_sample(
    row_groups: list[RowGroup], columns: list[str], seed: int, part: range | None = None, rows: int | None = None
) -> Iterator[pa.Table]:
    """Yield about `rows` rows, each equally likely, row group by row group, in file order.

    Args:
        row_groups: row groups of the dataset; each is read once.
        columns: columns to read.
        seed: seed of the sample.
        part: numbers of the row groups to sample from, for processes that share the dataset. A sample depends on the
            number of its row group in the whole dataset, so the samples of the parts, in order, are the sample of the
            whole. None: all row groups.
        rows: expected number of rows; None: `SAMPLE_ROWS`. All rows of a smaller dataset are sampled.
    """
    fraction = (SAMPLE_ROWS if rows is None else rows) / count_rows(row_groups)
    numbers = range(len(row_groups)) if part is None else part
    tables = read_tables([row_groups[number] for number in numbers], columns)
    for number, (_, table) in zip(numbers, tables, strict=True):
        yield table.filter(pa.array(np.random.default_rng([seed, 2, number]).random(table.num_rows) < fraction))
