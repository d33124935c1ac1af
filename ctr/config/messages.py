"""Messages about mistakes in a config or in arguments."""

from collections.abc import Callable
from reprlib import Repr
from typing import Any

from pydantic import ValidationError

SHOWN, LONGEST = 8, 1000  # mistakes, and characters of each


def _dotted(path: tuple[int | str, ...]) -> str:
    """What a config calls a setting.

    >>> _dotted(("features", "columns", "age", "dim"))
    'features.columns.age.dim'
    """
    return ".".join(map(str, path))


def explain(error: ValidationError, called: Callable[[tuple[int | str, ...]], str] = _dotted) -> str:
    """A line for each mistake: the setting, what is wrong, what was received.

    Args:
        error: what pydantic found.
        called: what the user calls a setting, of its path.
    """
    lines, errors = [], error.errors()
    for detail in errors[:SHOWN]:
        place = called(detail["loc"])
        message = detail["msg"].removeprefix("Value error, ")
        received = detail["input"]
        line = f"{place}: {message}" if place else message
        says_it = detail["type"] in ("missing", "unknown_key", "unknown_type", "user_code") or "Received" in message
        lines.append(line if says_it or isinstance(received, dict) else f"{line}. Received: {shown(received)}")
    more = [f"and {len(errors) - SHOWN} more"] if len(errors) > SHOWN else []
    return "\n".join([*map(_cut, lines), *more])


def shown(value: Any) -> str:
    """A value as a message shows it: of a long or deep one a part.

    >>> shown([[[[[1]]]]])
    '[[[[[...]]]]]'
    """
    short = Repr()
    short.maxlevel, short.maxlist, short.maxdict, short.maxstring, short.maxlong = 4, 20, 20, 200, 100
    return short.repr(value)


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
