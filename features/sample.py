"""A fixed sample of a data set: what distributions are compared with."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from features.row_groups import RowGroup, count_rows
from features.tables import read_tables

SAMPLE_ROWS = 100_000


def draw_sample(
    row_groups: list[RowGroup], columns: list[str], seed: int, part: range | None = None
) -> Iterator[pa.Table]:
    """About SAMPLE_ROWS rows, each as likely as any other, row group by row group, in file order.

    Args:
        row_groups: of the data set; each is read once.
        columns: to read.
        seed: of the draw.
        part: places of the row groups to draw from, for processes that share the data set: a draw depends on the place
            in the whole, so that the samples of the parts in order are the sample of the whole. None: all.
    """
    share = SAMPLE_ROWS / count_rows(row_groups)
    places = range(len(row_groups)) if part is None else part
    tables = read_tables([row_groups[place] for place in places], columns)
    for place, (_, table) in zip(places, tables, strict=True):
        yield table.filter(pa.array(np.random.default_rng([seed, 2, place]).random(table.num_rows) < share))
