"""Model inputs: embedding tables, the fields that read them, and the features that a tower can use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import tensorflow as tf


@dataclass(frozen=True)
class Table:
    """Logical embedding table `[rows, dim]`."""

    name: str
    """Name of the table, unique in the model."""
    rows: int
    """Number of embeddings."""
    dim: int
    """Width of an embedding."""
    stddev: float | None = None
    """Standard deviation of the initial embeddings; None: the model's."""


@dataclass(frozen=True)
class Field:
    """Lookup in a table: the ids of a column of `ids`, or the ids of a sequence."""

    name: str
    """Name of the field."""
    table: str
    """Name of the table that the field reads."""
    column: int | None = None
    """Column of `ids`; None for a sequence."""
    sequence: str | None = None
    """Name of the sequence, pooled to one vector (the zero vector if it is empty); None for a column."""
    pooling: Literal["mean", "sum"] | None = None
    """Pooling of a sequence; None keeps its embeddings separate, as `Behaviors` in a branch of their own."""
    scale: int | None = None
    """Column of `numerics` that multiplies the embedding; None: no scaling."""
    branch: str = "deep"
    """Input of the tower that the field feeds: `deep` is x_0, any other branch is passed to the tower by its name. A
    name that ends with `/deep` is the x_0 of a tower inside the tower, with the plain numeric features."""

    @property
    def feeds_x0(self) -> bool:
        """True if the field is part of the x_0 of the tower, or of a tower inside it."""
        return self.branch.rpartition("/")[2] == "deep"

    @property
    def is_unpooled(self) -> bool:
        """True if the field has one embedding per value of a sequence."""
        return self.sequence is not None and self.pooling is None


@dataclass(frozen=True)
class Category:
    """Feature with one id per example."""

    name: str
    """Name of the feature."""
    column: int
    """Column of `ids`."""
    rows: int
    """Number of ids."""
    table: str | None = None
    """Name of its embedding table; None: no embedding."""


@dataclass(frozen=True)
class SequenceInput:
    """Feature with a list of ids per example, such as a behavior sequence."""

    name: str
    """Name of the feature and of its sequence."""
    rows: int
    """Number of ids."""
    table: str | None = None
    """Name of its embedding table; None: no embeddings."""
    crossed: bool = False
    """True if each value is a pair with a category of the example."""


class Behaviors(NamedTuple):
    """Embeddings of a sequence, not pooled."""

    vectors: tf.Tensor
    """Embeddings, `[batch, length, dim]`."""
    mask: tf.Tensor
    """1 for a value and 0 for padding, float32 `[batch, length]`."""


@dataclass(frozen=True)
class Inputs:
    """Layout of a model's batches."""

    tables: tuple[Table, ...]
    """Logical embedding tables."""
    fields: tuple[Field, ...]
    """Lookups in the tables, in the order of x_0."""
    numerics: tuple[str, ...]
    """Names of the columns of `numerics`."""
    plain: tuple[int, ...]
    """Columns of `numerics` that are part of x_0 as they are."""
    categories: tuple[Category, ...] = ()
    """All features with one id per example, with or without a field."""
    sequences: tuple[SequenceInput, ...] = ()
    """All sequence features, with or without a field."""

    def __post_init__(self) -> None:
        names = [table.name for table in self.tables]
        if duplicates := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"duplicate table {sorted(duplicates)[0]!r}. Rename the feature.")

    @classmethod
    def from_layout(cls, layout: Mapping[str, Any]) -> "Inputs":
        """Create inputs from the plain values of `features.Encoder.layout`."""
        return cls(
            tables=tuple(Table(**table) for table in layout["tables"]),
            fields=tuple(Field(**field) for field in layout["fields"]),
            numerics=tuple(layout["numerics"]),
            plain=tuple(layout["plain"]),
            categories=tuple(Category(**category) for category in layout["categories"]),
            sequences=tuple(SequenceInput(**sequence) for sequence in layout["sequences"]),
        )

    def table(self, name: str) -> Table:
        """Return the table called `name`."""
        return next(table for table in self.tables if table.name == name)

    def fields_of_one_width(self, needed_by: str) -> tuple[tuple[str, ...], int]:
        """Return the fields of x_0 by name, and the width that their embeddings have in common.

        Args:
            needed_by: config name of the model, for the error.

        Raises:
            ValueError: x_0 has fewer than two embeddings, or their widths differ.
        """
        dims = {field.name: self.table(field.table).dim for field in self.fields if field.branch == "deep"}
        if len(dims) < 2 or len(set(dims.values())) > 1:
            received = ", ".join(f"{name} {dim}" for name, dim in dims.items())
            raise ValueError(
                f"{needed_by} needs at least two embeddings, all of one width. Set their `dim`. "
                f"Received: {received or 'none'}"
            )
        return tuple(dims), next(iter(dims.values()))

    def trimmed(self) -> "Inputs":
        """Return the inputs without tables that no field reads.

        An example is the table of a sequence that only CAN reads, through its own tables.
        """
        used = {field.table for field in self.fields}
        return replace(self, tables=tuple(table for table in self.tables if table.name in used))

    def field(self, name: str, key: str) -> Field:
        """Return the field of x_0 called `name`; `key` is the setting that names it, for the error.

        Raises:
            ValueError: there is no such feature, or it does not have an embedding in x_0.
        """
        fields = {field.name: field for field in self.fields if field.branch == "deep"}
        others = {*self.numerics, *(one.name for one in self.categories), *(one.name for one in self.sequences)}
        if name in others - fields.keys():
            raise ValueError(f"{key}: {name!r} has no embedding in x_0. Use one of: {', '.join(fields) or 'none'}")
        return _feature(name, [*fields.values()], "embedded", key)

    def category(self, name: str, key: str) -> Category:
        """Return the categorical feature called `name`; `key` is the setting that names it, for the error.

        Raises:
            ValueError: there is no such feature.
        """
        return _feature(name, self.categories, "categorical", key)

    def sequence(self, name: str, key: str) -> SequenceInput:
        """Return the sequence feature called `name`; `key` is the setting that names it, for the error.

        Raises:
            ValueError: there is no such feature.
        """
        return _feature(name, self.sequences, "sequence", key)

    def category_or_sequence(self, name: str, key: str) -> Category | SequenceInput:
        """Return the categorical or sequence feature called `name`; `key` is the setting that names it, for the error.

        Raises:
            ValueError: there is no such feature.
        """
        return _feature(name, (*self.categories, *self.sequences), "categorical or sequence", key)

    def empty_batch(self) -> dict[str, tf.Tensor]:
        """Return a batch of one example that is all padding."""
        columns = max((field.column + 1 for field in self.fields if field.column is not None), default=0)
        batch = {"ids": tf.zeros([1, columns], tf.int32), "numerics": tf.zeros([1, len(self.numerics)])}
        for field in self.fields:
            if field.sequence is not None:
                batch[f"sequences/{field.sequence}"] = tf.zeros([1, 1], tf.int32)
                batch[f"lengths/{field.sequence}"] = tf.zeros([1], tf.int32)
        return batch


def _feature(name: str, features: Sequence[Any], kind: str, key: str) -> Any:
    for feature in features:
        if feature.name == name:
            return feature
    known = ", ".join(feature.name for feature in features)
    raise ValueError(f"{key}: unknown {kind} feature {name!r}. Use one of: {known or 'none'}")
