"""Rules of an error message, which `bad_inputs.py` demands of every bad input.

A message reads `<where>: <what is wrong, with the value>. <What to do>.`
"""

import re

from prose_rules import PHRASES

MAX_FIRST_LINE = 200
MAX_LOCATION_WORDS = 4
ACTIONS = frozenset(
    [
        "add",
        "allow",
        "cast",
        "check",
        "choose",
        "complete",
        "convert",
        "correct",
        "declare",
        "define",
        "delete",
        "drop",
        "filter",
        "fix",
        "free",
        "give",
        "install",
        "join",
        "leave",
        "list",
        "lower",
        "make",
        "merge",
        "name",
        "pass",
        "pick",
        "point",
        "put",
        "quote",
        "raise",
        "reduce",
        "remove",
        "rename",
        "replace",
        "restore",
        "resume",
        "run",
        "save",
        "set",
        "shorten",
        "split",
        "start",
        "train",
        "trust",
        "upgrade",
        "use",
        "wait",
        "write",
    ]
)
"""Verbs that say what to do, in the imperative."""
LIBRARIES = {"Usage: ": "typer prints mistakes in the command line itself in its own form, after the usage"}
"""Beginnings of messages that a library prints -> why they are not ours to word."""

_ACTION = re.compile(rf"(?:^|[.;:,(\n] |\n|\bor |\band |\bthen )\s*(?:{'|'.join(sorted(ACTIONS))})\b", re.IGNORECASE)
_ALLOWED = re.compile(
    r"did you mean|\bknown: |\bchoose (?:one )?of\b|\b(?:must|should) be\b|\bmust (?:have|name)\b", re.IGNORECASE
)
_ENDING = re.compile(r"[.?]$|\bReceived: .+$|\b(?:known|Use one of): \S.*$", re.IGNORECASE)


def violations(message: str) -> list[str]:
    """Return which rules an error message breaks: a name of each rule, with what breaks it.

    Args:
        message: printed message, with or without the leading word `error`.
    """
    message = re.sub(r"^error:?\s+", "", message.strip())
    if not message or any(message.startswith(opening) for opening in LIBRARIES):
        return []
    lines = message.splitlines()
    location, colon, _ = lines[0].partition(": ")
    phrases = [match[0] for rule in PHRASES if (match := rule.pattern.search(message))]
    rules = [
        (not colon or not 0 < len(location.split()) <= MAX_LOCATION_WORDS, f"location: no place in {location[:60]!r}"),
        (not _ENDING.search(lines[-1]), f"ending: {lines[-1][-40:]!r} has no period and no list of allowed values"),
        (not (_ACTION.search(message) or _ALLOWED.search(message)), "action: nothing to do and no allowed value"),
        (len(lines[0]) > MAX_FIRST_LINE, f"length: {len(lines[0])} characters in the first line"),
        (bool(phrases), f"wording: {', '.join(map(repr, phrases))}"),
    ]
    return [text for is_broken, text in rules if is_broken]
