"""Base classes of feature types: everything that the program needs from a type, in one class each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from features.errors import Advice, DataError
from features.fits.fit import Fitting
from features.layout import Layout
from features.settings import Settings
from features.types import type_name
from features.values import Values

Holds = Literal["category", "sequence", "number"]
UnknownIds = Literal["none", "fitted", "unseen"]


class Feature(Settings, ABC):
    """Declared feature: its settings, the columns it reads, what it fits, and its encoding to ids and numbers.

    A feature type is a subclass, registered in `KINDS` under the `type` of a config. For each row group, an encoder
    calls `values`, then `ids` and `numerics`. Methods that depend on the training data receive `fit`: the result of
    `fitting`, or None for a type that fits nothing.
    """

    if TYPE_CHECKING:
        type: str  # each type declares its own, in the order of its settings

    name: str = Field(exclude=True)
    """Name of the feature, its key in `features.columns`."""

    reads_numbers: ClassVar[bool] = False
    """True if a column can hold integers in one file and floats or booleans in another."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Reject a setting with the name of a `Feature` attribute, because it would be ignored.

        Raises:
            TypeError: there is such a setting.
        """
        super().__pydantic_init_subclass__(**kwargs)
        if reserved := [name for name in cls.model_fields if name != "name" and hasattr(Feature, name)]:
            raise TypeError(f"{cls.__name__}: a setting cannot be called {reserved[0]!r}, a name of `Feature`")

    # settings

    @classmethod
    def config_keys(cls) -> set[str]:
        """Return the config keys of the feature type."""
        return {field.alias or name for name, field in cls.model_fields.items() if not field.exclude}

    @classmethod
    def completed(cls, name: str, settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return a feature's settings, completed by the defaults for all features that apply to it."""
        return {**{key: value for key, value in defaults.items() if key in cls.config_keys()}, **settings, "name": name}

    def check_features(self, declared: Mapping[str, Feature]) -> None:
        """Check that the feature is compatible with the other features.

        Raises:
            ValueError: a setting refers to a feature that does not exist or that it cannot be made of.
        """

    # inputs

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
        """Shape of a value: one category, a sequence of categories, or a number per example."""

    def max_values(self, declared: Mapping[str, Feature]) -> int:
        """Return the maximum number of values per example; `declared` has all features by name."""
        return 1

    @property
    def is_date_part(self) -> bool:
        """True if it is a date part, which drifts with the calendar."""
        return False

    def check(self, schema: pa.Schema, where: str) -> None:
        """Check that the feature accepts the types of its columns; `where` names the file in errors.

        Raises:
            DataError: a column has another type.
        """
        for column in self.columns:
            self.check_type(column, schema.field(column).type, where)

    def check_type(self, column: str, type_: pa.DataType, where: str) -> None:
        """Check that the feature accepts a column of `type_`; a column of nulls is always accepted.

        Raises:
            DataError: the type is not accepted.
        """
        if pa.types.is_null(type_) or self._accepts(type_):
            return
        raise DataError(
            f"{where}: column {column!r} has type {type_name(type_)}, "
            f"but {self.type} feature {self.name!r} needs {self._accepted_types}.",
            self._advice(column, type_),
        )

    def _accepts(self, type_: pa.DataType) -> bool:
        """Return True if the feature accepts a column of `type_`; called only for types with `columns`."""
        raise TypeError(f"{type(self).__name__} must define _accepts, because it reads columns")

    @property
    def _accepted_types(self) -> str:
        """Types that it accepts, for errors."""
        return "another type"

    def _advice(self, column: str, type_: pa.DataType) -> Advice | None:
        """Return the end of an error message: how to read a column of `type_`."""
        return None

    @abstractmethod
    def values(self, table: pa.Table, parts: list[Values], where: str) -> Values:
        """Return the values of rows, on which PSI and `ctr inspect` work, and which `ids` and `numerics` encode.

        It checks the types itself, with `check_type`: `check` sees the schema of a whole file, `values` every table.

        Args:
            table: rows, with all of `columns`.
            parts: result of `as_category` for each of its `parts`.
            where: file and row group, for errors.

        Returns:
            float64 for a number; int64, uint64 or a dictionary of large_string for a category, with nulls for missing
            values; a `Ragged` for a sequence.

        Raises:
            DataError: the feature does not accept a value.
        """

    def as_category(self, values: Values, fit: Any) -> Values:
        """Return the values in the form that a cross uses; called only for a category or a sequence."""
        return values

    @property
    def can_be_invalid(self) -> bool:
        """True if `faults` can find invalid rows."""
        return False

    def faults(self, table: pa.Table, fit: Any, where: str) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each reason why single rows cannot be encoded, with these rows, bool `[rows]`."""
        yield from ()

    # fitting

    def fitting(self) -> Fitting | None:
        """Return an empty state of what must be fitted on the training data; None for a type that fits nothing.

        A type with `parts` fits nothing.
        """
        return None

    def fitting_of(self, values: Values, is_sampled: np.ndarray, where: str) -> Fitting:
        """Return the state of one row group of the training data; called only if `fitting` is not None.

        Args:
            values: values of the row group.
            is_sampled: True for rows in the sample of the training data, bool `[rows]`.
            where: file and row group, for errors.
        """
        raise TypeError(f"{type(self).__name__} must define fitting_of, because it has a fitting")

    # encoding

    @abstractmethod
    def lay_out(self, layout: Layout, fit: Any, declared: Mapping[str, Feature]) -> None:
        """Add the feature's entries to the layout of batches; `declared` has all features by name."""

    def ids(self, values: Values, fit: Any, where: str) -> np.ndarray:
        """Return the table row of each value, int32 `[values]`; those of sequences are concatenated.

        Raises:
            DataError: a value does not have an id.
        """
        raise TypeError(f"{type(self).__name__} must define ids, or a has_table that is False")

    def numerics(self, values: Values, fit: Any, where: str) -> list[np.ndarray]:
        """Return the feature's columns of `numerics`, `[rows]` each.

        Raises:
            DataError: float32 cannot hold a number.
        """
        return []

    @property
    def table_name(self) -> str:
        """Name of its table; called only for a feature with ids."""
        return self.name

    @property
    def shared_table(self) -> Mapping[str, Any] | None:
        """Settings in which features that share its table must agree; None if the table cannot be shared.

        Called only if `has_table`.
        """
        return None

    @property
    def has_table(self) -> bool:
        """True if it has ids, which are rows of a table."""
        return self.holds != "number"

    @property
    def is_wide_only(self) -> bool:
        """True if it has a wide weight and no embedding."""
        return False

    @property
    def has_first_order(self) -> bool:
        """True if its ids have wide weights in a model with all first-order terms, such as `linear`."""
        return self.has_table

    # unknown ids

    @property
    def unknown_ids(self) -> UnknownIds:
        """Ids that share the row of unknown values; called only for a category or a sequence.

        `fitted`: ids outside its fit. `unseen`: ids that never occur in the training data, unless `features.unseen` is
        `own`.
        """
        return "none"

    @property
    def leaves_out_rare(self) -> bool:
        """True if an id of the training data can be unknown because it is rare."""
        return False

    def id_counts(self, fit: Any) -> np.ndarray | None:
        """Return how often each id occurs in training, int64 `[ids]`, without special rows; None if unknown."""
        return None

    # decoding

    def decode(self, ids: pa.Array, fit: Any) -> pa.Array:
        """Return the values of ids as far as they are known; otherwise the ids.

        Args:
            ids: ids, int64 from 0, without the special rows, which are null.
            fit: result of `fitting`.
        """
        return ids

    def describe(self, value: Any, fit: Any) -> str:
        """Return a short description of a value that `decode` returned."""
        return repr(value)

    def remarks(self, distinct: int, high: Any) -> Iterator[str]:
        """Yield warnings of `ctr inspect`, given the number of distinct training values and the largest of them."""
        yield from ()


class ColumnFeature(Feature):
    """Feature that reads one column."""

    if TYPE_CHECKING:
        column: str  # each type declares its own, in the order of its settings

    @classmethod
    def completed(cls, name: str, settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        return {"column": name, **super().completed(name, settings, defaults)}

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def values(self, table: pa.Table, parts: list[Values], where: str) -> Values:
        column = table.column(self.column).combine_chunks()
        self.check_type(self.column, column.type, where)
        return self._values(column, where)

    @abstractmethod
    def _values(self, column: pa.Array, where: str) -> Values:
        """Return the values of a column whose type is accepted."""
