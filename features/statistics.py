"""The fitting pass: one stream over the training data, in bounded memory -> what every feature learns from it."""

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
THREADS = 2  # each holds a row group


@dataclass(frozen=True)
class Statistics:
    """Facts about the training data that features are encoded with.

    Args:
        fits: section of encoder.json -> table or feature -> its fit.
        meanings: column -> what it holds: integer, text and so on.
        log_odds: log-odds of the labels, weighted by the weight column; None if unknown.
    """

    fits: Mapping[str, Mapping[str, Fit]] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)
    log_odds: float | None = None

    @classmethod
    def of_no_data(cls, features: Features) -> "Statistics":
        """Return the fits of data without rows, whose tables are as small as they can be."""
        return cls(_by_section({place: state.result() for place, state in fittings(features).items()}))

    def fit_of(self, feature: Feature) -> Any:
        """Return the fit of a feature; None if it has none."""
        state = feature.fitting()
        return None if state is None else self.fits.get(state.fit.section, {}).get(state.key)


@dataclass(frozen=True)
class Classes:
    """Rows and weight of positives and negatives, rows without a weight left out."""

    rows: tuple[int, int] = (0, 0)  # negatives, positives
    weight: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, labels: np.ndarray, weights: np.ndarray) -> "Classes":
        """The classes of some rows, float32 [rows] each."""
        counted = [weights[(labels == label) & (weights > 0)] for label in (0, 1)]
        negative, positive = (float(one.sum(dtype=np.float64)) for one in counted)
        return cls((len(counted[0]), len(counted[1])), (negative, positive))

    def merge(self, other: "Classes") -> "Classes":
        """The classes of both together."""
        (n, p), (negative, positive) = other.rows, other.weight
        return Classes((self.rows[0] + n, self.rows[1] + p), (self.weight[0] + negative, self.weight[1] + positive))

    def log_odds(self, columns: Columns) -> float:
        """ln(weight of positives / weight of negatives).

        Raises:
            DataError: a class is absent.
        """
        negatives, positives = self.rows
        total = negatives + positives
        if total == 0:
            raise DataError(f"training data: all weights of {columns.weight!r} are 0; there is nothing to train on")
        if not negatives or not positives:
            raise DataError(
                f"training data: all {total} labels of {columns.label!r} are {int(positives > 0)}; "
                f"a model needs both classes"
            )
        return math.log(self.weight[1]) - math.log(self.weight[0])


@dataclass(frozen=True)
class FittingState:
    """State of a fitting pass. A pass makes a state for each row group and merges them in their order.

    Args:
        fittings: (section, key) -> the state of that fit.
        classes: counts of the labels.
    """

    fittings: Mapping[tuple[str, str], Fitting]
    classes: Classes = Classes()

    @classmethod
    def of(
        cls, features: Iterable[Feature], columns: Columns, table: pa.Table, drawn: np.ndarray, where: str
    ) -> "FittingState":
        """Return the state of one row group.

        Args:
            features: what is fitted.
            columns: the label, and the weight if there is one.
            table: the row group, with all columns that these read.
            drawn: its rows in the sample of the training data, bool [rows].
            where: file and row group, for errors.

        Raises:
            DataError: a value that a feature cannot take, a bad label or weight.
        """
        states: dict[tuple[str, str], Fitting] = {}
        for feature in features:
            found = feature.fitting_of(feature.values(table, [], where), drawn, where)
            before = states.get(found.place)
            states[found.place] = found if before is None else before.merge(found)
        return cls(states, Classes.of(columns.labels(table, where), columns.weights(table, where)))

    def merge(self, other: "FittingState") -> "FittingState":
        """Return the state of both, the data of `self` first. Both are used up: use the returned state only.

        Raises:
            DataError: the data of `other` does not fit the data before it.
        """
        states = dict(self.fittings)
        for place, found in other.fittings.items():
            states[place] = states[place].merge(found) if place in states else found
        return FittingState(states, self.classes.merge(other.classes))


def fit(
    features: Features, columns: Columns, row_groups: list[RowGroup], seed: int, known: Statistics | None = None
) -> Statistics:
    """Read once what must be known of the training data: count values, sum numerics, draw edges, count classes.

    Only columns that something is fitted on are read, so that features that need no fitting start at once.

    Args:
        features: the declared features.
        columns: the label, and the weight if there is one.
        row_groups: the training data.
        seed: of the rows that edges are drawn from.
        known: of the data that the same features were trained on before: its vocabularies keep their places and grow by
            values that stand `min_count` times in the new data; its moments and edges stay.

    Raises:
        DataError: a value that no feature can take, a bad label or weight, labels of one class only, a vocabulary
            beyond its `max_distinct`, a column that holds other things than were known.
    """
    before = known or Statistics()
    numbers = features.number_columns.union(columns.names)
    names = [*features.input_columns, *columns.names]
    meanings = check_agreement(row_groups, list(dict.fromkeys(names)), numbers, before.meanings)
    kept, empty = _continued(features, before)
    fitted = [f for f in features.columns.values() if (own := f.fitting()) is not None and own.place in empty]
    share = EDGE_ROWS / count_rows(row_groups)
    places = {_identity(group): place for place, group in enumerate(row_groups)}

    def state_of(group: RowGroup, table: pa.Table) -> FittingState:
        drawn = np.random.default_rng([seed, 2, places[_identity(group)]]).random(group.rows) < share
        return FittingState.of(fitted, columns, table, drawn, str(group))

    read = [*(column for feature in fitted for column in feature.columns), *columns.names]
    state = reduce(FittingState.merge, map_tables(state_of, row_groups, read, THREADS), FittingState(empty))
    log_odds = state.classes.log_odds(columns)
    fits = kept | {place: found.result() for place, found in state.fittings.items()}
    return Statistics(_by_section(fits), {**before.meanings, **meanings}, log_odds)


def fittings(features: Features) -> dict[tuple[str, str], Fitting]:
    """Return the empty state of each fit of the features, by section and key."""
    states = (feature.fitting() for feature in features.columns.values())
    return {state.place: state for state in states if state is not None}


def _continued(
    features: Features, before: Statistics
) -> tuple[dict[tuple[str, str], Fit], dict[tuple[str, str], Fitting]]:
    """Return the earlier fits that stay as they are, and an empty state for each of the others."""
    kept: dict[tuple[str, str], Fit] = {}
    empty: dict[tuple[str, str], Fitting] = {}
    for place, state in fittings(features).items():
        section, key = place
        earlier = before.fits.get(section, {}).get(key)
        grown = state if earlier is None else state.grow(earlier)
        if grown is not None:
            empty[place] = grown
        elif earlier is not None:
            kept[place] = earlier
    return kept, empty


def _identity(group: RowGroup) -> tuple[Any, ...]:
    """Return what tells a row group from all others of a list, parts of one row group included."""
    return group.place, group.piece, group.selected


def _by_section(fits: Mapping[tuple[str, str], Fit]) -> dict[str, dict[str, Fit]]:
    """Return section -> key -> fit."""
    found: dict[str, dict[str, Fit]] = {}
    for (section, key), fit_ in fits.items():
        found.setdefault(section, {})[key] = fit_
    return found
