"""Records of the table rows that the training data uses, for tables whose ids are not fitted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from features.batch import SPECIAL_ROWS
from features.encoder import Encoder
from features.row_groups import RowGroup
from features.statistics import THREADS
from features.tables import map_tables


@dataclass(frozen=True)
class SeenRows:
    """Table rows that examples use. Two states merge with `merge`, in any order.

    Args:
        tables: table -> True for each row that is used, bool `[rows]`; the special rows always are.
    """

    tables: dict[str, np.ndarray]

    @classmethod
    def of_no_data(cls, sizes: Mapping[str, int]) -> "SeenRows":
        """Return tables of these sizes in which only the special rows are used."""
        tables = {table: np.zeros(rows, bool) for table, rows in sizes.items()}
        for used in tables.values():
            used[:SPECIAL_ROWS] = True
        return cls(tables)

    def add(self, table: str, rows: np.ndarray) -> None:
        """Mark rows of a table as used."""
        self.tables[table][rows] = True

    def merge(self, other: "SeenRows") -> "SeenRows":
        """Return the rows that either state uses; modifies `self`, because tables can be too large for a third copy."""
        for table, used in self.tables.items():
            used |= other.tables[table]
        return self


def find_seen_rows(
    encoder: Encoder, row_groups: list[RowGroup], known: Mapping[str, np.ndarray] | None
) -> dict[str, np.ndarray]:
    """Return which rows of each table are used by examples with a weight above 0, now or before, bool `[rows]`.

    A table that was trained before without a record of its rows gets no record, because any of its rows can be trained.

    Args:
        encoder: fitted encoder without a record.
        row_groups: training data.
        known: record of earlier training data with the same features; None: there is no such data.

    Raises:
        DataError: a feature does not accept a value, or a weight is invalid.
    """
    unseen = [feature for feature in encoder.features.columns.values() if feature.unknown_ids == "unseen"]
    tracked = {feature.name: feature.table_name for feature in unseen if known is None or feature.table_name in known}
    seen = SeenRows.of_no_data({table: encoder.table_size(name) for name, table in tracked.items()})
    if known is not None:
        seen = seen.merge(SeenRows(dict(known)))
    if not tracked:
        return seen.tables
    reduced, columns = replace(encoder, features=encoder.features.only(tracked), columns=None), encoder.columns
    weight = [] if columns is None or columns.weight is None else [columns.weight]

    def rows_of(group: RowGroup, table: pa.Table) -> dict[str, np.ndarray]:
        if columns is not None and weight:
            table = table.filter(pa.array(columns.weights(table, str(group)) > 0))
        values = reduced.values(table, str(group))
        return {name: reduced.ids(name, values[name], str(group)) for name in tracked}

    for used_rows in map_tables(rows_of, row_groups, [*reduced.input_columns, *weight], THREADS):
        for name, rows in used_rows.items():
            seen.add(tracked[name], rows)
    return seen.tables
