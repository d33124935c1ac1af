"""Differences between the saved scores of two runs, where both hold the same rows in the same order."""

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
    """Scores that cannot be compared row by row; the message says why."""


class NoClusters(ValueError):
    """Scores whose differences can only take rows as independent; the message says why."""


@dataclass(frozen=True)
class SavedScores:
    """What `scores/<set>.parquet` says of a set, 9 bytes a row with weights and 5 without; kept columns stay there.

    Attributes:
        file: the open file.
        logit: float32 [rows].
        label: int8 [rows].
        weight: float32 [rows], None where the data declares none.
        negative_weight: what a negative counts beside a positive, 1/r where the set was sampled at rate r, else 1.
        cluster_column: the column whose values, such as users, are independent; None: no `report.group` is declared.
    """

    file: pq.ParquetFile
    logit: np.ndarray
    label: np.ndarray
    weight: np.ndarray | None
    negative_weight: float
    cluster_column: str | None = None

    @classmethod
    def load(cls, run: Run, name: str, report: Mapping[str, Any]) -> "SavedScores":
        """Read the scores of one set.

        Args:
            run: a run or an evaluation.
            name: of the set.
            report: what report.json says.

        Raises:
            NotPaired: the file is missing or not that of the report, or the set has no labels.
            Damaged: it is not what was written.
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
            raise NotPaired(f"{path} has {len(columns):,} rows, the report {metrics['rows']:,}")
        found = {column: columns[column].to_numpy() for column in columns.column_names}
        negative_weight = 1 / (report["negative_sampling_rate"][name] or 1.0)
        column = metrics.get("cluster_column")
        return cls(file, found["logit"], found["label"], found.get("weight"), negative_weight, column)

    @property
    def row_weights(self) -> np.ndarray | None:
        """Weights of rows in metrics, float64 [rows]; None where all are 1."""
        if self.weight is None and self.negative_weight == 1:
            return None
        sampling = np.where(self.label == 1, 1.0, self.negative_weight)
        return sampling if self.weight is None else self.weight.astype(np.float64) * sampling

    def differences(self, base: "SavedScores", clusters: Clusters | None = None) -> dict[str, Difference]:
        """Return the value of each paired metric minus that of `base`, by the metric's key.

        Args:
            base: the scores of another model.
            clusters: of the rows, as `clusters` gives them; None: rows are independent.

        Raises:
            NotPaired: the rows are not the same, in the same order and of the same weight.
        """
        self.check_same_rows(base)
        pair = (self.logit, base.logit, self.label, self.row_weights, clusters)
        return {key: paired_difference(row_differences, *pair) for key, row_differences in paired_metrics().items()}

    def clusters(self, base: "SavedScores") -> Clusters | None:
        """Return the clusters of the rows that differences to `base` take as independent; None: no group is declared.

        Args:
            base: scores of the same rows, see `check_same_rows`, which compares the column too.

        Raises:
            NoClusters: only one of both has them, they name different columns, or all rows are in one cluster.
        """
        column, other = self.cluster_column, base.cluster_column
        if column != other:
            raise NoClusters(f"report.group is {column or 'not set'} in one run and {other or 'not set'} in the other")
        if column is None:
            return None
        if column not in self.kept_in_common(base):
            raise NoClusters(f"scores of an earlier version do not hold the column {column!r}")
        try:
            found = Clusters.of(self.file.read([column])[column].chunks or [pa.nulls(0)])
        except (OSError, pa.ArrowException) as error:
            raise NoClusters(f"column {column!r} cannot be read: {error}") from error
        if found.count < 2:
            raise NoClusters(f"all rows have one value of {column!r}")
        return found

    def kept_in_common(self, other: "SavedScores") -> list[str]:
        """The kept columns that both files have."""
        names, others = (set(scores.file.schema_arrow.names) for scores in (self, other))
        return sorted(names & others - {"label", "weight", "logit", "score"})

    def check_same_rows(self, base: "SavedScores") -> None:
        """Raise NotPaired unless both have the same rows, in the same order and of the same weight."""
        if len(base.label) != len(self.label):
            raise NotPaired(f"other rows: {len(base.label):,} and {len(self.label):,}")
        _check_none("labels differ", int((base.label != self.label).sum()))
        if base.weight is not None and self.weight is not None:
            _check_none("weights differ", int((base.weight != self.weight).sum()))
        elif base.weight is not None or self.weight is not None:
            raise NotPaired("rows have weights in one of them only")
        if base.negative_weight != self.negative_weight:
            raise NotPaired(
                f"other weights: a negative counts {base.negative_weight:.6g} times and {self.negative_weight:.6g} "
                f"times, by the sampling rate"
            )
        for name in self.kept_in_common(base):
            try:
                columns = [scores.file.read([name])[name] for scores in (base, self)]
                differing = differing_rows(*columns)
            except (OSError, pa.ArrowException) as error:
                raise NotPaired(f"column {name!r} cannot be compared: {error}") from error
            _check_none(f"other rows: column {name!r} differs", differing)


def differing_rows(left: pa.ChunkedArray, right: pa.ChunkedArray) -> int:
    """In how many rows two columns of one length differ, where null and NaN are equal; of lists, in none or all.

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


def _check_none(what: str, differing: int) -> None:
    if differing:
        raise NotPaired(f"{what} in {differing:,} row{'s' if differing > 1 else ''}")
