"""The layout of batches, gathered feature by feature: the tables, fields and numerics that a model must know of."""

from dataclasses import dataclass, field
from typing import Any

from features.batch import SPECIAL_ROWS


@dataclass
class Layout:
    """The layout of batches. Each feature adds what it fills, in declared order.

    Args:
        ids: names of the features that fill the columns of `ids`.
        numerics: names of the columns of `numerics`.
        rows: feature with ids -> rows of its table, the special ones included.
        lengths: feature -> the most values that its sequence has in an example.
        tables: table -> its name, rows and dim.
        fields: the vectors of the tower's input: name, table, and the `column` of `ids` or the `sequence` with its
            `pooling`; `scale` is the column of `numerics` that multiplies the vector.
        categories: features that are one category: name, `column` of `ids`, rows, the table of its vector or None.
        histories: features that are a sequence: name, rows, the table of its vectors or None, whether it is `crossed`.
        plain: the columns of `numerics` that are inputs of their own.
    """

    ids: list[str] = field(default_factory=list)
    numerics: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    fields: list[dict[str, Any]] = field(default_factory=list)
    categories: list[dict[str, Any]] = field(default_factory=list)
    histories: list[dict[str, Any]] = field(default_factory=list)
    plain: list[int] = field(default_factory=list)

    def add_numerics(self, *names: str) -> None:
        """Add columns of `numerics` that are inputs of their own."""
        self.plain += range(len(self.numerics), len(self.numerics) + len(names))
        self.numerics += names

    def add_scaled_vector(self, name: str, dim: int) -> None:
        """Add a vector that a column of `numerics` multiplies; its table has one id."""
        column = self._add_ids(name, 1)
        self._add_table(name, 1, dim)
        self.fields.append({"name": name, "column": column, "scale": len(self.numerics), "table": name})
        self.numerics.append(name)

    def add_category(self, name: str, ids: int, table: str, dim: int, *, has_vector: bool = True) -> None:
        """Add a feature that is one category: a column of `ids`, and a vector of a table unless it has none.

        Args:
            name: name of the feature.
            ids: number of different ids, without the special ones.
            table: name of the table of its vector.
            dim: width of the table.
            has_vector: False if only wide weights read it.
        """
        column = self._add_ids(name, ids)
        if has_vector:
            self._add_table(table, ids, dim)
            self.fields.append({"name": name, "column": column, "table": table})
        vector = table if has_vector else None
        self.categories.append({"name": name, "rows": self.rows[name], "table": vector, "column": column})

    def add_sequence(
        self,
        name: str,
        ids: int,
        table: str,
        dim: int,
        length: int,
        pooling: str,
        *,
        has_vectors: bool = True,
        crossed: bool = False,
    ) -> None:
        """Add a feature that is a sequence, and its pooled vector unless `pooling` is `none`.

        Args:
            name: name of the feature.
            ids: number of different ids, without the special ones.
            table: name of the table of its vectors.
            dim: width of the table.
            length: largest number of values in an example.
            pooling: `mean`, `sum` or `none`.
            has_vectors: False if only wide weights read it.
            crossed: True if each value is a pair with a category of the example.
        """
        if has_vectors:
            self._add_table(table, ids, dim)
            if pooling != "none":
                self.fields.append({"name": name, "column": None, "sequence": name, "pooling": pooling, "table": table})
        self.rows[name], self.lengths[name] = SPECIAL_ROWS + ids, length
        vectors = table if has_vectors else None
        self.histories.append({"name": name, "rows": self.rows[name], "table": vectors, "crossed": crossed})

    def described(self) -> dict[str, Any]:
        """Return tables, fields, categories, histories, numerics and plain as plain values, for a model."""
        return {
            "tables": list(self.tables.values()),
            "fields": self.fields,
            "categories": self.categories,
            "histories": self.histories,
            "numerics": self.numerics,
            "plain": self.plain,
        }

    def _add_ids(self, name: str, ids: int) -> int:
        self.ids.append(name)
        self.rows[name] = SPECIAL_ROWS + ids
        return len(self.ids) - 1

    def _add_table(self, name: str, ids: int, dim: int) -> None:
        self.tables.setdefault(name, {"name": name, "rows": SPECIAL_ROWS + ids, "dim": dim})
