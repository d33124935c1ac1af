"""The base of the feature kinds: all that the program asks of a kind, in one class for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from features.errors import DataError
from features.fits.fit import Fitting
from features.layout import Layout
from features.settings import Settings
from features.types import type_name
from features.values import Values

Holds = Literal["category", "sequence", "number"]
UnknownIds = Literal["none", "fitted", "unseen"]


class Feature(Settings, ABC):
    """A declared feature: its settings, what it reads, what it fits, how it becomes ids and numbers.

    A kind is a subclass, registered in `KINDS` under the `type` of a config. An encoder calls, for each row group,
    `values`, then `ids` and `numerics`. Methods that need what was fitted get it as `fit`: the result of `fitting`, or
    None if the kind fits nothing.
    """

    if TYPE_CHECKING:
        type: str  # each kind declares its own, where its settings list it

    name: str = Field(exclude=True)

    reads_numbers: ClassVar[bool] = False
    """True if a column can hold integers in one file and floats or booleans in another."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a setting with the name of something that the program asks of a kind: it would be ignored.

        Raises:
            TypeError: there is one.
        """
        super().__pydantic_init_subclass__(**kwargs)
        if taken := [name for name in cls.model_fields if name != "name" and hasattr(Feature, name)]:
            raise TypeError(f"{cls.__name__}: a setting cannot be called {taken[0]!r}, a name of `Feature`")

    # settings

    @classmethod
    def config_keys(cls) -> set[str]:
        """Return the keys of a config that the kind has."""
        return {field.alias or name for name, field in cls.model_fields.items() if not field.exclude}

    @classmethod
    def completed(cls, name: str, own: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return a feature's own settings with the defaults for every feature that reach it."""
        return {**{key: value for key, value in defaults.items() if key in cls.config_keys()}, **own, "name": name}

    def check_features(self, declared: Mapping[str, Feature]) -> None:
        """See that the feature fits the other features.

        Raises:
            ValueError: a setting refers to a feature that does not exist, or that it cannot be made of.
        """

    # what it reads

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that `values` reads."""
        return ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the features that it is made of, which have no parts themselves."""
        return ()

    @property
    @abstractmethod
    def holds(self) -> Holds:
        """The kind of value that an example has: one category, a sequence of categories, or a number."""

    def max_values(self, declared: Mapping[str, Feature]) -> int:
        """Return the most values that an example has of it; `declared` has all features by name."""
        return 1

    @property
    def is_date_part(self) -> bool:
        """True if it is a part of a time, so that it drifts with the calendar."""
        return False

    def check(self, schema: pa.Schema, where: str) -> None:
        """See that the columns have types that can feed the feature; `where` names the file in errors.

        Raises:
            DataError: a column has another type.
        """
        for column in self.columns:
            self.check_type(column, schema.field(column).type, where)

    def check_type(self, column: str, type_: pa.DataType, where: str) -> None:
        """See that a column of `type_` can feed the feature; a column of nulls always can.

        Raises:
            DataError: it cannot.
        """
        if pa.types.is_null(type_) or self._accepts(type_):
            return
        raise DataError(
            f"{where}: column {column!r} has type {type_name(type_)}, "
            f"but {self.type} feature {self.name!r} needs {self._wanted}{self._hint(column, type_)}"
        )

    def _accepts(self, type_: pa.DataType) -> bool:
        """Return True if a column of `type_` can feed the feature; only asked of a kind with `columns`."""
        raise TypeError(f"{type(self).__name__} must define _accepts, because it reads columns")

    @property
    def _wanted(self) -> str:
        """The types that it accepts, for an error."""
        return "another type"

    def _hint(self, column: str, type_: pa.DataType) -> str:
        """Return the end of an error: how to read a column of `type_`."""
        return ""

    @abstractmethod
    def values(self, table: pa.Table, parts: list[Values], where: str) -> Values:
        """Return its values in some rows: what PSI and `ctr inspect` see, and what `ids` and `numerics` encode.

        It checks the types itself, by `check_type`: `check` sees the schema of a whole file, `values` every table.

        Args:
            table: the rows, with all of `columns`.
            parts: the `as_category` of each of its `parts`.
            where: file and row group, for errors.

        Returns:
            float64 for a number, int64, uint64 or a dictionary of large_string for a category, nulls where it is
            missing; a `Ragged` for a sequence.

        Raises:
            DataError: a value that the feature cannot take.
        """

    def as_category(self, values: Values, fit: Any) -> Values:
        """Return the values as a cross takes them; only asked of a category or a sequence."""
        return values

    @property
    def can_be_invalid(self) -> bool:
        """True if `faults` can find invalid rows."""
        return False

    def faults(self, table: pa.Table, fit: Any, where: str) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each reason why single rows cannot be encoded, and the rows that it holds for, bool [rows]."""
        yield from ()

    # what it fits

    def fitting(self) -> Fitting | None:
        """Return an empty state of what must be known of the training data; None: nothing. A kind with `parts` fits
        nothing."""
        return None

    def fitting_of(self, values: Values, drawn: np.ndarray, where: str) -> Fitting:
        """Return the state of the training data in one row group; only asked if `fitting` is not None.

        Args:
            values: values of the row group.
            drawn: the rows of the sample of the training data, bool [rows].
            where: file and row group, for errors.
        """
        raise TypeError(f"{type(self).__name__} must define fitting_of, because it has a fitting")

    # how it is encoded

    @abstractmethod
    def lay_out(self, layout: Layout, fit: Any, declared: Mapping[str, Feature]) -> None:
        """Add what the feature fills in a batch; `declared` has all features by name."""

    def ids(self, values: Values, fit: Any, where: str) -> np.ndarray:
        """Return the row of its table for each value, int32 [values]; those of a sequence end to end.

        Raises:
            DataError: a value that has no id.
        """
        raise TypeError(f"{type(self).__name__} must define ids, or a has_table that is False")

    def numerics(self, values: Values, fit: Any, where: str) -> list[np.ndarray]:
        """Return the columns of `numerics` that it fills, [rows] each.

        Raises:
            DataError: a number that float32 cannot hold.
        """
        return []

    @property
    def table_name(self) -> str:
        """Name of its table; only asked of a feature with ids."""
        return self.name

    @property
    def shared_table(self) -> Mapping[str, Any] | None:
        """Settings in which features that share its table must agree; None: the table cannot be shared.

        Only asked if `has_table`.
        """
        return None

    @property
    def has_table(self) -> bool:
        """True if it has ids, which are rows of a table."""
        return self.holds != "number"

    @property
    def is_wide_only(self) -> bool:
        """True if it has a wide weight and no vector."""
        return False

    # ids that are not known

    @property
    def unknown_ids(self) -> UnknownIds:
        """Ids that share the row of unknown values; only asked of a category or a sequence.

        `fitted`: ids that its fit leaves out. `unseen`: ids that the training data never has, unless `features.unseen`
        is `own`.
        """
        return "none"

    @property
    def leaves_out_rare(self) -> bool:
        """True if an id of the training data can be unknown, because it is rare."""
        return False

    def id_counts(self, fit: Any) -> np.ndarray | None:
        """Return how often the training data has each id, int64 [ids], without the special rows; None if unknown."""
        return None

    # from a row back to a value

    def decode(self, ids: pa.Array, fit: Any) -> pa.Array:
        """Return the values of the data behind ids, as far as they are known: else the ids.

        Args:
            ids: int64 from 0, without the special rows, which are null.
            fit: what was fitted.
        """
        return ids

    def describe(self, value: Any, fit: Any) -> str:
        """Return a few words for a value that `decode` gave."""
        return repr(value)

    def remarks(self, distinct: int, high: Any) -> Iterator[str]:
        """Yield what `ctr inspect` warns of, given the distinct training values and the highest of them."""
        yield from ()


class ColumnFeature(Feature):
    """A feature that reads one column."""

    if TYPE_CHECKING:
        column: str  # each kind declares its own, where its settings list it

    @classmethod
    def completed(cls, name: str, own: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        return {"column": name, **super().completed(name, own, defaults)}

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def values(self, table: pa.Table, parts: list[Values], where: str) -> Values:
        column = table.column(self.column).combine_chunks()
        self.check_type(self.column, column.type, where)
        return self._values(column, where)

    @abstractmethod
    def _values(self, column: pa.Array, where: str) -> Values:
        """Return the values of a column of a type that it accepts."""
