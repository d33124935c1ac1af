"""Sample of the negatives to train on: as many in every epoch, from a different draw each time."""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
import pyarrow as pa

from features.labels import Columns
from features.row_groups import RowGroup, count_rows
from features.tables import read_tables


@dataclass(frozen=True)
class NegativeSample:
    """Draw, for each epoch, of `kept` of the negatives of a dataset, with all its positives.

    Each epoch draws without replacement, and every negative is equally likely. A row group gets its share of the draw
    from the counts of negatives alone, so the size of an epoch is constant, and no data has to be read to know which
    row groups hold a batch. The rows of a share are drawn when the row group is read.

    Args:
        row_groups: training data.
        columns: label column and optional weight column.
        negatives: number of negatives in each row group.
        kept: number of negatives in an epoch, at most all of them.
        seed: seed of the draws.
    """

    row_groups: list[RowGroup]
    columns: Columns
    negatives: tuple[int, ...]
    kept: int
    seed: int

    @classmethod
    def of(cls, row_groups: list[RowGroup], columns: Columns, fraction: float, seed: int) -> "NegativeSample":
        """Return the sample of a fraction of the negatives, rounded to a whole number; reads only the labels.

        Args:
            row_groups: training data.
            columns: label column and optional weight column.
            fraction: fraction of the negatives in an epoch, above 0 and at most 1.
            seed: seed of the draws.

        Raises:
            DataError: a label is null or neither 0 nor 1.
        """
        tables = read_tables(row_groups, [columns.label])
        counts = tuple(int((columns.labels(table, str(group)) == 0).sum()) for group, table in tables)
        return cls(row_groups, columns, counts, round(fraction * sum(counts)), seed)

    @cached_property
    def all_negatives(self) -> int:
        """Number of negatives in the training data."""
        return sum(self.negatives)

    @property
    def rows_per_epoch(self) -> int:
        """Number of examples in an epoch: all positives and `kept` negatives."""
        return count_rows(self.row_groups) - self.all_negatives + self.kept

    def epoch(self, epoch: int) -> list[RowGroup]:
        """Return the row groups of an epoch, which draw their negatives when they are read; none is empty.

        Args:
            epoch: epoch, from 0.
        """
        drawn: list[RowGroup] = []
        shares = zip(self.row_groups, self.negatives, self._shares(epoch), strict=True)
        for number, (group, negatives, kept) in enumerate(shares):
            rows = group.rows - negatives + kept
            if kept == negatives:
                drawn.append(group)
            elif rows:
                place = (group.file, group.index, rows, group.selected, group.slice)
                draw = (self.seed, 6, epoch, number)
                drawn.append(_Drawn(*place, whole=group, columns=self.columns, kept=kept, draw=draw))
        return drawn

    def _shares(self, epoch: int) -> list[int]:
        """Return the number of negatives that each row group keeps: `kept` in total, in proportion to its negatives.

        Proportions are rounded at a random offset, so that over the epochs each negative is kept equally often, also
        where a row group has only a few.
        """
        total = max(self.all_negatives, 1)
        offset = int(np.random.default_rng([self.seed, 7, epoch]).integers(total))
        ends = [(self.kept * end + offset) // total for end in accumulate(self.negatives, initial=0)]
        return [end - start for start, end in pairwise(ends)]


@dataclass(frozen=True, kw_only=True)
class _Drawn(RowGroup):
    """Row group that is read without some of its negatives."""

    whole: RowGroup
    """The row group with all its rows."""
    columns: Columns
    """Label column, which must be among the columns that are read."""
    kept: int
    """Number of negatives that are drawn."""
    draw: tuple[int, ...]
    """Seed of the draw."""

    def table(self, stored: pa.Table, columns: list[str]) -> pa.Table:
        table = self.whole.table(stored, columns)
        is_kept = self.columns.labels(table, str(self)) == 1
        negatives = np.flatnonzero(~is_kept)
        is_kept[np.random.default_rng(self.draw).choice(negatives, self.kept, replace=False, shuffle=False)] = True
        return table.filter(pa.array(is_kept))

    def select(self, mask: np.ndarray) -> RowGroup:
        raise TypeError("the rows of a draw are known only when they are read. Select rows before drawing.")
