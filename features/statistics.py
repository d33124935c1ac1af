"""The fitting pass: one stream over the training data, in bounded memory -> vocabularies, means, edges."""

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.columns import check_agreement
from features.errors import DataError
from features.labels import Columns
from features.ragged import Ragged
from features.row_groups import RowGroup, count_rows
from features.schema import Categorical, Features, Numeric, Sequence
from features.tables import map_tables
from features.types import type_name
from features.values import Values, decoded, values_of

EDGE_ROWS = 1_000_000
THREADS = 2  # each holds a row group
MERGE_ABOVE = 1_000_000  # counted values that wait to be merged


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of a transformed numeric; a constant has deviation 1."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Statistics:
    """What the training data says about the features."""

    vocabularies: dict[str, pa.Array]  # table -> distinct values, most frequent first; new ones follow those known
    counts: dict[str, np.ndarray]  # table -> how often all training data has each, int64
    moments: dict[str, Moments]  # numeric feature -> its moments
    edges: dict[str, np.ndarray]  # bucketed numeric -> where each bucket but the last ends
    meanings: dict[str, str]  # column -> what it holds: integer, text and so on
    log_odds: float | None = None  # log-odds of the labels, weighted by the weight column


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
    declared = features.of_columns
    before = known or Statistics({}, {}, {}, {}, {})
    counters = {
        feature.table: _ValueCounter(feature, before.vocabularies.get(feature.table), before.counts.get(feature.table))
        for feature in declared.values()
        if not isinstance(feature, Numeric) and feature.vocabulary is not None
    }
    numerics = {name: feature for name, feature in declared.items() if isinstance(feature, Numeric) and known is None}
    buckets = {name: feature.buckets for name, feature in numerics.items() if feature.as_ == "buckets"}
    sums = {name: _Sums() for name, feature in numerics.items() if name not in buckets and feature.standardize}
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in buckets}
    tables = {name: f.table for name, f in declared.items() if not isinstance(f, Numeric) and f.table in counters}
    fitted = {name: feature for name, feature in declared.items() if name in {*sums, *drawn, *tables}}
    names = list(dict.fromkeys([*(feature.column for feature in declared.values()), *columns.names]))
    meanings = check_agreement(row_groups, names, features.number_columns.union(columns.names), before.meanings)
    names = list(dict.fromkeys([*(feature.column for feature in fitted.values()), *columns.names]))
    share = EDGE_ROWS / count_rows(row_groups)

    def seen(group: RowGroup, table: pa.Table) -> _Seen:
        found = {name: values_of(feature, table, str(group)) for name, feature in fitted.items()}
        labels, weights = columns.labels(table, str(group)), columns.weights(table, str(group))
        return _Seen(
            counted={name: _counted(found[name]) for name in tables},
            transformed={name: transform(numerics[name], found[name]) for name in sums},
            bucketed={name: numbers(found[name]) for name in drawn},
            classes=_Classes.of(labels, weights),
        )

    classes = _Classes()
    for place, (group, one) in enumerate(zip(row_groups, map_tables(seen, row_groups, names, THREADS), strict=True)):
        for name, counted in one.counted.items():
            counters[tables[name]].add(counted, str(group))
        for name, transformed in one.transformed.items():
            sums[name].add(transformed)
        draw = np.random.default_rng([seed, 2, place]).random(group.rows) < share
        for name, bucketed in one.bucketed.items():
            drawn[name].append(bucketed[draw])
        classes = classes.merge(one.classes)
    log_odds = classes.log_odds(columns)
    fitted_tables = {name: counter.vocabulary() for name, counter in counters.items()}
    return Statistics(
        vocabularies={name: values for name, (values, _) in fitted_tables.items()},
        counts={name: times for name, (_, times) in fitted_tables.items()},
        moments={**before.moments, **{name: sums_.moments() for name, sums_ in sums.items()}},
        meanings={**before.meanings, **meanings},
        edges={**before.edges, **{name: _edges(np.concatenate(parts), buckets[name]) for name, parts in drawn.items()}},
        log_odds=log_odds,
    )


def numbers(values: Values) -> np.ndarray:
    """A numeric's values, float64 [rows], NaN where null."""
    assert isinstance(values, pa.Array)
    return values.to_numpy(zero_copy_only=False)


def transform(feature: Numeric, values: Values) -> np.ndarray:
    """A numeric's values after its `transform`, float64 [rows], NaN where null."""
    x = numbers(values)
    return np.sign(x) * np.log1p(np.abs(x)) if feature.transform == "log1p" else x


def _edges(sample: np.ndarray, buckets: int) -> np.ndarray:
    """Where buckets end: midway between a quantile of the sample, NaN left out, and the next larger value.

    So a value that is rounded otherwise, such as a float32 beside float64s, stays in its bucket.
    """
    present = sample[~np.isnan(sample)]
    if not len(present):
        return np.empty(0)
    values = np.unique(present)
    ends = np.unique(np.quantile(present, np.arange(1, buckets) / buckets, method="inverted_cdf"))
    ends = ends[ends < values[-1]]
    above = values[np.searchsorted(values, ends, side="right")]
    middle = ends + (above - ends) / 2
    return np.where(middle < above, middle, ends)


@dataclass(frozen=True)
class _Seen:
    """The counts of one row group or slice, by feature name."""

    counted: dict[str, pa.Table]
    transformed: dict[str, np.ndarray]  # numbers of those with moments
    bucketed: dict[str, np.ndarray]  # numbers of those with edges
    classes: "_Classes"


