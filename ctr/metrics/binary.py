"""The metrics of a scored set, exact however its rows are divided."""

from collections.abc import Callable, Mapping
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ctr.metrics import catalog, clusters, ranking, thresholds
from ctr.metrics.counts import ScoreCounts, Undefined, refuse_nan
from ctr.metrics.groups import GroupMetrics

BIN_ROWS = 1 << 20  # rows that are binned at once: each time takes the time of sorting the whole grid
GRID = 2.0**-14  # of the binned form, in log-odds: it moves no log loss by more than 2^-15


class _Rows(NamedTuple):
    logit: np.ndarray
    label: np.ndarray
    weight: np.ndarray | None


class BinaryMetrics:
    """The mergeable state of the metrics of one set: its rows, or the counts of their binned scores.

    Up to `exact_rows` rows are held (a logit of 4 bytes, a label of 1, a weight and groups as given), and every number
    is a function of the set of rows, whatever their order and parts: without weights to the last bit, with them to the
    rounding of sums. Beyond, all is counted on a grid of the score, of 2^-14 in log-odds: `result` then has
    "auc_error", and there are no groups.

    Args:
        exact_rows: how many rows to hold at most.

    >>> metrics = BinaryMetrics()
    >>> metrics.add(np.array([-1.0, 0.5, 2.0], np.float32), np.array([0, 0, 1]))
    >>> metrics.result()["auc"]
    1.0
    """

    def __init__(self, exact_rows: int = 20_000_000) -> None:
        self.exact_rows = exact_rows
        self.rows = 0
        self._held: list[_Rows] = []
        self._groups: dict[str, list[pa.Array]] = {}
        self._binned: ScoreCounts | None = None
        self._counts: ScoreCounts | None = None  # of the rows held, until there are more

    def add(
        self,
        logit: np.ndarray,
        label: np.ndarray,
        weight: np.ndarray | None = None,
        groups: Mapping[str, pa.Array] = {},
    ) -> None:
        """Add rows.

        Args:
            logit: float32 [rows], not NaN; the rank is by it as it is, the rest is computed in float64. Infinite ones
                are the probabilities 0 and 1: with the other label their log loss is infinite.
            label: 0 or 1, [rows].
            weight: [rows], finite, not negative; None for 1.
            groups: by name, the value of each row, [rows]; the same names and types every time.

        Raises:
            ValueError: a logit is NaN.
        """
        refuse_nan(logit)
        if len(logit):
            copied = None if weight is None else np.array(weight)
            self._held.append(_Rows(np.array(logit, np.float32), np.array(label, np.int8), copied))
            for name, values in groups.items():
                self._groups.setdefault(name, []).append(values)
        self.rows += len(logit)
        self._counts = None
        self._bin_if_many()

    @property
    def is_binned(self) -> bool:
        """Whether there are more rows than are held."""
        return self.rows > self.exact_rows

    def merge(self, other: "BinaryMetrics") -> "BinaryMetrics":
        """Return the state of both together, the rows of the other last; it holds the fewer `exact_rows` of the two."""
        both = BinaryMetrics(min(self.exact_rows, other.exact_rows))
        both.rows = self.rows + other.rows
        both._held = self._held + other._held
        names = dict.fromkeys([*self._groups, *other._groups])
        both._groups = {name: self._groups.get(name, []) + other._groups.get(name, []) for name in names}
        binned = [one._binned for one in (self, other) if one._binned is not None]
        both._binned = reduce(ScoreCounts.merge, binned) if binned else None
        both._bin_if_many()
        return both

    def counts(self) -> ScoreCounts:
        """Weight of positives and negatives at each distinct score, or at each point of the grid."""
        if self._counts is None:
            if self.is_binned:
                self._bin()
                self._counts = self._binned
            else:
                self._counts = ScoreCounts.of(*self._columns())
        assert self._counts is not None
        return self._counts

    def by_group(self, name: str) -> GroupMetrics:
        """The metrics of each value of a group.

        Raises:
            KeyError: `add` was given no such group.
            Undefined: there are no rows, or too many to hold.
        """
        if self.is_binned:
            raise Undefined(f"more than {self.exact_rows:,} rows: their groups are not held")
        if not self._held:
            raise Undefined("no rows")
        return GroupMetrics.of(*self._columns(), self._groups[name])

    def deciles(self) -> list[thresholds.Decile]:
        """`thresholds.deciles` of the set; nothing where no row has a weight."""
        try:
            return thresholds.deciles(self.counts())
        except Undefined:
            return []

    def by_cluster(self, name: str) -> clusters.ClusterSums:
        """Return the sums over the rows of each value of a group, each row without one a cluster of its own.

        Raises:
            KeyError: `add` was given no such group.
            Undefined: there are no rows, too many to hold, or all in one cluster.
        """
        if self.is_binned:
            raise Undefined(f"more than {self.exact_rows:,} rows: their groups are not held")
        if not self._held:
            raise Undefined("no rows")
        found = clusters.Clusters.of(self._groups[name])
        sums = clusters.ClusterSums.of(*self._columns(), found, self.counts())
        if 0 < sums.effective_clusters < 1 + 1e-9:
            raise Undefined("all rows are in one cluster")
        return sums

    def result(self, threshold: float = 0.5, cluster: str | None = None) -> dict[str, Any]:
        """Every metric of the set as a whole; what cannot be computed is None, and "reasons" says why.

        Args:
            threshold: the probability from which a row counts as predicted positive.
            cluster: the group whose values are independent, as users are; None: rows are.

        Returns:
            rows; interval_unit, "row" or "cluster", what intervals and errors take as independent; with `cluster`,
            clusters, their number, None where groups are not held, and effective_clusters, the number of clusters of
            equal weight that tell as much; then every metric of `catalog.CATALOG` that is a function of counts, with
            its companions. In the binned form also auc_error.
        """
        counts = self.counts()
        measures: dict[str, Callable[[], Any]] = {
            key: partial(measure, counts, threshold)
            for metric in catalog.CATALOG
            for key, measure in metric.measures.items()
        }
        if self.is_binned:
            measures["auc_error"] = lambda: ranking.auc_error(counts)
        found: dict[str, Any] = {"rows": self.rows, "interval_unit": "row"}
        reasons: dict[str, str] = {}
        if cluster is not None:
            try:
                sums = self.by_cluster(cluster)
                found |= {"interval_unit": "cluster", "clusters": len(sums.weight)}
                found["effective_clusters"] = sums.effective_clusters
                measures |= clusters.measures(sums, counts)
            except Undefined as reason:
                found |= {"clusters": None, "effective_clusters": None}
                reasons["clusters"] = str(reason)
        for name, measure in measures.items():
            try:
                found[name] = measure()
            except Undefined as reason:
                found[name], reasons[name] = None, str(reason)
        return found | ({"reasons": reasons} if reasons else {})

    def _bin_if_many(self) -> None:
        """Bin the rows held where they are more than are held in the end, and enough to be worth it."""
        if self.is_binned and sum(len(part.logit) for part in self._held) >= BIN_ROWS:
            self._bin()

    def _bin(self) -> None:
        """Count the rows held on the grid, and hold them no more."""
        if self._held:
            held = ScoreCounts.of(*self._columns()).on_grid(GRID)
            self._binned = held if self._binned is None else self._binned.merge(held)
        self._held, self._groups = [], {}

    def _columns(self) -> _Rows:
        """Logit, label and weight of all rows held, from now on in one piece; no weight where no part has any."""
        if len(self._held) != 1:
            logit = np.concatenate([np.empty(0, np.float32), *(part.logit for part in self._held)])
            label = np.concatenate([np.empty(0, np.int8), *(part.label for part in self._held)])
            weight = None
            if any(part.weight is not None for part in self._held):
                weights = [np.ones(len(part.logit)) if part.weight is None else part.weight for part in self._held]
                weight = np.concatenate(weights)
            self._held = [_Rows(logit, label, weight)]
        return self._held[0]
