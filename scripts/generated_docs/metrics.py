"""The table of metrics, a part of a page that is otherwise written by hand."""

from ctr.metrics.catalog import CATALOG
from ctr.metrics.metric import Companion, Metric
from generated_docs.markdown import DOCS, table, with_part

PAGE = "reference/metrics.md"


def pages() -> dict[str, str]:
    """Return the page with its table."""
    return {PAGE: with_part((DOCS / PAGE).read_text("utf-8"), "metrics", metrics_table())}


def metrics_table() -> str:
    """Return every metric and its companions as a Markdown table, in the order of the catalog."""
    rows = []
    for metric in CATALOG:
        rows.append(_row(metric, metric.label, metric.better))
        rows += [_row(companion, "", "") for companion in metric.companions]
    return table(["key", "metric", "better", "what it is"], rows)


def _row(entry: Metric | Companion, label: str, better: str) -> list[str]:
    return [f"`{entry.key}`", label, better, entry.definition]
