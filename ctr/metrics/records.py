"""Declaration of the typed dictionaries of reports: all keys are known, and each has a docstring."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import ConfigDict, with_config

Record = TypeVar("Record", bound=type)

record: Callable[[Record], Record] = with_config(ConfigDict(extra="forbid", use_attribute_docstrings=True))
"""Decorator of a TypedDict: undeclared keys are errors, and the JSON Schema has the docstrings of the keys."""
