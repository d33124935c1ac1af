"""Pieces of Markdown that the generators share."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; cells are Markdown on one line, with `|` escaped.

    >>> print(table(["key", "meaning"], [["`a`", "first"], ["`b`", "second"]]))
    | key | meaning |
    |---|---|
    | `a` | first |
    | `b` | second |
    """
    lines = [header, *rows]
    texts = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([texts[0], "|" + "---|" * len(header), *texts[1:]])


def escaped(text: str) -> str:
    r"""Return plain text with code in backticks as Markdown on one line, for paragraphs and cells of tables.

    >>> escaped("runs/<name>, or `a|b`")
    'runs/&lt;name>, or `a\\|b`'
    """
    pieces = re.split(r"(`[^`]*`)", " ".join(text.split()))
    plain = [piece if piece.startswith("`") else re.sub(r"([*\[\]])", r"\\\1", piece) for piece in pieces]
    texts = [piece if piece.startswith("`") else piece.replace("<", "&lt;") for piece in plain]
    return re.sub(r"(?<!\\)\|", r"\\|", "".join(texts))


def with_part(page: str, name: str, part: str) -> str:
    r"""Return a page with the text between `<!-- name -->` and `<!-- end of name -->` replaced.

    >>> with_part("<!-- x -->\nold\n<!-- end of x -->", "x", "new")
    '<!-- x -->\nnew\n<!-- end of x -->'
    """
    begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    pattern = f"(?<={re.escape(begin)}).*?(?={re.escape(end)})"
    text, count = re.subn(pattern, lambda _: part, page, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"expected one part {name!r}, found {count}")
    return text


def with_parts(page: str, parts: Mapping[str, str]) -> str:
    """Return a page with several parts replaced, each between blank lines; see `with_part`."""
    for name, part in parts.items():
        page = with_part(page, name, f"\n{part}\n")
    return page
