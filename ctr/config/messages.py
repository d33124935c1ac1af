"""Messages about mistakes in a config or in arguments."""

import re
from collections.abc import Callable, Iterable, Mapping
from reprlib import Repr
from typing import Any, NamedTuple, TypeAlias

from pydantic import ValidationError

SHOWN, LONGEST = 8, 1000  # mistakes, and characters of each
COMPLETE = ("missing", "unknown_key", "unknown_type", "user_code")  # types of errors that name the value themselves
EXAMPLE_LENGTH = 20  # characters of a value in an example

Path: TypeAlias = tuple[int | str, ...]
"""Keys and positions from the config to a setting."""

EXPECTED = {
    "string_type": "text",
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "an integer"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    "finite_number": "a finite number",
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
    "dict_type": "a mapping",
    **dict.fromkeys(("model_type", "model_attributes_type", "dataclass_type"), "a mapping of settings"),
    "none_required": "null",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "literal_error": "{expected}",
    "enum": "{expected}",
}
"""Type of an error of pydantic -> what the value must be, with the bounds that pydantic reports."""
LENGTHS = {
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
    "string_too_short": "at least {min_length}",
    "string_too_long": "at most {max_length}",
}
"""Type of an error of pydantic -> the number of entries or characters that the value must have."""
UNION_MEMBER = re.compile(r"str|int|float|bool|none|(literal|list|tuple|dict|constrained-\w+)(\[.*\])?")
"""Name that pydantic appends to the path of a setting for each type of a union."""


class _Mistake(NamedTuple):
    path: Path
    text: str
    others: int = 0
    """Number of features with the same mistake."""


def _dotted_key(path: Path) -> str:
    """Return the dotted key of a setting.

    >>> _dotted_key(("features", "columns", "age", "dim"))
    'features.columns.age.dim'
    """
    return ".".join(map(str, path))


def explain(error: ValidationError, name_of: Callable[[Path], str] = _dotted_key) -> str:
    """Return a line for each mistake: the setting, the problem and the received value.

    A mistake that several features have gives one line, which counts them.

    Args:
        error: mistakes that pydantic reports.
        name_of: function from the path of a setting to its name for the user.
    """
    lines = []
    mistakes = _fold_features(_Mistake(detail["loc"], _text(detail)) for detail in _folded(error))
    for path, text, others in mistakes[:SHOWN]:
        where = name_of(path) + (f" and {others} other{'s' if others > 1 else ''}" if others else "")
        lines.append(f"{where}: {text}" if where else text)
    more = [f"and {len(mistakes) - SHOWN} more mistakes."] if len(mistakes) > SHOWN else []
    return "\n".join([*map(_cut, lines), *more])


def _folded(error: ValidationError) -> list[dict[str, Any]]:
    """Return the errors of pydantic, with one for all entries that a list lacks, and one for all types of a union."""
    folded: dict[Any, dict[str, Any]] = {}
    for number, error_details in enumerate(error.errors()):
        detail: dict[str, Any] = dict(error_details)
        *parents, last = detail["loc"] or ("",)
        kind: Any = number
        if detail["type"] == "missing" and isinstance(last, int):
            kind = "entries", *parents
            detail |= {"loc": tuple(parents), "type": "entries", "ctx": {"length": last + 1}}
        elif detail["type"] in EXPECTED and UNION_MEMBER.fullmatch(str(last)):
            kind = "union", *parents
            if first := folded.get(kind):
                text = (
                    f"{first['ctx']['text'] if first['type'] == 'union' else _expected(first)}, or {_expected(detail)}"
                )
                detail |= {"loc": tuple(parents), "type": "union", "ctx": {"text": text}}
        folded[kind] = detail
    return list(folded.values())


def _fold_features(mistakes: Iterable[_Mistake]) -> list[_Mistake]:
    """Return the mistakes, with one for all features that have the same: a pattern can declare hundreds."""
    folded: dict[Any, _Mistake] = {}
    for mistake in mistakes:
        is_of_feature = mistake.path[:2] == ("features", "columns") and len(mistake.path) > 2
        kind = (mistake.path[3:], mistake.text) if is_of_feature else len(folded)
        first = folded.get(kind)
        folded[kind] = mistake if first is None else first._replace(others=first.others + 1)
    return list(folded.values())


def _text(detail: Mapping[str, Any]) -> str:
    """Return what is wrong with a value, and the value."""
    type_, received, context = detail["type"], detail["input"], detail.get("ctx", {})
    if type_ == "missing":
        message = "missing setting. Add it."
    elif type_ == "entries":
        message = f"must have {context['length']} entries"
    elif type_ == "union":
        message = f"must be {context['text']}"
    elif type_ in EXPECTED:
        message = f"must be {_expected(detail)}{_example(type_, received)}"
    elif type_ in LENGTHS:
        nouns = ("character", "characters") if type_.startswith("string") else ("entry", "entries")
        length = LENGTHS[type_].format_map(context)
        message = f"must have {length} {nouns[not length.endswith(' 1')]}"
    else:
        message = detail["msg"].removeprefix("Value error, ")
    is_complete = type_ in COMPLETE or "Received" in message or (isinstance(received, dict) and type_ not in EXPECTED)
    return _with_period(message) if is_complete else f"{message.rstrip('.')}. Received: {shorten(received)}"


def _expected(detail: Mapping[str, Any]) -> str:
    """Return what a value must be."""
    return EXPECTED[detail["type"]].format_map({key: _bound(value) for key, value in detail.get("ctx", {}).items()})


def _bound(value: Any) -> Any:
    """Return a number for a message, and another value as it is.

    >>> _bound(1.0), _bound(10**6), _bound(0.1)
    ('1', '1,000,000', '0.1')
    """
    is_number = isinstance(value, int | float)
    return (f"{value:,.0f}" if value == int(value) else f"{value:g}") if is_number else value


def _example(type_: str, received: Any) -> str:
    """Return advice on how to write a value of another type, if the value itself shows how."""
    if type_ == "string_type" and isinstance(received, int | float):
        return ", in quotes"
    is_short = type(received) is int and len(str(received)) <= EXAMPLE_LENGTH
    return f", such as [{received}]" if EXPECTED[type_] == "a list" and is_short else ""


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
