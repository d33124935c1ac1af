"""The sections of docs/reference/models.md on each model, from its docstring and signature."""

from generated_docs.markdown import DOCS, with_parts
from generated_docs.settings_tables import constructor_section
from models import MODELS

PAGE = "reference/models.md"


def pages() -> dict[str, str]:
    """Return the page with a section for each registered model."""
    sections = [constructor_section(name, model) for name, model in MODELS.items()]
    return {PAGE: with_parts((DOCS / PAGE).read_text("utf-8"), {"models": "\n\n".join(sections)})}
