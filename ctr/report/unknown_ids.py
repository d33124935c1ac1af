"""Fractions of unknown ids of each feature, as the page and the summary show them."""

from ctr.schema.report import ScoredReport


def unknown_ids(report: ScoredReport) -> dict[str, dict[str, float | None]]:
    """Return the fraction of unknown ids by feature and split, the largest of the main split first."""
    by_split, main = report["unknown_ids"], report["main_split"]
    names = dict.fromkeys(name for features in by_split.values() for name in features)
    fractions = {name: {split: features[name]["share"] for split, features in by_split.items()} for name in names}
    return dict(sorted(fractions.items(), key=lambda item: -(item[1].get(main) or 0)))
