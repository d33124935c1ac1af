"""Generators of the pages of docs/ that the code defines, one module a page.

Each module has a function `pages`, which returns the text of its files by their path below docs/.
"""

from collections.abc import Callable

from generated_docs import (
    command_line,
    config,
    json_schemas,
    metrics,
    models,
    optimizers,
    python_api,
    report_schema,
    study_file,
)
from generated_docs.markdown import DOCS

__all__ = ["DOCS", "GENERATORS", "pages"]

GENERATORS: list[Callable[[], dict[str, str]]] = [
    metrics.pages,
    json_schemas.pages,
    config.pages,
    models.pages,
    optimizers.pages,
    study_file.pages,
    command_line.pages,
    report_schema.pages,
    python_api.pages,
]
"""Every generator; a new module is added here."""


def pages() -> dict[str, str]:
    """Return the text of every generated file by its path below docs/."""
    return {path: text for generate in GENERATORS for path, text in generate().items()}
