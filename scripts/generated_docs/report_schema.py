"""The reference of report.json and comparison.json, from their JSON Schemas."""

import ast
import inspect
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, TypeAlias

from ctr.metrics.frequency_bands import Band
from ctr.metrics.psi import Drift
from ctr.schema.codec import json_schema
from ctr.schema.comparison import Comparison, Verdict
from ctr.schema.levels import Level
from ctr.schema.report import Report
from generated_docs.markdown import escaped, table

PAGE = "reference/report-schema.md"
KINDS = {
    "run": "RunReport",
    "evaluation": "EvaluationReport",
    "classical": "ClassicalReport",
    "psi": "DriftReport",
}
"""Kind of a report.json -> record of its keys."""
ENUMS: dict[str, type[StrEnum]] = {cls.__name__: cls for cls in (Band, Drift, Level, Verdict)}
DESCRIPTIONS = {
    "SplitMetrics": "Metrics of a split. [Metrics](metrics.md) defines them. A metric can be absent or null.",
    "SeedResult": "A run with a report: metrics of the evaluated split, and facts of the run.",
}
"""Records whose keys come from the list of metrics -> their description."""

Schema: TypeAlias = dict[str, Any]


def pages() -> dict[str, str]:
    """Return the page."""
    report, comparison = json_schema(Report), json_schema(Comparison)
    records = {**report["$defs"], **comparison["$defs"]}
    parts = [
        "# Report schema",
        "Use this page to look up every key of `report.json` and `comparison.json`.",
        "[report.schema.json](report.schema.json) and [comparison.schema.json](comparison.schema.json) are the same as "
        "JSON Schema, for programs. A number that cannot be computed is `null`. Null is allowed only where the type "
        "says so, and a key is always present unless it is optional.",
        "## `report.json`",
        "`kind` tells whether a report describes a run, an evaluation of new data, a classical model of a "
        "comparison, or two datasets of `ctr psi`. The second column names the kinds that have a key.",
        table(["key", "kinds", "type", "meaning"], _keys_by_kind(records)),
        "## `comparison.json`",
        _keys(comparison, records),
        "## Records",
        *(_section(name, records) for name in _in_order(report, comparison, records)),
    ]
    return {PAGE: "\n\n".join(parts) + "\n"}


def _keys_by_kind(records: dict[str, Schema]) -> Iterator[list[str]]:
    """Yield the rows of all kinds of report.json; kinds with the same key, type and meaning share a row."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for kind, name in KINDS.items():
        for key, type_, meaning in _fields(records[name], records):
            if key != "`kind`":
                rows.setdefault((key, type_, meaning), []).append(kind)
    yield ["`kind`", ", ".join(KINDS), " or ".join(f'`"{kind}"`' for kind in KINDS), "What the report describes."]
    for (key, type_, meaning), kinds in rows.items():
        yield [key, ", ".join(kinds), type_, meaning]


def _in_order(report: Schema, comparison: Schema, records: dict[str, Schema]) -> list[str]:
    """Return the names of records in the order in which the tables above mention them, each before what it holds."""
    names: list[str] = []
    waiting = [*(records[name] for name in KINDS.values()), comparison]
    while waiting:
        new = [name for name in _references(waiting.pop(0)) if name not in names]
        names += dict.fromkeys(new)
        waiting += [records[name] for name in dict.fromkeys(new)]
    return names


def _references(schema: Any) -> Iterator[str]:
    """Yield the names of records that the properties of a schema refer to."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield _name(schema)
        for key, value in schema.items():
            if key != "$defs":
                yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _section(name: str, records: dict[str, Schema]) -> str:
    """Return the section of a record: its keys, or the values of an enumeration."""
    description = DESCRIPTIONS.get(name) or escaped(records[name]["description"])
    content = _values(ENUMS[name]) if name in ENUMS else _keys(records[name], records)
    return f"### {name}\n\n{description}\n\n{content}"


def _keys(record: Schema, records: dict[str, Schema]) -> str:
    return table(["key", "type", "meaning"], _fields(record, records))


def _fields(record: Schema, records: dict[str, Schema]) -> Iterator[list[str]]:
    """Yield key, type and meaning of each field of a record; a field without its own meaning has its record's."""
    for key, field in record["properties"].items():
        optional = "" if key in record["required"] else "optional "
        described = field if "description" in field or "$ref" not in field else records[_name(field)]
        yield [f"`{key}`", f"{optional}{_type(field)}", escaped(described.get("description", ""))]


def _type(field: Schema) -> str:
    """Return a type in words, with links to records."""
    if "$ref" in field:
        return f"[{_name(field)}](#{_name(field).lower()})"
    if "anyOf" in field:
        return " or ".join(map(_type, field["anyOf"]))
    if "const" in field or "enum" in field:
        values = field.get("enum", [field.get("const")])
        return " or ".join(f'`"{value}"`' if isinstance(value, str) else f"`{value}`" for value in values)
    match field.get("type"):
        case "array":
            return f"list of {_item_type(field['items'])}"
        case "object":
            values = field["additionalProperties"]
            return "object" if values is True else f"object of {_item_type(values)}"
        case None:
            return "any"
        case type_:
            return str(type_)


def _item_type(field: Schema) -> str:
    return f"({_type(field)})" if "anyOf" in field else _type(field)


def _name(field: Schema) -> str:
    return str(field["$ref"]).rpartition("/")[2]


def _values(enum: type[StrEnum]) -> str:
    """Return the values of an enumeration, with the docstrings below them if it has any."""
    meanings = dict(_member_docstrings(enum))
    if not meanings:
        return "\n".join(f"- `{member.value}`" for member in enum)
    return table(["value", "meaning"], [[f"`{member.value}`", meanings[member.name]] for member in enum])


def _member_docstrings(enum: type[StrEnum]) -> Iterator[tuple[str, str]]:
    """Yield (name, docstring) of the members of an enumeration."""
    [cls] = ast.parse(inspect.getsource(enum)).body
    assert isinstance(cls, ast.ClassDef)
    for member, docstring in zip(cls.body, cls.body[1:], strict=False):
        match member, docstring:
            case ast.Assign(targets=[ast.Name(name)]), ast.Expr(ast.Constant(str() as text)):
                yield name, escaped(text)
