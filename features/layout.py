"""Layout of batches, collected feature by feature: the tables, fields and numerics that a model needs to know."""

from dataclasses import dataclass, field
from typing import Any

from features.batch import SPECIAL_ROWS


@dataclass
class Layout:
    """Layout of batches. Each feature adds its entries, in declared order.

    Args:
        ids: names of the features in the columns of `ids`.
        numerics: names of the columns of `numerics`.
        rows: feature with ids -> number of rows of its table, including the special rows.
        lengths: feature -> maximum number of values of its sequence in an example.
        tables: table -> its name, rows and dim.
        fields: embeddings of the tower's input: name, table, and the `column` of `ids` or the `sequence` with its
            `pooling`; `scale` is the column of `numerics` that multiplies the embedding.
        categories: features with one category per example: name, `column` of `ids`, rows, and the table of its
            embedding or None.
        sequences: features with a sequence per example: name, rows, the table of its embeddings or None, and `crossed`.
        plain: columns of `numerics` that are part of x_0 as they are.
    """

    ids: list[str] = field(default_factory=list)
    numerics: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    fields: list[dict[str, Any]] = field(default_factory=list)
    categories: list[dict[str, Any]] = field(default_factory=list)
    sequences: list[dict[str, Any]] = field(default_factory=list)
    plain: list[int] = field(default_factory=list)

    def add_numerics(self, *names: str) -> None:
        """Add columns of `numerics` that are part of x_0 as they are."""
        self.plain += range(len(self.numerics), len(self.numerics) + len(names))
        self.numerics += names

    def add_scaled_vector(self, name: str, dim: int) -> None:
        """Add an embedding that a column of `numerics` multiplies; its table has one id."""
        column = self._add_ids(name, 1)
        self._add_table(name, 1, dim)
        self.fields.append({"name": name, "column": column, "scale": len(self.numerics), "table": name})
        self.numerics.append(name)

    def add_category(self, name: str, ids: int, table: str, dim: int, *, has_vector: bool = True) -> None:
        """Add a feature with one category per example: a column of `ids` and, with `has_vector`, an embedding.

        Args:
            name: name of the feature.
            ids: number of distinct ids, without the special ones.
            table: name of the table of its embedding.
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
        """Add a feature with a sequence per example, and its pooled embedding unless `pooling` is `none`.

        Args:
            name: name of the feature.
            ids: number of distinct ids, without the special ones.
            table: name of the table of its embeddings.
            dim: width of the table.
            length: maximum number of values in an example.
            pooling: pooling of the embeddings, `mean`, `sum` or `none`.
            has_vectors: False if only wide weights read it.
            crossed: True if each value is a pair with a category of the example.
        """
        if has_vectors:
            self._add_table(table, ids, dim)
            if pooling != "none":
                self.fields.append({"name": name, "column": None, "sequence": name, "pooling": pooling, "table": table})
        self.rows[name], self.lengths[name] = SPECIAL_ROWS + ids, length
        vectors = table if has_vectors else None
        self.sequences.append({"name": name, "rows": self.rows[name], "table": vectors, "crossed": crossed})

    def to_dict(self) -> dict[str, Any]:
        """Return tables, fields, categories, sequences, numerics and plain as plain values, for a model."""
        return {
            "tables": list(self.tables.values()),
            "fields": self.fields,
            "categories": self.categories,
            "sequences": self.sequences,
            "numerics": self.numerics,
            "plain": self.plain,
        }

    def _add_ids(self, name: str, ids: int) -> int:
        self.ids.append(name)
        self.rows[name] = SPECIAL_ROWS + ids
        return len(self.ids) - 1

    def _add_table(self, name: str, ids: int, dim: int) -> None:
        self.tables.setdefault(name, {"name": name, "rows": SPECIAL_ROWS + ids, "dim": dim})
