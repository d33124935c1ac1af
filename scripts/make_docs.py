"""Write the parts of docs/ that the code defines: the metrics of explanation/metrics.md, the schemas of reports.

    python scripts/make_docs.py

A test checks that they are as written.
"""

import json
import re
from pathlib import Path
from typing import Any

from ctr.metrics.catalog import CATALOG
from ctr.metrics.metric import Companion, Metric
from ctr.schema.codec import json_schema
from ctr.schema.comparison import Comparison
from ctr.schema.report import Report

DOCS = Path(__file__).parents[1] / "docs"


def metrics_table() -> str:
    """Return every metric and its companions as a Markdown table, in the order of the catalog."""
    lines = ["| key | metric | better | what it is |", "|---|---|---|---|"]
    for metric in CATALOG:
        lines.append(_row(metric, metric.label, metric.better))
        lines += [_row(companion, "", "") for companion in metric.companions]
    return "\n".join(lines)


def _row(one: Metric | Companion, label: str, better: str) -> str:
    return f"| `{one.key}` | {label} | {better} | {one.definition} |"


def with_part(page: str, name: str, part: str) -> str:
    """Return a page with the text between `<!-- name -->` and `<!-- end of name -->` replaced.

    >>> with_part("<!-- x -->\\nold\\n<!-- end of x -->", "x", "new")
    '<!-- x -->\\nnew\\n<!-- end of x -->'
    """
    begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    pattern = f"(?<={re.escape(begin)}).*?(?={re.escape(end)})"
    found, count = re.subn(pattern, lambda _: part, page, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"expected one part {name!r}, found {count}")
    return found


def pages() -> dict[Path, str]:
    """Return path -> text, of every file that is written here, or that has a part which is."""
    evaluation = DOCS / "explanation" / "metrics.md"
    schemas = {"report": Report, "comparison": Comparison}
    return {
        evaluation: with_part(evaluation.read_text("utf-8"), "metrics", metrics_table()),
        **{DOCS / "reference" / f"{name}.schema.json": _json(json_schema(schema)) for name, schema in schemas.items()},
    }


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(path)
