"""The terminal, which obeys nothing that a name or a value says."""

import re
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

# control characters but the line feed, marks that turn the direction of text, and bytes that are no text
ORDERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "soft_wrap": True}
"""How paths and messages are printed: as they are."""


class SafeConsole(Console):
    """A console that shows what would give orders to a terminal as a question mark."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable; those with which rich itself moves the cursor stay."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else strip_control_characters(text), style, control)


def strip_control_characters(text: str) -> str:
    """Text without orders to a terminal.

    >>> strip_control_characters("a\x1b[2Jb")
    'a?[2Jb'
    """
    return ORDERS.sub("?", text)


def warn(console: Console, message: str) -> None:
    """A line that the user should read, though the job goes on."""
    console.print(f"warning: {message}", **PLAIN)
