"""The documents: generated pages equal their generators, links resolve, and the nav of the site has every page."""

import re
import shlex
from functools import cache

import pytest
import yaml
from generated_docs import DOCS, GENERATORS, command_line, python_api
from generated_docs.markdown import with_part
from markdown.extensions.toc import slugify, unique
from typer.main import get_command

import ctr
from ctr.cli import app

ROOT = DOCS.parent
COMMANDS = get_command(app).commands
PAGES = sorted(DOCS.rglob("*.md"))
LINK = re.compile(r"\]\(<?([^)>\s]+)>?(?: \"[^\"]*\")?\)|\b(?:href|src)=\"([^\"]+)\"|^\[[^\]]+\]: *(\S+)", re.MULTILINE)
"""Target of a Markdown link or image, of an HTML attribute, of a reference."""
FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2 *$", re.DOTALL | re.MULTILINE)


def pages_of_nav(nav):
    """Every page of a nav, in its order."""
    for entry in nav:
        if isinstance(entry, str):
            yield entry
        else:
            for below in entry.values():
                yield from pages_of_nav([below] if isinstance(below, str) else below)


NAV = list(pages_of_nav(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
"""Pages of the nav. A link can lead to one that is still to be written."""


@pytest.mark.medium
@pytest.mark.parametrize("generate", GENERATORS, ids=lambda generate: generate.__module__.rpartition(".")[2])
def test_a_generated_page_is_as_its_generator_writes_it(generate):
    for name, text in generate().items():
        assert (DOCS / name).read_text("utf-8") == text, f"docs/{name} is generated: run scripts/make_docs.py"


def test_a_part_is_in_its_page_once():
    with pytest.raises(ValueError, match="expected one part 'x', found 0"):
        with_part("no part", "x", "new")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_it_accepts(name):
    program, command, *arguments = shlex.split(command_line.EXAMPLES[name])
    assert (program, command) == ("ctr", name)
    COMMANDS[name].make_context(name, arguments)


def test_the_python_api_lacks_no_public_name(monkeypatch):
    monkeypatch.setitem(python_api.PAGES, ctr, {"Errors": ("ConfigError",)})
    with pytest.raises(ValueError, match=r"add to PAGES of generated_docs.python_api: Diverged, Experiment, Study"):
        python_api.pages()


def anchors(text):
    """The anchors that MkDocs gives to a page: of its headings, of HTML, and of objects of the Python API."""
    text = FENCE.sub("", text)
    ids = set(re.findall(r"\bid=\"([^\"]+)\"|^::: (\S+)", text, re.MULTILINE))
    found = {one for pair in ids for one in pair if one}
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        named = re.search(r"\{ *#([\w-]+) *\}$", heading)
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading)
        found.add(named[1] if named else unique(slugify(plain, "-"), found))
    return found


@cache
def anchors_of(path):
    return anchors(path.read_text("utf-8"))


def broken_links(path, text, root):
    """Links of a page that lead nowhere: each with the reason."""
    for groups in LINK.findall(re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))):
        target = next(filter(None, groups))
        if re.match(r"(?:https?|mailto):", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.is_relative_to(root):
            yield f"{target}: leaves {root.name}, which the site does not have"
        elif file != path and not file.exists():
            yield f"{target}: no such file"
        elif anchor and anchor not in (anchors(text) if file == path else anchors_of(file)):
            yield f"{target}: no such anchor"


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda path: str(path.relative_to(ROOT))
)
def test_links_resolve(path):
    root = DOCS if path.is_relative_to(DOCS) else ROOT
    assert not list(broken_links(path, path.read_text("utf-8"), root))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[a](nowhere.md)", "no such file"),
        ("![a](images/nowhere.png)", "no such file"),
        ('<img src="images/nowhere.png">', "no such file"),
        ("[a]: nowhere.md", "no such file"),
        ("[a](index.md#nowhere)", "no such anchor"),
        ("# A b\n# A b\n[a](#a-b_2)", "no such anchor"),
        ("```\n# A b\n```\n[a](#a-b)", "no such anchor"),
        ("[a](../README.md)", "leaves docs"),
    ],
)
def test_a_broken_link_is_found(text, reason):
    found = list(broken_links(DOCS / "page.md", text, DOCS))
    assert len(found) == 1
    assert reason in found[0]


@pytest.mark.parametrize(
    "text",
    [
        "[a](index.md) [b](https://example.com/x#y) `[c](nowhere.md)`\n\n```\n[d](nowhere.md)\n```",
        "# A `b` [c](index.md)\n# A `b` c\n[a](#a-b-c) [b](#a-b-c_1)",
        "## Own {#own-id}\n::: ctr.x\n[a](#own-id) [b](#ctr.x)",
    ],
)
def test_a_link_that_resolves_passes(text):
    assert not list(broken_links(DOCS / "page.md", text, DOCS))


def test_the_nav_has_every_page_once():
    pages = [str(path.relative_to(DOCS)) for path in PAGES]
    assert sorted(NAV) == sorted(pages), "add the page to the nav of mkdocs.yml, or remove it there"


def loose_lists(text):
    """Lists that MkDocs takes for a part of the paragraph above: GitHub needs no blank line, Python-Markdown does."""
    before = ""
    for line in FENCE.sub("", text).splitlines():
        item = r"\s*(?:[-*]|1\.) "  # a line of a paragraph may begin with another number
        if re.match(item, line) and re.match(r"[^\s|#<>-]", before) and not re.match(item, before):
            yield line
        before = line


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_a_list_follows_a_blank_line(path):
    assert not list(loose_lists(path.read_text("utf-8"))), "put a blank line before the first item"


def test_a_list_without_a_blank_line_is_found():
    text = "Some text:\n- one\n- two\n\n- three\n  more\n- four\n\nOn average\n8. The end."
    assert list(loose_lists(text)) == ["- one"]
