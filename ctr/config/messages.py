"""Messages about mistakes in a config or in arguments."""

from collections.abc import Callable
from reprlib import Repr
from typing import Any

from pydantic import ValidationError

SHOWN, LONGEST = 8, 1000  # mistakes, and characters of each
COMPLETE = ("missing", "unknown_key", "unknown_type", "user_code")  # types of errors that name the value themselves


def _dotted_key(path: tuple[int | str, ...]) -> str:
    """Return the dotted key of a setting.

    >>> _dotted_key(("features", "columns", "age", "dim"))
    'features.columns.age.dim'
    """
    return ".".join(map(str, path))


def explain(error: ValidationError, name_of: Callable[[tuple[int | str, ...]], str] = _dotted_key) -> str:
    """Return a line for each mistake: the setting, the problem and the received value.

    Args:
        error: mistakes that pydantic reports.
        name_of: function from the path of a setting to its name for the user.
    """
    lines, errors = [], error.errors()
    for detail in errors[:SHOWN]:
        where = name_of(detail["loc"])
        is_missing = detail["type"] == "missing"
        message = "missing setting. Add it." if is_missing else detail["msg"].removeprefix("Value error, ")
        received = detail["input"]
        is_complete = detail["type"] in COMPLETE or "Received" in message or isinstance(received, dict)
        message = _with_period(message) if is_complete else f"{message.rstrip('.')}. Received: {shorten(received)}"
        lines.append(f"{where}: {message}" if where else message)
    more = [f"and {len(errors) - SHOWN} more mistakes."] if len(errors) > SHOWN else []
    return "\n".join([*map(_cut, lines), *more])


def _with_period(message: str) -> str:
    """Return a message that ends with a period, a question mark or a list of values."""
    is_ended = message.endswith((".", "?")) or "known: " in message or "Received: " in message
    return message if is_ended else f"{message}."


def shorten(value: Any) -> str:
    """Return a value for a message, cut if it is long or deep.

    >>> shorten([[[[[1]]]]])
    '[[[[[...]]]]]'
    """
    short = Repr()
    short.maxlevel, short.maxlist, short.maxdict, short.maxstring, short.maxlong = 4, 20, 20, 60, 60
    return short.repr(value)


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
