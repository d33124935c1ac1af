"""Differences between the saved scores of two runs that evaluate the same examples in the same order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ctr.metrics import Clusters, Difference
from ctr.metrics.catalog import paired_metrics
from ctr.metrics.paired import paired_difference
from ctr.runs.run import Run


class NotPaired(ValueError):
    """Scores that cannot be compared example by example, with the reason."""


class NoClusters(ValueError):
    """Scores whose differences cannot be clustered, with the reason."""


@dataclass(frozen=True)
class SavedScores:
    """Scores of one split, read from `scores/<split>.parquet`: 9 bytes per example with weights, 5 without.

    Pass-through columns stay in the file.

    Attributes:
        file: the open file.
        logit: float32 [rows].
        label: int8 [rows].
        weight: float32 [rows]; None without weights.
        negative_weight: weight of a negative: 1/r if the negatives were sampled at rate r, else 1.
        cluster_column: column whose values, such as users, are the clusters; None without `report.group`.
    """

    file: pq.ParquetFile
    logit: np.ndarray
    label: np.ndarray
    weight: np.ndarray | None
    negative_weight: float
    cluster_column: str | None = None

    @classmethod
    def load(cls, run: Run, name: str, report: Mapping[str, Any]) -> "SavedScores":
        """Read the scores of one split.

        Args:
            run: a run or an evaluation.
            name: name of the split.
            report: values of report.json.

        Raises:
            NotPaired: the file is missing or does not match the report, or the split has no labels.
            Damaged: the file has changed since it was written.
        """
        path, metrics = run.folder / "scores" / f"{name}.parquet", report["metrics"][name]
        if metrics["positive_rate"] is None:
            raise NotPaired(f"{run.folder}: {metrics['reasons']['positive_rate']}")
        if not path.is_file():
            raise NotPaired(f"{path} is missing")
        run.file(f"scores/{name}.parquet")
        try:
            file = pq.ParquetFile(path)
            names = file.schema_arrow.names
            columns = file.read([column for column in ("label", "weight", "logit") if column in names])
        except (OSError, pa.ArrowException) as error:
            raise NotPaired(f"{path} cannot be read: {error}") from error
        if len(columns) != metrics["rows"]:
            raise NotPaired(f"{path} has {len(columns):,} examples, the report {metrics['rows']:,}")
        arrays = {column: columns[column].to_numpy() for column in columns.column_names}
        negative_weight = 1 / (report["negative_sampling_rate"][name] or 1.0)
        column = metrics.get("cluster_column")
        return cls(file, arrays["logit"], arrays["label"], arrays.get("weight"), negative_weight, column)

    @property
    def row_weights(self) -> np.ndarray | None:
        """Weights of examples in metrics, float64 [rows]; None if all are 1."""
        if self.weight is None and self.negative_weight == 1:
            return None
        sampling = np.where(self.label == 1, 1.0, self.negative_weight)
        return sampling if self.weight is None else self.weight.astype(np.float64) * sampling

    def differences(self, base: "SavedScores", clusters: Clusters | None = None) -> dict[str, Difference]:
        """Return the difference of each paired metric to `base`, by the key of the metric.

        Args:
            base: the scores of another model.
            clusters: clusters of the examples from `clusters`; None if examples are independent.

        Raises:
            NotPaired: the examples, their order or their weights differ.
        """
        self.check_same_rows(base)
        pair = (self.logit, base.logit, self.label, self.row_weights, clusters)
        return {key: paired_difference(row_differences, *pair) for key, row_differences in paired_metrics().items()}

    def clusters(self, base: "SavedScores") -> Clusters | None:
        """Return the clusters that differences to `base` take as independent; None without `report.group`.

        Args:
            base: scores of the same examples, checked by `check_same_rows`, which compares the column too.

        Raises:
            NoClusters: only one of both has clusters, their columns differ, or there is only one cluster.
        """
        column, base_column = self.cluster_column, base.cluster_column
        if column != base_column:
            raise NoClusters(
                f"report.group is {column or 'not set'} in one run and {base_column or 'not set'} in the other"
            )
        if column is None:
            return None
        if column not in self.shared_columns(base):
            raise NoClusters(f"the scores are from an earlier version, without the column {column!r}")
        try:
            clusters = Clusters.of(self.file.read([column])[column].chunks or [pa.nulls(0)])
        except (OSError, pa.ArrowException) as error:
            raise NoClusters(f"column {column!r} cannot be read: {error}") from error
        if clusters.count < 2:
            raise NoClusters(f"all examples have the same value of {column!r}")
        return clusters

    def shared_columns(self, other: "SavedScores") -> list[str]:
        """Return the pass-through columns that both files have."""
        names, others = (set(scores.file.schema_arrow.names) for scores in (self, other))
        return sorted(names & others - {"label", "weight", "logit", "score"})

    def check_same_rows(self, base: "SavedScores") -> None:
        """Raise NotPaired unless both have the same examples, in the same order and with the same weights."""
        if len(base.label) != len(self.label):
            raise NotPaired(f"different numbers of examples: {len(base.label):,} and {len(self.label):,}")
        _check_none("labels differ", int((base.label != self.label).sum()))
        if base.weight is not None and self.weight is not None:
            _check_none("weights differ", int((base.weight != self.weight).sum()))
        elif base.weight is not None or self.weight is not None:
            raise NotPaired("only one of them has weights")
        if base.negative_weight != self.negative_weight:
            raise NotPaired(
                f"different weights: a negative counts {base.negative_weight:.6g} times and {self.negative_weight:.6g} "
                f"times, because of the sampling rates"
            )
        for name in self.shared_columns(base):
            try:
                columns = [scores.file.read([name])[name] for scores in (base, self)]
                differing = differing_rows(*columns)
            except (OSError, pa.ArrowException) as error:
                raise NotPaired(f"column {name!r} cannot be compared: {error}") from error
            _check_none(f"different examples: column {name!r} differs", differing)


def differing_rows(left: pa.ChunkedArray, right: pa.ChunkedArray) -> int:
    """Return the number of rows in which two columns of equal length differ; for lists none or all of them.

    Null and NaN are equal.

    >>> differing_rows(pa.chunked_array([[1, 2, None]]), pa.chunked_array([[1, 3, None]]))
    1
    """
    left, right = (
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in (left, right)
    )
    if left.equals(right):
        return 0
    if pa.types.is_nested(left.type):
        return len(left)
    no_left, no_right = (pc.is_null(column, nan_is_null=True) for column in (left, right))
    differs = pc.if_else(pc.or_(no_left, no_right), pc.xor(no_left, no_right), pc.not_equal(left, right))
    return int(pc.sum(differs).as_py() or 0)


def _check_none(difference: str, differing: int) -> None:
    if differing:
        raise NotPaired(f"{difference} in {differing:,} example{'s' if differing > 1 else ''}")
