"""Differences between the metrics of several runs on one split, from their saved scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ctr.evaluation.paired_scores import NoClusters, NotPaired, SavedScores
from ctr.metrics import Clusters, Difference
from ctr.runs.run import Run
from ctr.schema.report import ScoredReport


@dataclass(frozen=True)
class RunDifferences:
    """Differences of a run to another, or why there are none.

    Attributes:
        by_metric: key of a metric -> its difference.
        not_paired: why the rows cannot be compared; None: they can.
        cluster_column: the column whose values intervals take as independent; None: they take rows so.
        clusters: of that column.
        not_clustered: why intervals take rows as independent though a run declares a group.
        has_common_columns: True if both keep a column by which rows are known to be the same.
    """

    by_metric: dict[str, Difference] = field(default_factory=dict)
    not_paired: str | None = None
    cluster_column: str | None = None
    clusters: Clusters | None = None
    not_clustered: str | None = None
    has_common_columns: bool = True


def run_differences(split: str, runs: Sequence[tuple[Run, ScoredReport]]) -> Iterator[RunDifferences]:
    """Yield the differences of each run but the first to the first; reads the scores of two runs at a time.

    Args:
        split: name of the split that all have.
        runs: each with its report.

    Raises:
        Damaged: scores are not what was written.
    """
    (base_run, base_report), *others = runs
    base: SavedScores | None = None
    for run, report in others:
        try:
            base = base or SavedScores.load(base_run, split, base_report)
            yield _difference(SavedScores.load(run, split, report), base)
        except NotPaired as reason:
            yield RunDifferences(not_paired=str(reason))


def _difference(own: SavedScores, base: SavedScores) -> RunDifferences:
    clusters, not_clustered = None, None
    try:
        clusters = own.clusters(base)
    except NoClusters as reason:
        not_clustered = str(reason)
    return RunDifferences(
        own.differences(base, clusters),
        cluster_column=own.cluster_column,
        clusters=clusters,
        not_clustered=not_clustered,
        has_common_columns=bool(own.kept_in_common(base)),
    )
