"""The JSON Schemas of report.json and comparison.json."""

import json

from ctr.schema.codec import json_schema
from ctr.schema.comparison import Comparison
from ctr.schema.report import Report

SCHEMAS = {"report": Report, "comparison": Comparison}


def pages() -> dict[str, str]:
    """Return the schemas as JSON."""
    return {f"reference/{name}.schema.json": _json_text(schema) for name, schema in SCHEMAS.items()}


def _json_text(schema: object) -> str:
    return json.dumps(json_schema(schema), indent=1, ensure_ascii=False) + "\n"
