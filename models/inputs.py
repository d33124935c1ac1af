"""What batches hold, in a model's words: tables, the fields that read them, and features that a tower may read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import tensorflow as tf


@dataclass(frozen=True)
class Table:
    """A logical table [rows, dim]."""

    name: str
    rows: int
    dim: int
    stddev: float | None = None
    """Of the normal that starts it; None: the model's."""


@dataclass(frozen=True)
class Field:
    """What is looked up in a table: the ids of a column of `ids`, or those of a sequence."""

    name: str
    table: str
    column: int | None = None
    """The column of `ids`."""
    sequence: str | None = None
    """Or the sequence, pooled to one vector; an empty one is the zero vector."""
    pooling: Literal["mean", "sum"] | None = None
    """None, of a sequence: its vectors stay apart, in a branch of their own, as `Behaviors`."""
    scale: int | None = None
    """The column of `numerics` that multiplies the vector."""
    branch: str = "deep"
    """The input of the tower that it feeds: `deep` is x0; other branches reach the tower under their own name."""

    @property
    def is_unpooled(self) -> bool:
        """Whether it is a vector for each value of a sequence."""
        return self.sequence is not None and self.pooling is None


@dataclass(frozen=True)
class Category:
    """A feature whose value in a row is one of `rows` ids."""

    name: str
    column: int
    """Of `ids`."""
    rows: int
    table: str | None = None
    """Of its vector, if it has one."""


@dataclass(frozen=True)
class SequenceInput:
    """A feature whose value in a row is a list of some of `rows` ids."""

    name: str
    """Of the sequence, too."""
    rows: int
    table: str | None = None
    """Of its vectors, if it has some."""
    crossed: bool = False
    """Whether each value is a pair with a category of the row."""


class Behaviors(NamedTuple):
    """The vectors of a sequence, one by one."""

    vectors: tf.Tensor
    """[batch, length, dim]"""
    mask: tf.Tensor
    """float32 [batch, length]: 1 for a value, 0 for padding."""


@dataclass(frozen=True)
class Inputs:
    """What a model must know of its batches."""

    tables: tuple[Table, ...]
    fields: tuple[Field, ...]
    numerics: tuple[str, ...]
    plain: tuple[int, ...]
    """The columns of `numerics` that are inputs of their own."""
    categories: tuple[Category, ...] = ()
    """All features that are one category, whether they have a field or not."""
    histories: tuple[SequenceInput, ...] = ()
    """All features that are a sequence, whether they have a field or not."""

    def __post_init__(self) -> None:
        names = [table.name for table in self.tables]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two tables are called {sorted(repeated)[0]!r}: rename the feature")

    @classmethod
    def from_layout(cls, layout: Mapping[str, Any]) -> "Inputs":
        """From the plain values of `features.Encoder.layout`."""
        return cls(
            tables=tuple(Table(**table) for table in layout["tables"]),
            fields=tuple(Field(**field) for field in layout["fields"]),
            numerics=tuple(layout["numerics"]),
            plain=tuple(layout["plain"]),
            categories=tuple(Category(**category) for category in layout["categories"]),
            histories=tuple(SequenceInput(**history) for history in layout["histories"]),
        )

    def table(self, name: str) -> Table:
        """The table of that name."""
        return next(table for table in self.tables if table.name == name)

    def trimmed(self) -> "Inputs":
        """Without the tables that no field reads, such as that of a history that only CAN reads, in its own tables."""
        used = {field.table for field in self.fields}
        return replace(self, tables=tuple(table for table in self.tables if table.name in used))

    def category(self, name: str, key: str) -> Category:
        """The feature of that name that is one category; `key` is the setting that names it.

        Raises:
            ValueError: there is none.
        """
        return _named(name, self.categories, "categorical", key)

    def history(self, name: str, key: str) -> SequenceInput:
        """The feature of that name that is a sequence; `key` is the setting that names it.

        Raises:
            ValueError: there is none.
        """
        return _named(name, self.histories, "sequence", key)

    def category_or_history(self, name: str, key: str) -> Category | SequenceInput:
        """The feature of that name, whichever it is; `key` is the setting that names it.

        Raises:
            ValueError: there is none.
        """
        return _named(name, (*self.categories, *self.histories), "categorical or sequence", key)

    def empty_batch(self) -> dict[str, tf.Tensor]:
        """A batch of one row of padding."""
        columns = max((field.column + 1 for field in self.fields if field.column is not None), default=0)
        batch = {"ids": tf.zeros([1, columns], tf.int32), "numerics": tf.zeros([1, len(self.numerics)])}
        for field in self.fields:
            if field.sequence is not None:
                batch[f"sequences/{field.sequence}"] = tf.zeros([1, 1], tf.int32)
                batch[f"lengths/{field.sequence}"] = tf.zeros([1], tf.int32)
        return batch


def _named(name: str, features: Sequence[Any], kind: str, key: str) -> Any:
    for feature in features:
        if feature.name == name:
            return feature
    known = ", ".join(feature.name for feature in features)
    raise ValueError(f"{key}: no {kind} feature is called {name!r}; known: {known or 'none'}")
