"""Shares of unknown ids of each feature, as the page and the summary show them."""

from typing import Any


def unknown_ids(report: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return the share of unknown ids by feature and split, the largest share of the last split first.

    A report of an earlier version has no such shares.
    """
    by_set = report.get("unknown_ids", {})
    names = dict.fromkeys(name for found in by_set.values() for name in found)
    shares = {name: {of: found[name]["share"] for of, found in by_set.items()} for name in names}
    return dict(sorted(shares.items(), key=lambda item: -(list(item[1].values())[-1] or 0)))
