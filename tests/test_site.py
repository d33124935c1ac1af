"""The built site: no warning, a page for every document, and nothing from the network."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from generated_docs import DOCS

ROOT = DOCS.parent
LOADS = {
    "audio": ["src"], "embed": ["src"], "iframe": ["src"], "image": ["href", "xlink:href"], "img": ["src", "srcset"],
    "input": ["src"], "link": ["href"], "object": ["data"], "script": ["src"], "source": ["src", "srcset"],
    "track": ["src"], "use": ["href", "xlink:href"], "video": ["src", "poster"],
}  # fmt: skip
"""Element -> attributes whose address a browser loads; hyperlinks (`a`) load nothing."""
ADDRESS = r"(?:https?:)?//\S+"


class Resources(HTMLParser):
    """Collects the addresses on other machines that a page or an SVG loads."""

    def __init__(self):
        super().__init__()
        self.external = []
        self.inside = ""

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        for name, value in attrs:
            if name in LOADS.get(tag, ()) and re.match(ADDRESS, value or ""):
                self.external.append(value)
            elif name == "style":
                self.external += external_in_css(value)

    def handle_data(self, data):
        if self.inside == "style":
            self.external += external_in_css(data)


def external_in_css(text):
    """Addresses on other machines that a style sheet loads."""
    return re.findall(rf"(?:url\(|@import\s+)[\"']?({ADDRESS})", text)


def external_in_page(text):
    """Addresses on other machines that a page or an SVG loads."""
    parser = Resources()
    parser.feed(text)
    parser.close()
    return parser.external


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


@pytest.mark.slow
def test_every_document_is_a_page(site):
    pages = {str(path.relative_to(site)) for path in site.rglob("*.html")} - {"404.html"}
    assert pages == {str(path.relative_to(DOCS).with_suffix(".html")) for path in DOCS.rglob("*.md")}


@pytest.mark.slow
def test_nothing_comes_from_the_network(site):
    files = {path: path.read_text("utf-8") for path in site.rglob("*") if path.suffix in (".html", ".svg", ".css")}
    for path, text in files.items():
        found = external_in_css(text) if path.suffix == ".css" else external_in_page(text)
        assert not found, f"{path.relative_to(site)} loads {found}"
        mermaid = path.suffix == ".html" and re.search(r'class="[^"]*\bmermaid\b', text)
        assert not mermaid, f"{path.relative_to(site)}: the theme loads Mermaid from the network: make it an SVG"


@pytest.mark.slow
def test_search_works_without_a_server(site):
    index = (site / "search" / "search_index.js").read_text("utf-8")
    assert index.startswith("var __index = {")
    assert "reference/config.html" in index
    assert 'src="assets/iframe-worker.js"' in (site / "index.html").read_text("utf-8")


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://example.com/a.js"></script>',
        '<link rel="stylesheet" href="//example.com/a.css">',
        '<img srcset="https://example.com/a.png 2x">',
        '<p style="background: url(https://example.com/a.png)">',
        '<style>@import "https://example.com/a.css";</style>',
        '<svg><use xlink:href="https://example.com/a.svg#b"/></svg>',
    ],
)
def test_an_address_on_another_machine_is_found(text):
    assert len(external_in_page(text)) == 1


def test_a_hyperlink_and_a_file_of_the_site_pass():
    text = '<a href="https://example.com">x</a><script src="a.js"></script><style>p {color: red}</style><p>//a</p>'
    assert not external_in_page(text)
    assert not external_in_css("a { background: url(a.svg) }")
