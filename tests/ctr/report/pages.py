"""Parsing of report.html as by a browser, and checks of every page."""

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Text, elements and attributes of a page; every element must be closed in order."""

    def __init__(self, html):
        super().__init__()
        self.texts, self.elements, self.attributes, self.open, self.style = [], [], [], [], ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.attributes += [(tag, name, value) for name, value in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.attributes += [(tag, name, value) for name, value in attributes]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            self.style += data
        elif data.strip():
            self.texts.append(" ".join(data.split()))

    def values(self, name):
        return [value for _, found, value in self.attributes if found == name]

    def of_class(self, name):
        """Return the attributes of every element of a class."""
        return [attributes for _, attributes in self.elements if name in (attributes.get("class") or "").split()]

    @property
    def sections(self):
        return [value for tag, name, value in self.attributes if tag == "section" and name == "id"]

    @property
    def text(self):
        return " ".join(self.texts)


def page_of(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def assert_self_contained(page):
    """Check that a page has no script, loads nothing, and has unique ids and links to existing ids."""
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & {tag for tag, _ in page.elements}
    for _, name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href"):
            assert value.startswith("#")
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page.values("content")
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    pointed = {value[1:] for value in [*page.values("href"), *page.values("xlink:href")]}
    clipped = {value.removeprefix("url(#").removesuffix(")") for value in page.values("clip-path")}
    assert pointed | clipped | set(page.values("for")) <= set(ids)


def assert_sortable(page, keys):
    """Check for a button and a style sheet rule for each order, and for a position of each row in it."""
    buttons = [a["id"] for tag, a in page.elements if tag == "input"]
    assert buttons == [f"sort-{key}" for key in keys]
    assert [a["id"] for tag, a in page.elements if tag == "input" and "checked" in a] == ["sort-drift"]
    styles = [a["style"] for a in page.of_class("distribution") if "--by-" in (a.get("style") or "")]
    for key in keys:
        assert f"#sort-{key}:checked) .sorted > .distribution {{ order: var(--by-{key}); }}" in page.style
        places = [int(re.search(rf"--by-{key}: (\d+);", style)[1]) for style in styles]
        assert sorted(places) == list(range(len(styles)))
        if key == "drift":
            assert places == sorted(places)
