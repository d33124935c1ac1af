"""Shares of unknown ids of each feature, as the page and the summary show them."""

from ctr.schema.report import ScoredReport


def unknown_ids(report: ScoredReport) -> dict[str, dict[str, float | None]]:
    """Return the share of unknown ids by feature and split, the largest share of the main split first."""
    by_set, main = report["unknown_ids"], report["main_split"]
    names = dict.fromkeys(name for found in by_set.values() for name in found)
    shares = {name: {of: found[name]["share"] for of, found in by_set.items()} for name in names}
    return dict(sorted(shares.items(), key=lambda item: -(item[1].get(main) or 0)))
