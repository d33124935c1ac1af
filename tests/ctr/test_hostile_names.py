"""Names and values with markup, escapes and scripts are displayed as plain text everywhere."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ctr.cli import app
from ctr.runs.files import read_json, write_json
from tests.conftest import THREADS, click_log
from tests.ctr.conftest import resealed
from tests.ctr.undrawn import undrawn


def command(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'
MARKUP, MARKDOWN, ESCAPES = "[red]x[/blink] [/]", "a|b`c`<u>*d*", "\x1b[2J\x9b31m\u202e\a"
NASTY = {SCRIPT: "user", IMAGE: "item", MARKUP: "price", MARKDOWN: "hour", f"x{ESCAPES}y": "history"}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Return hostile names of a run, a data folder, features and columns, and hostile values."""
    folder = tmp_path_factory.mktemp("hostile")
    rows = click_log(600)
    values = pa.array([list(NASTY)[k % 5] for k in range(600)])
    rows = rows.set_column(rows.schema.get_field_index("item"), "item", values)
    data = folder / "clicks \x1b7\u202e\a `x` <u>"  # without brackets, which would be a glob
    data.mkdir()
    pq.write_table(rows.rename_columns({"user": SCRIPT, "item": IMAGE, "price": MARKUP}), data / "rows.parquet")
    columns = {
        SCRIPT: {"dim": 4},
        IMAGE: {"dim": 4},
        MARKUP: {"type": "numeric"},
        MARKDOWN: {"column": "ts", "part": "hour", "dim": 4},
        f"x{ESCAPES}y": {"column": "history", "type": "sequence", "dim": 4, "max_length": 3},
    }
    config = {
        "name": f"{IMAGE.replace('/', '')}{MARKDOWN}[b]",
        "data": {
            "path": str(data),
            "split": {"by": "rows", "fractions": [0.6, 0.2, 0.2]},
            "label": "clicked",
            "keep": [IMAGE],
        },
        "features": {"columns": columns},
        "model": {"type": "dnn", "hidden": [4]},
        "training": {"epochs": 2, "batch_size": 64, "threads": THREADS, "device": "cpu"},
        "report": {"slices": [IMAGE]},
    }
    (folder / "config.yaml").write_text(json.dumps(config))
    run = folder / f"run {IMAGE}{MARKUP}".replace("/", "")
    return folder, command("train", folder / "config.yaml", "--run", run), run, data / "rows.parquet"


class Page(HTMLParser):
    """The elements of a page and their attributes, as a browser reads them."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}


def is_plain(text):
    """Return True if a terminal only prints the text."""
    return not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


def test_names_and_values_are_only_text_in_reports(hostile):
    _, trained, run, rows = hostile
    assert trained.exit_code == 0, trained.output
    assert command("evaluate", run, rows).exit_code == 0
    pages = [run / "report.html", run / "evaluations" / "rows" / "report.html"]
    for page in pages:
        found = Page(page.read_text())
        assert not found.elements & {"script", "img", "u", "iframe", "object"}
        assert not {name for name in found.attributes if name.startswith("on")}
        assert "&lt;script&gt;alert(1)" in page.read_text()
        summary = page.with_suffix(".md").read_text()
        assert not re.search(r"(?<!\\)[<`]", summary)
        assert "\x1b" not in summary + page.read_text()


def test_names_and_values_are_only_text_in_the_terminal(hostile):
    folder, trained, run, rows = hostile
    with undrawn():
        outputs = [
            trained,
            command("inspect", folder / "config.yaml", "--run", folder / "new"),
            command("evaluate", run, rows, "--out", folder / f"out{ESCAPES}"),
            command("report", run),
            command("report", run, run / "evaluations", folder),
            command("psi", rows, rows, "--out", folder / f"psi{ESCAPES}"),
            command("train", folder / "config.yaml", "--set", f"model.{ESCAPES}=1"),
            command("train", folder / f"{ESCAPES}.yaml"),
        ]
    assert [result.exit_code for result in outputs] == [0, 0, 0, 0, 2, 0, 2, 2]
    for result in outputs:
        assert is_plain(result.output), repr(result.output)
    assert "[red]x[/blink] [/]" in outputs[5].stdout


def test_a_report_of_a_stranger_is_only_text(hostile):
    """The report has values that no run would write."""
    _, _, run, _ = hostile
    copy = Path(shutil.copytree(run, run.with_name("stranger")))
    report = read_json(copy / "report.json")
    report["checks"] = [{"check": SCRIPT, "split": IMAGE, "level": "warning", "sentence": SCRIPT + MARKUP + ESCAPES}]
    report["metrics"]["test"] |= {"auc": None, "auc_interval": None, "reasons": {"auc": MARKUP + IMAGE}}
    write_json(copy / "report.json", report)
    resealed(copy)
    shown = command("report", copy)
    assert shown.exit_code == 0, shown.output
    assert is_plain(shown.output)
    assert MARKUP in shown.output
    assert not Page((copy / "report.html").read_text()).elements & {"script", "img"}
    assert not re.search(r"(?<!\\)<", (copy / "report.md").read_text())
