"""The tables of docs/reference/study-file.md, a page that is otherwise written by hand."""

from ctr.comparison.search_ranges import SearchRange
from ctr.comparison.study import Study
from generated_docs.markdown import DOCS, with_parts
from generated_docs.settings_tables import settings_table

PAGE = "reference/study-file.md"


def pages() -> dict[str, str]:
    """Return the page with its tables."""
    parts = {"study keys": settings_table(Study), "search range keys": settings_table(SearchRange)}
    return {PAGE: with_parts((DOCS / PAGE).read_text("utf-8"), parts)}
