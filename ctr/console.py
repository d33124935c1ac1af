"""Console output that is safe to print: names and values cannot send control sequences to the terminal."""

import re
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

# control characters except the line feed, marks that change the direction of text, and bytes that are not text
CONTROL_CHARACTERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "soft_wrap": True}
"""Options of `Console.print` for paths and messages: no markup, no highlighting, no line breaks."""


class SafeConsole(Console):
    """Console that prints a question mark for each control character."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of a renderable; the control segments of rich itself are unchanged."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else strip_control_characters(text), style, control)


def strip_control_characters(text: str) -> str:
    r"""Return the text with a question mark for each control character.

    >>> strip_control_characters("a\x1b[2Jb")
    'a?[2Jb'
    """
    return CONTROL_CHARACTERS.sub("?", text)


def warn(console: Console, message: str) -> None:
    """Print a warning; the command continues."""
    console.print(f"warning: {message}", **PLAIN)
