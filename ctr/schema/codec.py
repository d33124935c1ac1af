"""Read report.json and comparison.json, of this version or an earlier one, and describe them as JSON Schema."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from ctr.errors import ConfigError
from ctr.schema import earlier
from ctr.schema.comparison import Comparison
from ctr.schema.report import VERSION, Report

Values: TypeAlias = dict[str, Any]


@cache
def adapter_of(schema: Any) -> TypeAdapter[Any]:
    """Return the adapter that validates and describes values of a schema, `Report` or `Comparison`."""
    return TypeAdapter(schema)


class _Generator(GenerateJsonSchema):
    """JSON Schema without titles that repeat the keys, and with the docstrings of inherited fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def typed_dict_schema(self, schema: Any) -> Values:
        json_schema = super().typed_dict_schema(schema)
        for base in getattr(schema["cls"], "__orig_bases__", ()):
            if hasattr(base, "__annotations__"):
                inherited = adapter_of(base).json_schema(schema_generator=_Generator)["properties"]
                for key, field in inherited.items():
                    if "description" in field:
                        json_schema["properties"][key]["description"] = field["description"]
        return json_schema


def json_schema(schema: Any) -> Values:
    """Return the JSON Schema of `Report` or `Comparison`."""
    return {"$schema": _Generator.schema_dialect, **adapter_of(schema).json_schema(schema_generator=_Generator)}


def kind_of(values: Values) -> str | None:
    """Return the `kind` of the values of a report.json, such as `run`, unchecked; None for other values."""
    if values.get("version") is None:
        try:
            values = earlier.report_of_0_4(values)
        except earlier.UNREADABLE:
            return None
    return values.get("kind")


def read_report(path: Path, values: Values) -> Report:
    """Return a validated report.

    Args:
        path: path of the file, for errors.
        values: values of the file.

    Raises:
        ConfigError: the values are not a report, or are from an unknown version.
    """
    return _read(path, values, Report, earlier.report_of_0_4, "Train or evaluate again.")


def read_comparison(path: Path, values: Values) -> Comparison:
    """Return a validated comparison, like `read_report`."""
    advice = "Run `ctr compare` again; finished runs are kept."
    return _read(path, values, Comparison, earlier.comparison_of_0_4, advice)


def _read(path: Path, values: Values, schema: Any, translate: Callable[[Values], Values], advice: str) -> Any:
    version = values.get("version")
    if version is None:
        try:
            values = translate(values)
        except earlier.UNREADABLE as error:
            lacks = f": it lacks {error}" if isinstance(error, KeyError) else ""
            raise ConfigError(f"{path}: damaged, or older than version 0.4{lacks}. {advice}") from error
    elif isinstance(version, bool) or version != VERSION:
        is_newer = isinstance(version, int) and version > VERSION
        what_to_do = "Install a newer version of ctr." if is_newer else advice
        raise ConfigError(f"{path}: unknown version {version!r}, expected {VERSION}. {what_to_do}")
    try:
        return adapter_of(schema).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}." for part in first["loc"]).removesuffix(".")
        raise ConfigError(f"{path}: damaged: {f'{where}: ' if where else ''}{first['msg']}. {advice}") from error
