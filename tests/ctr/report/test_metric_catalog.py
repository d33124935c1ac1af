"""A metric is one entry of the catalog, and every display of metrics includes it."""

import csv
import io
from types import SimpleNamespace

import numpy as np
import pytest
from generated_docs.metrics import metrics_table
from rich.console import Console

import ctr
from ctr.comparison import build_comparison
from ctr.metrics import BinaryMetrics
from ctr.metrics.catalog import CATALOG
from ctr.metrics.metric import Better, Companion, Metric, Place, Question
from ctr.report import comparison_tables, print_report
from ctr.report.comparison import runs_csv
from ctr.report.side_by_side import side_by_side
from ctr.runs.run import Run
from tests.ctr.report.pages import page_of

pytestmark = pytest.mark.medium


def weighted_accuracy(counts, threshold):
    """Return the fraction of rows on the right side of the threshold."""
    above = counts.probability >= threshold
    hits = counts.positives[above].sum() + counts.negatives[~above].sum()
    return float(hits / (counts.positives.sum() + counts.negatives.sum()))


TOY = Metric(
    key="toy",
    label="toy accuracy",
    meaning="how often a toy is right",
    definition="share of rows on the right side of `report.threshold`",
    better=Better.HIGHER,
    question=Question.DECISIONS,
    compute=weighted_accuracy,
    places=frozenset(Place),
    format=".3f",
    companions=(Companion("toy_interval", "an interval of `toy`", lambda counts, threshold: [0.25, 0.75]),),
    interval="toy_interval",
)


@pytest.fixture(scope="module")
def toy(evil):
    """Return an evaluation whose report and catalog have one more metric."""
    CATALOG.append(TOY)
    ctr.evaluate(evil / "run", str(next((evil / "data").iterdir())), evil / "toy")
    yield Run(evil / "toy")
    CATALOG.remove(TOY)


@pytest.fixture
def value(toy):
    [metrics] = toy.report()["metrics"].values()
    return metrics["toy"]


@pytest.mark.medium
def test_it_is_computed_from_the_counts(toy, value):
    random = np.random.default_rng(0)
    logit, label = random.normal(size=500).astype(np.float32), random.random(500) < 0.3
    state = BinaryMetrics()
    state.add(logit, label)
    found = state.result(threshold=0.6)
    assert found["toy"] == np.mean((1 / (1 + np.exp(-logit.astype(np.float64))) >= 0.6) == label)
    assert found["toy_interval"] == [0.25, 0.75]
    assert 0 < value < 1


def test_the_page_has_a_line_for_it(toy, value):
    texts = page_of(toy.folder).texts
    assert texts[texts.index("toy accuracy") :][:3] == ["toy accuracy", f"{value:.3f}", "how often a toy is right"]


def test_report_md_has_a_column_for_it(toy, value):
    header, _, line = [line for line in (toy.folder / "report.md").read_text().splitlines() if line[:1] == "|"][:3]
    assert header.endswith("| toy accuracy | 95% CI | score PSI |")
    assert f"| {value:.3f} | 0.2500 to 0.7500 |" in line


def test_the_terminal_has_a_column_for_it(toy, value):
    out = io.StringIO()
    print_report(toy.report(), Console(file=out, width=200))
    lines = out.getvalue().splitlines()
    assert "toy" in lines[0]
    assert "accuracy" in lines[1]
    assert f" {value:.3f}±0.2 " in lines[2]


def test_runs_side_by_side_have_a_column_for_it(toy, value):
    [table] = [one for one in side_by_side([toy, toy]) if one.header[:2] == ["run", "examples"]]
    assert table.header[-3:] == ["toy accuracy", "95% CI", "score PSI"]
    assert table.rows[0][-3:-1] == [f"{value:.3f}", "0.2500 to 0.7500"]


def test_a_comparison_has_its_mean_over_seeds(toy, found):
    results = [SimpleNamespace(metrics={"toy": one}) for one in (0.5, 0.6)]
    for cell in found["variants"]:
        cell["metrics"]["toy"] = build_comparison._over_seeds(results, TOY)
        cell["seeds"][0]["toy"] = 0.5
    table = comparison_tables.metrics(found)
    assert table.header[-3:] == ["toy accuracy", "95% CI", "score PSI"]
    mean, interval, _ = table.rows[0][-3:]
    half = 12.7062 * np.std([0.5, 0.6], ddof=1) / 2**0.5  # Student's t with one degree of freedom
    assert mean == "0.550"
    assert [float(end) for end in interval.split(" to ")] == pytest.approx([0.55 - half, 0.55 + half], abs=1e-4)
    assert [row["test_toy"] for row in csv.DictReader(io.StringIO(runs_csv(found)))][2:4] == ["0.5", ""]


def test_the_documentation_has_a_line_for_it(toy):
    lines = metrics_table().splitlines()
    assert "| `toy` | toy accuracy | higher | share of rows on the right side of `report.threshold` |" in lines
    assert "| `toy_interval` |  |  | an interval of `toy` |" in lines
