"""report.md, a report for a pull request."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ctr.metrics.psi import Drift
from ctr.report import formats, write_html
from ctr.report.markdown import escaped, run_markdown
from ctr.runs.run import Run
from ctr.schema.levels import Level
from tests.ctr.report.conftest import EVIL, NAME

pytestmark = pytest.mark.medium


class Rendered(HTMLParser):
    """The texts of each type of element."""

    def __init__(self, markdown):
        super().__init__()
        self.found, self.open = {}, []
        self.feed(MarkdownIt("commonmark").enable("table").render(markdown))

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.found.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        self.open.pop()

    def handle_data(self, data):
        for tag in self.open:
            self.found[tag][-1] += data


@pytest.fixture(scope="module")
def summary(evil):
    return Run(evil / "run").report(), (evil / "run" / "report.md").read_text(encoding="utf-8")


def test_it_holds_metrics_checks_and_the_features_that_moved(summary):
    report, markdown = summary
    found = Rendered(markdown).found
    assert found["h1"] == ["tiny <b>&$x$"]
    for name, metrics in report["metrics"].items():
        assert name in found["td"]
        assert {formats.metric(metrics[key]) for key in ("auc", "gauc", "log_loss", "calibration")} <= set(found["td"])
    said = [f"{one['level']}: {one['sentence']}" for one in report["checks"] if one["level"] != "ok"]
    fine = len(report["checks"]) - len(said)
    assert found["li"] == [*said, f"{fine} check{'s' if fine != 1 else ''} passed"]
    psi = report["psi"]["features"]["test"][NAME]["psi"]
    assert {NAME, f"{formats.psi(psi)} major"} <= set(found["td"])
    assert len(markdown.splitlines()) <= 40


def test_what_comes_from_outside_stays_text(evil):
    report = Run(evil / "run").report()
    hostile = f"{EVIL} | a`b` [x](y) \n# **c**"
    for features in report["psi"]["features"].values():
        features[hostile] = features.pop(NAME)
    report["psi"]["over_time"]["features"][hostile] = {"since": hostile}
    report["checks"].append({"check": "x", "split": "test", "level": Level.WARNING, "sentence": hostile})
    found = Rendered(run_markdown(report, hostile, is_run=True)).found
    assert set(found) <= {"h1", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "strong", "p"}
    flat = hostile.replace("\n", " ")
    assert found["h1"] == [flat]
    assert f"warning: {flat}" in found["li"]
    assert found["td"].count(flat) == 2


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Zs", "Zl", "Zp", "Cc"]), min_size=1))
def test_any_text_is_shown_as_it_is_in_a_table(text):
    table = f"| a | b |\n| :-- | --: |\n| {escaped(text)} | end |\n"
    shown = "".join(character if character.isprintable() else " " for character in text).strip()
    assert Rendered(table).found["td"] == [shown, "end"]


def test_however_much_has_moved_it_stays_short(summary):
    report, _ = summary
    one = report["psi"]["features"]["test"][NAME]
    many = {f"feature {k}": one for k in range(100)}
    sentences = [{"check": "x", "split": "test", "level": Level.NOTE, "sentence": "something"}] * 100
    psi = {**report["psi"], "features": {"test": many}, "over_time": None}
    markdown = run_markdown({**report, "psi": psi, "checks": sentences}, "many", is_run=True)
    assert len(markdown.splitlines()) <= 40
    assert "- and 88 more" in markdown
    assert "90 more have drifted." in markdown


def test_nothing_that_moved_is_said(summary):
    report, _ = summary
    stable = {name: {"psi": 0.01, "drift": Drift.STABLE} for name in ("a", "b")}
    psi = {**report["psi"], "features": {"test": stable}, "over_time": None}
    assert "No feature has drifted." in run_markdown({**report, "psi": psi}, "calm", is_run=True)
    unknown = {"psi": 0.3, "drift": Drift.TOO_LITTLE_DATA}
    psi["features"] = {"test": {**stable, "c": unknown}}
    assert "No other feature has drifted. 1 feature with" in run_markdown({**report, "psi": psi}, "small", is_run=True)
    psi["features"] = {"test": {"c": unknown}}
    tiny = run_markdown({**report, "psi": psi, "checks": []}, "tiny", is_run=True)
    assert "1 feature with too little data." in tiny
    assert "has drifted" not in tiny


def test_an_evaluation_is_named_by_its_set(evil):
    write_html(evil / "evaluation")
    assert Rendered((evil / "evaluation" / "report.md").read_text()).found["h1"] == ["tiny <b>&$x$: labels $0$ <i>"]
