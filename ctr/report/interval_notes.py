"""Sentences on what confidence intervals take as independent: examples, or clusters of them such as users."""

from collections.abc import Mapping

from ctr.report import formats
from ctr.schema.split_metrics import SplitMetrics

INDEPENDENT_EXAMPLES = (
    "Confidence intervals and standard errors assume independent examples. If users have many examples each, they are "
    "too narrow: set report.group to the column of user ids."
)
CLUSTERED = "Clustering accounts for dependence between the examples of a cluster, such as a user."
FEW = 30  # clusters of equal weight, below which intervals cover the truth less often than they claim


def cluster_note(column: str, clusters: int, effective: float) -> str:
    """Return what intervals are clustered by, and whether the clusters are few.

    Args:
        column: column whose values are the clusters.
        clusters: number of clusters.
        effective: number of clusters of equal weight that give the same precision.

    >>> cluster_note("user", 1234, 24.3)
    'clustered by user (1,234 clusters, equivalent to 24 of equal weight: few, so intervals can be too narrow)'
    """
    few = f", equivalent to {effective:.0f} of equal weight: few, so intervals can be too narrow"
    return f"clustered by {column} ({formats.count(clusters)} clusters{few if effective < FEW else ''})"


def interval_notes(splits: Mapping[str, SplitMetrics]) -> list[str]:
    """Return what the intervals of each split are clustered by; nothing if no group is declared.

    Args:
        splits: metrics of each split, as in report.json.

    >>> metrics = {"interval_unit": "cluster", "cluster_column": "user", "clusters": 1234, "effective_clusters": 600.0}
    >>> interval_notes({"valid": metrics, "test": metrics})
    ['Confidence intervals and standard errors are clustered by user (valid 1,234, test 1,234 clusters).']
    """
    clustered = {name: metrics for name, metrics in splits.items() if metrics.get("interval_unit") == "cluster"}
    by_column: dict[str, list[str]] = {}
    for name, metrics in clustered.items():
        by_column.setdefault(metrics["cluster_column"], []).append(f"{name} {formats.count(metrics['clusters'])}")
    few = [
        f"{name} (equivalent to {metrics['effective_clusters']:.0f} of equal weight)"
        for name, metrics in clustered.items()
        if metrics.get("effective_clusters", FEW) < FEW
    ]
    warning = f" Few clusters in {', '.join(few)}: intervals and errors can be too narrow." if few else ""
    notes = [
        f"Confidence intervals and standard errors are clustered by {column} ({', '.join(counts)} clusters).{warning}"
        for column, counts in by_column.items()
    ]
    return notes + [
        f"{name}: confidence intervals and standard errors assume independent examples: "
        f"{metrics['reasons']['clusters']}."
        for name, metrics in splits.items()
        if "clusters" in metrics and metrics["clusters"] is None
    ]
