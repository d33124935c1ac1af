"""Metrics of a scored split, exact for any division of its rows into chunks."""

from collections.abc import Callable, Mapping
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ctr.metrics import catalog, clusters, ranking, thresholds
from ctr.metrics.counts import ScoreCounts, Undefined, refuse_nan
from ctr.metrics.groups import GroupMetrics

BIN_ROWS = 1 << 20  # rows to bin at a time, because each time sorts the whole grid
GRID = 2.0**-14  # step of binned scores in log-odds, which changes a log loss by at most 2^-15


class _Chunk(NamedTuple):
    logit: np.ndarray
    label: np.ndarray
    weight: np.ndarray | None


class BinaryMetrics:
    """Mergeable state of the metrics of one split: its rows, or the counts of their binned scores.

    Up to `exact_rows` rows are kept (a logit of 4 bytes, a label of 1, weight and groups as given). Metrics then do not
    depend on the order of rows or on chunks: without weights to the last bit, with weights up to the rounding of sums.
    Beyond, scores are counted on a grid with a step of 2^-14 in log-odds. `result` then has "auc_error", and there are
    no groups.

    Args:
        exact_rows: maximum number of rows to keep.

    >>> metrics = BinaryMetrics()
    >>> metrics.add(np.array([-1.0, 0.5, 2.0], np.float32), np.array([0, 0, 1]))
    >>> metrics.result()["auc"]
    1.0
    """

    def __init__(self, exact_rows: int = 20_000_000) -> None:
        self.exact_rows = exact_rows
        self.rows = 0
        self._chunks: list[_Chunk] = []
        self._groups: dict[str, list[pa.Array]] = {}
        self._binned: ScoreCounts | None = None
        self._counts: ScoreCounts | None = None  # of the kept rows, until more are added

    def add(
        self,
        logit: np.ndarray,
        label: np.ndarray,
        weight: np.ndarray | None = None,
        groups: Mapping[str, pa.Array] = {},
    ) -> None:
        """Add rows.

        Args:
            logit: float32 [rows], not NaN. Ranks use it as it is; other metrics are computed in float64. Infinite
                logits are the probabilities 0 and 1, so with the opposite label the log loss is infinite.
            label: 0 or 1, [rows].
            weight: [rows], finite, not negative; None for 1.
            groups: name -> value of each row, [rows]; with the same names and types in every call.

        Raises:
            ValueError: a logit is NaN.
        """
        refuse_nan(logit)
        if len(logit):
            copied = None if weight is None else np.array(weight)
            self._chunks.append(_Chunk(np.array(logit, np.float32), np.array(label, np.int8), copied))
            for name, values in groups.items():
                self._groups.setdefault(name, []).append(values)
        self.rows += len(logit)
        self._counts = None
        self._bin_if_many()

    @property
    def is_binned(self) -> bool:
        """True if there are more than `exact_rows` rows."""
        return self.rows > self.exact_rows

    def merge(self, other: "BinaryMetrics") -> "BinaryMetrics":
        """Return the state of both together, the rows of the other last, with the smaller `exact_rows`."""
        merged = BinaryMetrics(min(self.exact_rows, other.exact_rows))
        merged.rows = self.rows + other.rows
        merged._chunks = self._chunks + other._chunks
        names = dict.fromkeys([*self._groups, *other._groups])
        merged._groups = {name: self._groups.get(name, []) + other._groups.get(name, []) for name in names}
        binned = [state._binned for state in (self, other) if state._binned is not None]
        merged._binned = reduce(ScoreCounts.merge, binned) if binned else None
        merged._bin_if_many()
        return merged

    def counts(self) -> ScoreCounts:
        """Return the weight of positives and negatives at each distinct score, or at each point of the grid."""
        if self._counts is None:
            if self.is_binned:
                self._bin()
                self._counts = self._binned
            else:
                self._counts = ScoreCounts.of(*self._columns())
        assert self._counts is not None
        return self._counts

    def by_group(self, name: str) -> GroupMetrics:
        """Return the metrics of each value of a group.

        Raises:
            KeyError: unknown group.
            Undefined: there are no rows, or too many to keep.
        """
        if self.is_binned:
            raise Undefined(f"more than {self.exact_rows:,} examples, so their groups are not kept")
        if not self._chunks:
            raise Undefined("no examples")
        return GroupMetrics.of(*self._columns(), self._groups[name])

    def deciles(self) -> list[thresholds.Decile]:
        """Return `thresholds.deciles` of the split; empty if no row has a weight."""
        try:
            return thresholds.deciles(self.counts())
        except Undefined:
            return []

    def by_cluster(self, name: str) -> clusters.ClusterSums:
        """Return the sums over the rows of each value of a group; each row with a null value is a cluster of its own.

        Raises:
            KeyError: unknown group.
            Undefined: there are no rows, too many to keep, or all are in one cluster.
        """
        if self.is_binned:
            raise Undefined(f"more than {self.exact_rows:,} examples, so their groups are not kept")
        if not self._chunks:
            raise Undefined("no examples")
        sums = clusters.ClusterSums.of(*self._columns(), clusters.Clusters.of(self._groups[name]), self.counts())
        if 0 < sums.effective_clusters < 1 + 1e-9:
            raise Undefined("all examples are in one cluster")
        return sums

    def result(self, threshold: float = 0.5, cluster: str | None = None) -> dict[str, Any]:
        """Return every metric of the whole split; "reasons" explains each undefined metric, with the value None.

        Args:
            threshold: probability from which an example counts as predicted positive.
            cluster: group whose values, such as users, are independent; None if examples are independent.

        Returns:
            rows; interval_unit, "row" or "cluster", the independent units of intervals and errors; with `cluster`,
            clusters, their number, None if groups are not kept, and effective_clusters, the number of clusters of
            equal weight that give the same precision; then every metric of `catalog.CATALOG` that is a function of
            counts, with its companions; for binned scores also auc_error.
        """
        counts = self.counts()
        measures: dict[str, Callable[[], Any]] = {
            key: partial(measure, counts, threshold)
            for metric in catalog.CATALOG
            for key, measure in metric.measures.items()
        }
        if self.is_binned:
            measures["auc_error"] = lambda: ranking.auc_error(counts)
        metrics: dict[str, Any] = {"rows": self.rows, "interval_unit": "row"}
        reasons: dict[str, str] = {}
        if cluster is not None:
            try:
                sums = self.by_cluster(cluster)
                metrics |= {"interval_unit": "cluster", "clusters": len(sums.weight)}
                metrics["effective_clusters"] = sums.effective_clusters
                measures |= clusters.measures(sums, counts)
            except Undefined as reason:
                metrics |= {"clusters": None, "effective_clusters": None}
                reasons["clusters"] = str(reason)
        for name, measure in measures.items():
            try:
                metrics[name] = measure()
            except Undefined as reason:
                metrics[name], reasons[name] = None, str(reason)
        return metrics | ({"reasons": reasons} if reasons else {})

    def _bin_if_many(self) -> None:
        """Bin the kept rows once the total exceeds `exact_rows` and there are enough of them to be worth a pass."""
        if self.is_binned and sum(len(chunk.logit) for chunk in self._chunks) >= BIN_ROWS:
            self._bin()

    def _bin(self) -> None:
        """Count the kept rows on the grid, and drop them."""
        if self._chunks:
            counts = ScoreCounts.of(*self._columns()).on_grid(GRID)
            self._binned = counts if self._binned is None else self._binned.merge(counts)
        self._chunks, self._groups = [], {}

    def _columns(self) -> _Chunk:
        """Join the kept chunks; return logit, label and weight of all kept rows, without weight if no chunk has any."""
        if len(self._chunks) != 1:
            logit = np.concatenate([np.empty(0, np.float32), *(chunk.logit for chunk in self._chunks)])
            label = np.concatenate([np.empty(0, np.int8), *(chunk.label for chunk in self._chunks)])
            weight = None
            if any(chunk.weight is not None for chunk in self._chunks):
                weights = [
                    np.ones(len(chunk.logit)) if chunk.weight is None else chunk.weight for chunk in self._chunks
                ]
                weight = np.concatenate(weights)
            self._chunks = [_Chunk(logit, label, weight)]
        return self._chunks[0]
