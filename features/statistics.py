"""Fitting pass: one stream over the training data, in bounded memory, from which every feature is fitted."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa

from features.columns import check_agreement
from features.errors import DataError
from features.fits.fit import Fit, Fitting
from features.kinds.feature import Feature
from features.labels import Columns
from features.row_groups import RowGroup, count_rows
from features.schema import Features
from features.tables import map_tables

EDGE_ROWS = 1_000_000
THREADS = 2  # each thread holds a row group in memory


@dataclass(frozen=True)
class Statistics:
    """Facts about the training data with which features are encoded.

    Args:
        fits: section of encoder.json -> table or feature -> its fit.
        meanings: column -> meaning of its values, such as integer or text.
        log_odds: log-odds of the labels, weighted by the weight column; None if unknown.
    """

    fits: Mapping[str, Mapping[str, Fit]] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)
    log_odds: float | None = None

    @classmethod
    def of_no_data(cls, features: Features) -> "Statistics":
        """Return the fits of data without rows, whose tables have the smallest possible size."""
        return cls(_by_section({full_key: state.result() for full_key, state in fittings(features).items()}))

    def fit_of(self, feature: Feature) -> Any:
        """Return the fit of a feature, or None for a feature without a fit."""
        state = feature.fitting()
        return None if state is None else self.fits.get(state.fit.section, {}).get(state.key)


@dataclass(frozen=True)
class Classes:
    """Number and total weight of positives and negatives, without rows whose weight is 0."""

    rows: tuple[int, int] = (0, 0)
    """Number of negatives and of positives."""
    weight: tuple[float, float] = (0.0, 0.0)
    """Total weight of negatives and of positives."""

    @classmethod
    def of(cls, labels: np.ndarray, weights: np.ndarray) -> "Classes":
        """Return the classes of rows, from labels and weights, float32 `[rows]` each."""
        counted = [weights[(labels == label) & (weights > 0)] for label in (0, 1)]
        negative, positive = (float(of_class.sum(dtype=np.float64)) for of_class in counted)
        return cls((len(counted[0]), len(counted[1])), (negative, positive))

    def merge(self, other: "Classes") -> "Classes":
        """Return the classes of both together."""
        (n, p), (negative, positive) = other.rows, other.weight
        return Classes((self.rows[0] + n, self.rows[1] + p), (self.weight[0] + negative, self.weight[1] + positive))

    def log_odds(self, columns: Columns) -> float:
        """Return ln(weight of positives / weight of negatives).

        Raises:
            DataError: a class is absent.
        """
        negatives, positives = self.rows
        total = negatives + positives
        if total == 0:
            raise DataError(
                f"training data: all weights of {columns.weight!r} are 0. Use a column with weights above 0."
            )
        if not negatives or not positives:
            raise DataError(
                f"training data: all {total:,} labels of {columns.label!r} are {int(positives > 0)}. "
                f"Use training data with both classes."
            )
        return math.log(self.weight[1]) - math.log(self.weight[0])


@dataclass(frozen=True)
class FittingState:
    """State of a fitting pass. A pass makes a state per row group and merges the states in their order.

    Args:
        fittings: (section, key) -> state of that fit.
        classes: counts of the labels.
    """

    fittings: Mapping[tuple[str, str], Fitting]
    classes: Classes = Classes()

    @classmethod
    def of(
        cls, features: Iterable[Feature], columns: Columns, table: pa.Table, is_sampled: np.ndarray, where: str
    ) -> "FittingState":
        """Return the state of one row group.

        Args:
            features: features to fit.
            columns: label column and optional weight column.
            table: the row group, with all columns that these read.
            is_sampled: True for rows in the sample of the training data, bool `[rows]`.
            where: file and row group, for errors.

        Raises:
            DataError: a feature does not accept a value, or a label or weight is invalid.
        """
        states: dict[tuple[str, str], Fitting] = {}
        for feature in features:
            state = feature.fitting_of(feature.values(table, [], where), is_sampled, where)
            previous = states.get(state.full_key)
            states[state.full_key] = state if previous is None else previous.merge(state)
        return cls(states, Classes.of(columns.labels(table, where), columns.weights(table, where)))

    def merge(self, other: "FittingState") -> "FittingState":
        """Return the state of both, the data of `self` first. Use only the result: both states can be modified.

        Raises:
            DataError: the data of `other` does not fit the data before it.
        """
        states = dict(self.fittings)
        for full_key, state in other.fittings.items():
            states[full_key] = states[full_key].merge(state) if full_key in states else state
        return FittingState(states, self.classes.merge(other.classes))


def fit(
    features: Features, columns: Columns, row_groups: list[RowGroup], seed: int, known: Statistics | None = None
) -> Statistics:
    """Read the training data once and fit the features: count values, sum numerics, sample edges, count classes.

    Only columns on which something is fitted are read, so features that need no fitting start immediately.

    Args:
        features: declared features.
        columns: label column and optional weight column.
        row_groups: training data.
        seed: seed of the sample of rows that determines bucket edges.
        known: statistics of earlier training data with the same features. Its vocabularies keep their positions and
            grow by values that occur at least `min_count` times in the new data; its moments and edges do not change.
            None without such data.

    Raises:
        DataError: a feature does not accept a value, a label or weight is invalid, all labels are of one class, a
            vocabulary exceeds its `max_distinct`, or a column's meaning differs from `known`.
    """
    earlier = known or Statistics()
    numbers = features.number_columns.union(columns.names)
    names = [*features.input_columns, *columns.names]
    meanings = check_agreement(row_groups, list(dict.fromkeys(names)), numbers, earlier.meanings)
    unchanged, empty = _continue_fits(features, earlier)
    fitted = [f for f in features.columns.values() if (state := f.fitting()) is not None and state.full_key in empty]
    fraction = EDGE_ROWS / count_rows(row_groups)
    number_of = {_identity(group): number for number, group in enumerate(row_groups)}

    def state_of(group: RowGroup, table: pa.Table) -> FittingState:
        sampled = np.random.default_rng([seed, 2, number_of[_identity(group)]]).random(group.rows) < fraction
        return FittingState.of(fitted, columns, table, sampled, str(group))

    read = [*(column for feature in fitted for column in feature.columns), *columns.names]
    total = reduce(FittingState.merge, map_tables(state_of, row_groups, read, THREADS), FittingState(empty))
    log_odds = total.classes.log_odds(columns)
    fits = unchanged | {full_key: state.result() for full_key, state in total.fittings.items()}
    return Statistics(_by_section(fits), {**earlier.meanings, **meanings}, log_odds)


def fittings(features: Features) -> dict[tuple[str, str], Fitting]:
    """Return the empty state of each fit of the features, by section and key."""
    states = (feature.fitting() for feature in features.columns.values())
    return {state.full_key: state for state in states if state is not None}


def _continue_fits(
    features: Features, earlier: Statistics
) -> tuple[dict[tuple[str, str], Fit], dict[tuple[str, str], Fitting]]:
    """Return the earlier fits that do not change, and an empty state for each of the others."""
    unchanged: dict[tuple[str, str], Fit] = {}
    empty: dict[tuple[str, str], Fitting] = {}
    for full_key, state in fittings(features).items():
        section, key = full_key
        earlier_fit = earlier.fits.get(section, {}).get(key)
        grown = state if earlier_fit is None else state.grow(earlier_fit)
        if grown is not None:
            empty[full_key] = grown
        elif earlier_fit is not None:
            unchanged[full_key] = earlier_fit
    return unchanged, empty


def _identity(group: RowGroup) -> tuple[Any, ...]:
    """Return a key that distinguishes a row group from all others in a list, including parts of one row group."""
    return group.location, group.piece, group.selected


def _by_section(fits: Mapping[tuple[str, str], Fit]) -> dict[str, dict[str, Fit]]:
    """Return section -> key -> fit."""
    sections: dict[str, dict[str, Fit]] = {}
    for (section, key), fit_ in fits.items():
        sections.setdefault(section, {})[key] = fit_
    return sections
