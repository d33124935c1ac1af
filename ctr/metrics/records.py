"""How the typed dictionaries of reports are declared: every key is known, and each has its meaning beside it."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import ConfigDict, with_config

Record = TypeVar("Record", bound=type)

record: Callable[[Record], Record] = with_config(ConfigDict(extra="forbid", use_attribute_docstrings=True))
"""Decorator of a TypedDict: reading refuses keys that it does not declare, and the JSON Schema has its docstrings."""
