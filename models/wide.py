"""Wide weights: tables `wide/<feature>` of width 1 that start at zero, with one weight per value of a feature."""

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from models.inputs import Field, Inputs, Table

WIDE_OPTIMIZERS = MappingProxyType({"wide/*": {"type": "ftrl", "learning_rate": 0.1, "l1": 0.001}})
"""Default optimizer of the tables of wide weights."""


class Weighted(NamedTuple):
    """A field whose ids have wide weights."""

    field: Field
    """Field, whose name is that of its feature."""
    rows: int
    """Number of ids."""


def weighted_categories(inputs: Inputs) -> list[Weighted]:
    """Return each category and each cross of a sequence; the weights of a cross's pairs are summed."""
    categories = [Weighted(Field(c.name, c.name, column=c.column), c.rows) for c in inputs.categories]
    crosses = [
        Weighted(Field(s.name, s.name, sequence=s.name, pooling="sum"), s.rows) for s in inputs.sequences if s.crossed
    ]
    return categories + crosses


def with_wide_weights(inputs: Inputs, weighted: Iterable[Weighted]) -> Inputs:
    """Return the inputs with a table `wide/<name>` and a field of the branch `wide` for each of `weighted`.

    Features that share an embedding table have separate wide weights.

    Raises:
        ValueError: a table has such a name already.
    """
    names = {f"wide/{field.name}": (field, rows) for field, rows in weighted}
    tables = [Table(name, rows, 1, stddev=0.0) for name, (_, rows) in names.items()]
    fields = [replace(field, name=name, table=name, branch="wide") for name, (field, _) in names.items()]
    return replace(inputs, tables=(*inputs.tables, *tables), fields=(*inputs.fields, *fields))
