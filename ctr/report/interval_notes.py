"""Sentences on what intervals take as independent: rows, or clusters of rows such as users."""

from collections.abc import Mapping

from ctr.report import formats
from ctr.schema.split_metrics import SplitMetrics

ROWS = (
    "Intervals and standard errors take rows as independent. If users have many rows, they are too narrow: "
    "name the column of users in report.group."
)
FEW = 30  # clusters of equal weight, below which intervals hold the truth less often than they say


def described(column: str, clusters: int, effective: float) -> str:
    """Return what intervals are clustered by, and whether clusters are few.

    Args:
        column: whose values the clusters are.
        clusters: their number.
        effective: how many clusters of equal weight tell as much.

    >>> described("user", 1234, 24.3)
    'clustered by user (1,234 clusters, as many as 24 of equal weight: few, so they can be too narrow)'
    """
    few = f", as many as {effective:.0f} of equal weight: few, so they can be too narrow" if effective < FEW else ""
    return f"clustered by {column} ({formats.count(clusters)} clusters{few})"


def interval_notes(sets: Mapping[str, SplitMetrics]) -> list[str]:
    """Return what the intervals of a report's sets are clustered by; nothing where no group is declared.

    Args:
        sets: the metrics of each, as in report.json.

    >>> one = {"interval_unit": "cluster", "cluster_column": "user", "clusters": 1234, "effective_clusters": 600.0}
    >>> interval_notes({"valid": one, "test": one})
    ['Intervals and standard errors are clustered by user (valid 1,234, test 1,234 clusters).']
    """
    clustered = {name: one for name, one in sets.items() if one.get("interval_unit") == "cluster"}
    by_column: dict[str, list[str]] = {}
    for name, one in clustered.items():
        by_column.setdefault(one["cluster_column"], []).append(f"{name} {formats.count(one['clusters'])}")
    few = [
        f"{name} ({one['effective_clusters']:.0f} of equal weight)"
        for name, one in clustered.items()
        if one.get("effective_clusters", FEW) < FEW
    ]
    told = f" Few in {', '.join(few)}: intervals and errors can be too narrow." if few else ""
    notes = [
        f"Intervals and standard errors are clustered by {column} ({', '.join(counts)} clusters).{told}"
        for column, counts in by_column.items()
    ]
    return notes + [
        f"{name}: intervals and standard errors take rows as independent: {one['reasons']['clusters']}."
        for name, one in sets.items()
        if "clusters" in one and one["clusters"] is None
    ]
