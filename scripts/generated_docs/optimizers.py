"""The sections of docs/reference/optimizer-arguments.md on each optimizer, from its docstring and signature."""

import inspect
import re
from collections.abc import Callable
from typing import Any

from ctr.config.optimizers import TowerOptimizer
from generated_docs.markdown import DOCS, with_parts
from generated_docs.settings_tables import as_yaml, constructor_section, documented
from optimizers import DENSE, SPARSE

PAGE = "reference/optimizer-arguments.md"


def pages() -> dict[str, str]:
    """Return the page with a section for each registered optimizer."""
    parts = {
        "sparse optimizers": "\n\n".join(constructor_section(name, make) for name, make in SPARSE.items()),
        "dense optimizers": "\n\n".join(_dense(name, make) for name, make in DENSE.items()),
    }
    linked = {name: _with_config_names(part) for name, part in parts.items()}
    return {PAGE: with_parts((DOCS / PAGE).read_text("utf-8"), linked)}


def _with_config_names(text: str) -> str:
    """Replace the names of classes and functions by links to the optimizers' config names."""
    anchors = {make.__name__: (name, name) for name, make in SPARSE.items()}
    for name, make in DENSE.items():
        anchors.setdefault(documented(make).__name__, (name, f"dense-{name}"))
    anchors = {target: link for target, link in anchors.items() if target not in (*SPARSE, *DENSE)}
    return re.sub(
        r"`(\w+)`", lambda match: "[`{}`](#{})".format(*anchors[match[1]]) if match[1] in anchors else match[0], text
    )


def _dense(name: str, make: Callable[..., Any]) -> str:
    """Return the section of a dense optimizer; one that is also sparse refers to the section above."""
    heading = f"Dense `{name}`"
    if documented(make) is not SPARSE.get(name):
        return constructor_section(name, make, *TowerOptimizer.model_fields, heading=heading)
    sparse, dense = (inspect.signature(target).parameters for target in (SPARSE[name], make))
    changes = [
        f", except that `{key}` defaults to `{as_yaml(parameter.default)}`"
        for key, parameter in dense.items()
        if parameter.default != sparse[key].default
    ]
    return f"### {heading}\n\nThe arguments of [`{name}`](#{name}){''.join(changes)}. It updates all weights."