@dataclass(frozen=True)
class _Classes:
    """Rows and weight of positives and negatives, rows without a weight left out."""

    rows: tuple[int, int] = (0, 0)  # negatives, positives
    weight: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, labels: np.ndarray, weights: np.ndarray) -> "_Classes":
        """The classes of some rows, float32 [rows] each."""
        counted = [weights[(labels == label) & (weights > 0)] for label in (0, 1)]
        negative, positive = (float(one.sum(dtype=np.float64)) for one in counted)
        return cls((len(counted[0]), len(counted[1])), (negative, positive))

    def merge(self, other: "_Classes") -> "_Classes":
        """The classes of both together."""
        (n, p), (negative, positive) = other.rows, other.weight
        return _Classes((self.rows[0] + n, self.rows[1] + p), (self.weight[0] + negative, self.weight[1] + positive))

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


def _counted(values: Values) -> pa.Table:
    """The distinct values that are not null, and how often each is there."""
    counted = pc.value_counts((values.flat if isinstance(values, Ragged) else values).drop_null())
    return pa.table({"value": decoded(counted.field("values")), "count": counted.field("counts")})


class _Sums:
    """Count, mean and sum of squared deviations, merged block by block (Chan, Golub and LeVeque 1983)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def add(self, numbers: np.ndarray) -> None:
        numbers = numbers[~np.isnan(numbers)]
        if not len(numbers):
            return
        count, mean = len(numbers), float(numbers.mean())
        delta, total = mean - self.mean, self.count + len(numbers)
        self.squares += float(((numbers - mean) ** 2).sum()) + delta**2 * self.count * count / total
        self.mean += delta * count / total
        self.count = total

    def moments(self) -> Moments:
        deviation = (self.squares / self.count) ** 0.5 if self.count else 0.0
        is_constant = deviation <= 1e-9 * abs(self.mean)  # what rounding leaves of a constant
        return Moments(self.mean, 1.0 if is_constant else deviation)


class _ValueCounter:
    """Exact counts of the distinct values of a table, from all features that share it.

    The values of a row group wait until more than `MERGE_ABOVE` wait and more than are merged. So merging takes time in
    proportion to all that is counted, and what waits at most doubles the memory of a large vocabulary.

    Args:
        feature: one of them.
        known: values that have their places already, None: none.
        counts: how often each was there before.
    """

    def __init__(
        self, feature: Categorical | Sequence, known: pa.Array | None = None, counts: np.ndarray | None = None
    ) -> None:
        assert feature.vocabulary is not None
        self.table, self.settings = feature.table, feature.vocabulary
        self.known = pa.array([], pa.large_string()) if known is None else known
        self.counts = np.empty(0, np.int64) if counts is None else counts
        self.type: pa.DataType | None = self.known.type if len(self.known) else None
        self.counted: list[pa.Table] = []  # the first is merged: its values are distinct
        self.waiting = 0  # values added since the last merge

    def add(self, counted: pa.Table, where: str) -> None:
        """Add what `_counted` found in a row group."""
        if not counted.num_rows:
            return
        type_ = counted.schema.field("value").type
        if type_ != (self.type or type_):
            here, before = type_name(type_), type_name(self.type)
            raise DataError(f"{where}: the values of table {self.table!r} are {here} here, {before} before")
        self.type = type_
        self.counted.append(counted)
        self.waiting += len(counted)
        if self.waiting > max(MERGE_ABOVE, len(self.counted[0])):
            self._merge()

    def vocabulary(self) -> tuple[pa.Array, np.ndarray]:
        """The values known, then new ones that stand `min_count` times, most frequent first; how often each was there.

        Raises:
            DataError: they are more than `max_distinct`.
        """
        if not self.counted:
            return self.known, self.counts
        self._merge()
        known, found = self.known.cast(self.type), self.counted[0]
        places = pc.index_in(found["value"], value_set=known).combine_chunks()
        counts = self.counts.copy()
        counts[places.drop_null().to_numpy()] += found["count"].filter(places.is_valid()).to_numpy()
        new = found.filter(pc.and_(places.is_null(), pc.greater_equal(found["count"], self.settings.min_count)))
        new = new.sort_by([("count", "descending"), ("value", "ascending")])
        values = pa.concat_arrays([known, new["value"].combine_chunks()])
        self._check_size(len(values))
        return values, np.concatenate([counts, new["count"].to_numpy()])

    def _merge(self) -> None:
        if len(self.counted) > 1:  # not by Arrow's grouper, which ends the process beyond 2 GiB of text
            merged = pa.concat_tables(self.counted)
            encoded = merged["value"].dictionary_encode().combine_chunks()
            counts = np.zeros(len(encoded.dictionary), np.int64)
            np.add.at(counts, encoded.indices.to_numpy(), merged["count"].to_numpy())
            self.counted, self.waiting = [pa.table({"value": encoded.dictionary, "count": counts})], 0
        self._check_size(len(self.counted[0]))

    def _check_size(self, distinct: int) -> None:
        if distinct > self.settings.max_distinct:
            raise DataError(
                f"table {self.table!r}: more than {self.settings.max_distinct} distinct values (max_distinct); "
                f"raise it, or use `hash` instead of a vocabulary"
            )
