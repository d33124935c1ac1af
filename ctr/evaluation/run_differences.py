"""Differences between the metrics of several runs on one split, from their saved scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ctr.evaluation.paired_scores import NoClusters, NotPaired, SavedScores
from ctr.metrics import Clusters, Difference
from ctr.runs.run import Run
from ctr.schema.report import ScoredReport


@dataclass(frozen=True)
class RunDifferences:
    """Differences of a run to another, or the reason why they cannot be computed.

    Attributes:
        by_metric: key of a metric -> its difference.
        not_paired: reason why the examples cannot be compared; None if they can.
        cluster_column: column that intervals are clustered by; None if they assume independent examples.
        clusters: clusters of that column.
        not_clustered: reason why intervals are not clustered although a run has `report.group`.
        has_common_columns: True if both have a pass-through column that shows that the examples are the same.
    """

    by_metric: dict[str, Difference] = field(default_factory=dict)
    not_paired: str | None = None
    cluster_column: str | None = None
    clusters: Clusters | None = None
    not_clustered: str | None = None
    has_common_columns: bool = True


def run_differences(split: str, runs: Sequence[tuple[Run, ScoredReport]]) -> Iterator[RunDifferences]:
    """Yield the differences of each other run to the first; reads the scores of two runs at a time.

    Args:
        split: name of a split that all runs have.
        runs: runs with their reports.

    Raises:
        Damaged: scores have changed since they were written.
    """
    (base_run, base_report), *others = runs
    base: SavedScores | None = None
    for run, report in others:
        try:
            base = base or SavedScores.load(base_run, split, base_report)
            yield _difference(SavedScores.load(run, split, report), base)
        except NotPaired as reason:
            yield RunDifferences(not_paired=str(reason))


def _difference(candidate: SavedScores, base: SavedScores) -> RunDifferences:
    clusters, not_clustered = None, None
    try:
        clusters = candidate.clusters(base)
    except NoClusters as reason:
        not_clustered = str(reason)
    return RunDifferences(
        candidate.differences(base, clusters),
        cluster_column=candidate.cluster_column,
        clusters=clusters,
        not_clustered=not_clustered,
        has_common_columns=bool(candidate.shared_columns(base)),
    )
