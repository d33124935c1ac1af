"""List the prose of the project that `prose_rules.py` advises against, with what to write instead.

    python scripts/check_prose.py [--counts] [PATH ...]

Reads Markdown, page templates, comments of configs, and of Python the docstrings, comments and string literals.
"""

import argparse
import ast
import io
import re
import statistics
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prose_rules import ARGUMENT_OPENINGS, DOCSTRING_OPENINGS, HEADING_OPENINGS, PHRASES

ROOT = Path(__file__).parents[1]
SKIPPED = {"scripts/prose_rules.py", "tests/test_prose.py", "CHANGELOG.md", "LICENSE"}
"""Files without checks: the rules themselves, the record of past releases, the license."""

MAX_WORDS, MAX_MEAN_WORDS, MAX_LINES, MAX_SEMICOLONS = 30, 20, 6, 1
"""Limits of a document: words of a sentence, their mean on a page, lines of a paragraph, semicolons of a sentence."""


@dataclass(frozen=True)
class Hit:
    """A place that a rule advises against."""

    path: str
    line: int
    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text.strip()!r}: {self.advice}"


def prose_files(paths: list[str]) -> list[str]:
    """Return tracked files with prose, relative to the root; only those under `paths`, if any are given."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *paths],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    suffixes = {".py", ".md", ".html", ".yaml"}
    return sorted(
        {name for name in listed if Path(name).suffix in suffixes and name not in SKIPPED and (ROOT / name).exists()}
    )


def check_file(path: str) -> list[Hit]:
    """Return what the rules advise against in one file."""
    text = (ROOT / path).read_text()
    hits = [
        Hit(path, line, piece[max(0, match.start() - 30) : match.end() + 30].replace("\n", " "), rule.instead)
        for first, piece in _pieces(path, text)
        for rule in PHRASES
        for match in rule.pattern.finditer(piece)
        for line in [first + piece.count("\n", 0, match.start())]
    ]
    if path.endswith(".py"):
        hits += _docstring_form(path, text)
    if path.endswith(".md"):
        hits += _readability(path, text)
    return sorted(hits, key=lambda hit: hit.line)


def _pieces(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Yield (first line, prose) of a file."""
    if path.endswith(".py"):
        tree = ast.parse(text)
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
                yield node.lineno, node.value
            elif isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
                yield node.lineno, "".join(str(part) for part in parts)
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    elif path.endswith(".yaml"):
        for number, line in enumerate(text.splitlines(), 1):
            if "#" in line:
                yield number, line[line.index("#") :]
    else:
        yield 1, text


def _docstring_form(path: str, text: str) -> Iterator[Hit]:
    """Yield docstrings and entries of `Args:` that are fragments."""
    for node in ast.walk(ast.parse(text)):
        for first, docstring in _docstrings(node):
            word = docstring.split(None, 1)[0].rstrip(",.:;") if docstring.strip() else ""
            if word in DOCSTRING_OPENINGS:
                yield Hit(path, first, docstring.strip()[:60], "open with a verb (function) or a noun (class, setting)")
            for offset, opening in _argument_entries(docstring):
                if opening.split(None, 1)[0].rstrip(",.:;") in ARGUMENT_OPENINGS:
                    yield Hit(path, first + offset, opening[:60], "an argument is described by a noun phrase")


def _docstrings(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (first line, text) of the docstring of a node and of the attributes of a class or module."""
    body = getattr(node, "body", None)
    for statement in body if isinstance(body, list) else []:
        match statement:
            case ast.Expr(ast.Constant(str() as text)):
                yield statement.lineno, text


def _argument_entries(docstring: str) -> Iterator[tuple[int, str]]:
    """Yield (line offset, description) of each entry under `Args:`."""
    depth = -1  # of the heading; -1: outside of one
    for offset, line in enumerate(docstring.splitlines()):
        indent = len(line) - len(line.lstrip())
        if line.strip() in ("Args:", "Attributes:"):
            depth = indent
        elif line.strip() and indent <= depth:
            depth = -1
        elif depth >= 0 and indent == depth + 4 and (match := re.match(r"\s+\*{0,2}\w+(?: \([^)]*\))?: (\S.*)", line)):
            yield offset, match[1]


def _readability(path: str, text: str) -> Iterator[Hit]:
    """Yield long sentences and paragraphs of a document, headings that are clauses, and a high mean length."""
    lengths = []
    for line, heading in _headings(text):
        if heading.rstrip().endswith("?") or heading.split()[0] in HEADING_OPENINGS:
            yield Hit(path, line, heading, "a heading names a task or a thing")
    for line, paragraph in paragraphs(text):
        if paragraph.count("\n") + 1 > MAX_LINES:
            yield Hit(path, line, paragraph[:60], f"a paragraph has at most {MAX_LINES} lines")
        for sentence in sentences(paragraph):
            words = len(sentence.split())
            lengths.append(words)
            if words > MAX_WORDS:
                yield Hit(path, line, sentence[:80], f"{words} words: a sentence has at most {MAX_WORDS}")
            if sentence.count(";") > MAX_SEMICOLONS:
                yield Hit(path, line, sentence[:80], "a sentence has at most one semicolon")
    if lengths and (mean := statistics.mean(lengths)) > MAX_MEAN_WORDS:
        yield Hit(path, 1, f"{mean:.1f} words", f"the mean sentence of a page has at most {MAX_MEAN_WORDS}")


def _without_code(text: str) -> str:
    """Blank out front matter and fenced blocks, keeping line numbers."""
    code = r"\A---\n.*?^---$|^( *)(```|~~~).*?^\1\2 *$"
    return re.sub(code, lambda match: "\n" * match[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE)


def _headings(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(_without_code(text).splitlines(), 1):
        if match := re.match(r"#+ (.+)", line):
            yield number, match[1]


def paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Yield (first line, text) of paragraphs and list items: no code, tables, headings, images or front matter."""
    lines: list[str] = []
    first = 0
    for number, line in enumerate([*_without_code(text).splitlines(), ""], 1):
        item = re.match(r"\s*(?:[-*]|\d+\.) +", line)
        code = line.startswith("    ") and not lines and not item
        plain = not re.match(r"\s*(?:\||#|<|!\[|!!!|\?\?\?|---|===)", line)
        if lines and (not line.strip() or item or not plain):
            yield first, "\n".join(lines)
            lines = []
        if line.strip() and plain and not code:
            first = first if lines else number
            lines.append(line[item.end() :] if item else line)


def sentences(paragraph: str) -> list[str]:
    """Split a paragraph into sentences; inline code counts as one word, a link as its text."""
    text = re.sub(r"`[^`]*`", "code", " ".join(paragraph.split()))
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return [sentence for sentence in re.split(r"(?<=[.?!:])[)*_\"]*\s+(?=[A-Z*_\"(c\[])", text) if sentence.strip()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", help="files or folders; everything by default")
    parser.add_argument("--counts", action="store_true", help="counts by file instead of places")
    arguments = parser.parse_args()
    hits = [hit for path in prose_files(arguments.paths) for hit in check_file(path)]
    if arguments.counts:
        for path, count in sorted(Counter(hit.path for hit in hits).items()):
            print(f"{count:5} {path}")
    else:
        print(*hits, sep="\n")
    print(f"{len(hits)} places", file=sys.stderr)
    return 1 if hits else 0


if __name__ == "__main__":
    sys.exit(main())
