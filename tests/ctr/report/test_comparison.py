"""Page, tables and files of comparisons, complete and incomplete."""

import csv
import io
import re
from contextlib import nullcontext
from xml.etree import ElementTree

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ctr.cli import app
from ctr.comparison.study import COLUMNS
from ctr.errors import ConfigError
from ctr.report.comparison import runs_csv, show_comparison, write_comparison
from ctr.report.comparison_sentences import sentences
from ctr.report.comparison_tables import best_of, ranked
from ctr.runs.checksums import rewriting
from ctr.runs.files import write_json
from ctr.schema.comparison import Verdict
from tests.ctr.report.pages import Page, assert_self_contained
from tests.ctr.report.variants import number
from tests.ctr.undrawn import undrawn

NOTHING = {"value": None, "low": None, "high": None, "p_value": None, "reason": "no seed has both"}


def write_sealed(folder, found):
    with rewriting(folder, ["comparison.json"]):
        write_json(folder / "comparison.json", found)


@pytest.fixture
def written(found, tmp_path):
    """Write a comparison, and read its page; its plots are not drawn, but in `nullcontext`."""

    def write(changed=found, plots=undrawn):
        write_sealed(tmp_path, changed)
        with plots():
            write_comparison(tmp_path)
        return Page((tmp_path / "report.html").read_text("utf-8"))

    return write


@pytest.mark.medium
def test_the_page_is_one_file_with_every_section(written):
    page = written()
    assert_self_contained(page)
    assert page.sections == [
        *("verdicts", "conclusions", "leaderboard", "cost", "plots", "metrics", "differences", "results-by-seed"),
        *("cost-to-target", "trials", "failed-runs", "fairness", "origin"),
    ]
    assert "<b>study</b>" in page.texts  # as text
    assert len([tag for tag, _ in page.elements if tag == "figure"]) == 7


@pytest.mark.medium
@pytest.mark.slow
def test_plots_are_files_that_need_no_page(written, tmp_path):
    written(plots=nullcontext)
    plots = {path.stem: path.read_text() for path in (tmp_path / "plots").iterdir()}
    assert set(plots) == {
        *("differences", "learning-by-rows", "learning-by-time", "sparsity", "cost", "map", "sensitivity-1"),
    }
    for text in plots.values():
        assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(" not in text
        assert not re.search("#1100..", text)


@pytest.mark.medium
@pytest.mark.slow
def test_the_same_comparison_gives_the_same_bytes(written, tmp_path):
    def files():
        written(plots=nullcontext)
        return {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    assert files() == files()


def test_every_run_is_a_row(found):
    rows = list(csv.DictReader(io.StringIO(runs_csv(found))))
    assert len(rows) == 4 * (2 + 2)
    assert set(rows[0]) - {"sparse", "dense", "rate"} <= COLUMNS  # which no axis can be called
    assert [row["run"] for row in rows[:4]] == ["trial 1", "trial 2", "seed 1", "seed 2"]
    assert [row["test_auc"] for row in rows[:4]] == ["", "", "0.8", "0.8"]
    assert (rows[1]["reason"], rows[1]["rate"], rows[0]["chosen"]) == ("nan", "9.0", "True")


def test_sentences_say_what_the_verdicts_back(found):
    texts = sentences(found)
    assert texts[0] == "sgd+adam has the highest mean test AUC, 0.81000, and the lowest mean log loss, 0.40000."
    evidence = "+0.01000 (95% CI +0.00700 to +0.01300, adjusted p = 0.040)."
    assert f"sgd+adam is better than ftrl+adam in AUC and log loss. ΔAUC {evidence} Δlog loss {evidence}" in texts
    evidence = "-0.01000 (95% CI -0.01300 to -0.00700, adjusted p = 0.040)."
    assert f"ftrl+lion is worse than ftrl+adam in AUC and log loss. ΔAUC {evidence} Δlog loss {evidence}" in texts
    evidence = "+0.00500 (95% CI +0.00200 to +0.00800, adjusted p = 0.040). The true difference could be as large as"
    conclusion = "sgd+lion is not significantly different from ftrl+adam in AUC or log loss."
    assert f"{conclusion} ΔAUC {evidence} 0.00800. Δlog loss {evidence} 0.00800." in texts


def test_the_largest_difference_that_a_ci_allows_is_its_end_farther_from_zero(found):
    one = found["variants"][3]["difference"]["metrics"]["auc"]
    one["over_both"] = number(-0.00112, 0.0014)
    (text,) = [text for text in sentences(found) if text.startswith("sgd+lion is not")]
    assert (
        "(95% CI -0.00252 to +0.00028, adjusted p = 0.040). The true difference could be as large as 0.00252." in text
    )


@pytest.fixture
def opposed(found):
    """A comparison whose cell with the highest AUC has by far the highest log loss."""
    best = found["variants"][2]
    best["metrics"]["log_loss"] = number(0.0256)
    for one in (found["variants"][0], found["variants"][1], found["variants"][3]):
        one["metrics"]["log_loss"] = number(0.0088)
    loss = best["difference"]["metrics"]["log_loss"]
    loss |= {"over_both": number(0.0168, 0.003), "verdict": Verdict.WORSE, "p_adjusted": 0.00001}
    return found


def test_better_in_one_metric_and_worse_in_the_other_is_said_first(opposed):
    texts = sentences(opposed)
    assert texts[:2] == [
        "sgd+adam has the highest mean test AUC, 0.81000; its mean log loss is 0.02560.",
        "sgd+lion has the lowest mean test log loss, 0.00880; its mean AUC is 0.80500.",
    ]
    assert (
        "sgd+adam is better than ftrl+adam in AUC, but is worse in log loss. ΔAUC +0.01000 (95% CI +0.00700 to "
        "+0.01300, adjusted p = 0.040). Δlog loss +0.01680 (95% CI +0.01380 to +0.01980, adjusted p < 0.0001)."
    ) in texts


@pytest.mark.medium
def test_the_first_cards_state_both_metrics(opposed, written, tmp_path):
    page = written(opposed)
    text = " ".join(page.texts)
    assert "Its mean log loss is 0.02560. sgd+lion has the lowest, 0.00880 (AUC 0.80500)." in text
    assert "1 in AUC, 0 in log loss" in text
    assert "Log loss: 2 worse, 1 inconclusive." in text
    markdown = (tmp_path / "report.md").read_text()
    assert "sgd+adam is better than ftrl+adam in AUC, but is worse in log loss." in markdown
    console = Console(file=io.StringIO(), width=200)
    show_comparison(tmp_path, console)
    assert "sgd+adam is better than ftrl+adam in AUC, but is worse in log loss." in console.file.getvalue()


def test_a_metric_with_each_seed_only_stands_beside_one_that_is_not_known(opposed):
    metrics = opposed["variants"][2]["difference"]["metrics"]
    metrics["auc"] |= {"over_both": NOTHING | {"reason": "the labels are of one class only"}, "by_seed": []}
    metrics["log_loss"]["verdict"] = Verdict.WORSE_FOR_TESTED_SEEDS
    start = "sgd+adam is not comparable with ftrl+adam in AUC, but is worse in log loss (tested seeds only)."
    (text,) = [text for text in sentences(opposed) if text.startswith(start)]
    assert text.removeprefix(start) == (
        " ΔAUC is unavailable: the labels are of one class only. Δlog loss by seed is +0.01000, +0.01000, each "
        "significant (adjusted p < 0.05), but other seeds could give a different result."
    )


def test_one_direction_in_both_metrics_is_joined_by_and(opposed):
    opposed["variants"][2]["difference"]["metrics"]["auc"]["verdict"] = Verdict.WORSE_FOR_TESTED_SEEDS
    texts = sentences(opposed)
    start = "sgd+adam is worse than ftrl+adam in AUC (tested seeds only), and is worse in log loss."
    assert any(text.startswith(start) for text in texts)


def test_a_difference_of_one_seed_has_its_limit(found):
    for one in found["variants"][1]["difference"]["metrics"].values():
        one |= {"by_seed": one["by_seed"][:1], "verdict": Verdict.WORSE_FOR_TESTED_SEEDS}
    limit = (
        "is significant with the one tested seed (adjusted p < 0.05), but other seeds could give a different result."
    )
    conclusion = "ftrl+lion is worse than ftrl+adam in AUC and log loss (tested seeds only)."
    assert f"{conclusion} ΔAUC -0.01000 {limit} Δlog loss -0.01000 {limit}" in sentences(found)


@pytest.mark.medium
def test_what_intervals_take_as_independent_is_said(found, written):
    examples = "The CIs treat examples as independent, but examples of the same user are not."
    assert f"{examples} To cluster by user, set report.group to the user column." in written().texts
    clusters = {"interval_unit": "cluster", "cluster_column": "<user>", "clusters": 900, "effective_clusters": 20.0}
    for one in found["variants"][1:]:
        one["difference"] |= clusters
    texts = written(found).texts
    few = "equivalent to 20 of equal weight: few, so intervals can be too narrow"
    assert f"The CIs of differences are clustered by <user> (900 clusters, {few})." in texts
    assert not any(text.startswith(examples) for text in texts)
    found["variants"][1]["difference"] |= {"interval_unit": "row", "no_clusters": ["seed 1: other groups"]}
    assert f"{examples} Not clustered: seed 1: other groups." in written(found).texts


def test_what_is_not_judged_wins_nothing(found):
    lost = found["variants"][2]
    lost["seeds"] = lost["seeds"][:1]
    for one in lost["difference"]["metrics"].values():
        one["verdict"] = Verdict.INCOMPLETE
    lost["lacking"] = lost["difference"]["lacking"] = ["sgd+adam: no finished run with seed 2"]
    assert best_of(found)["name"] == "sgd+lion"
    assert ranked(found)[-1] is lost
    text = "sgd+adam has no verdict, because runs are missing: sgd+adam: no finished run with seed 2."
    assert text in sentences(found)


def test_a_baseline_that_lacks_a_run_wins_nothing(found):
    found["variants"][0]["lacking"] = ["ftrl+adam: no finished run with seed 2"]
    found["variants"][0]["metrics"]["auc"] = number(0.99)
    for one in found["variants"][1:]:
        one["difference"]["lacking"] = ["ftrl+adam: no finished run with seed 2"]
        for metric in one["difference"]["metrics"].values():
            metric["verdict"] = Verdict.INCOMPLETE
    assert best_of(found)["name"] == "sgd+adam"
    assert sentences(found)[0].startswith("sgd+adam has the highest mean test AUC, 0.81000, and the lowest")


def test_one_seed_and_no_test_set_are_said(found):
    found["study"] |= {"seeds": [1], "evaluated": "valid"}
    for one in found["variants"]:
        one["seeds"] = one["seeds"][:1]
    texts = sentences(found)
    assert sum(text.startswith("Only one seed was run") for text in texts) == 1
    assert (
        "There is no test split. Metrics are from the valid split, which also selected the models that are compared."
        in texts
    )


def test_a_comparison_of_which_only_the_baseline_is_left(found, written):
    for one in found["variants"][1:]:
        one |= {"seeds": [], "metrics": dict.fromkeys(one["metrics"]), "to_target": None, "tuned": None}
        one |= dict.fromkeys(("row_sparsity", "table_bytes", "nonzero_table_bytes", "state_bytes"))
        one["clock"] = {"seconds": None, "rows_per_second": None, "seconds_to_target": None, "curves": []}
        one["lacking"] = [f"{one['name']}: every trial failed"]
        one["difference"] |= {"psi": None, "lacking": one["lacking"]}
        for metric in one["difference"]["metrics"].values():
            metric |= {"by_seed": [], "over_seeds": NOTHING, "over_both": NOTHING}
            metric |= {"p_adjusted": None, "verdict": Verdict.INCOMPLETE}
    page = written(found)
    assert_self_contained(page)
    assert "sgd+adam has no verdict, because runs are missing: sgd+adam: every trial failed." in page.texts


@pytest.mark.medium
def test_untuned_the_page_has_no_trials(found, written):
    found["study"]["tuning"] = None
    for one in found["variants"]:
        one |= {"trials": [], "failures": [], "tuned": None, "outermost": []}
    page = written(found)
    assert {"trials", "failed-runs"}.isdisjoint(page.sections)


def test_the_terminal_has_80_columns(found, tmp_path):
    write_sealed(tmp_path, found)
    console = Console(file=io.StringIO(), width=80)
    show_comparison(tmp_path, console)
    lines = console.file.getvalue().splitlines()
    row = "sgd adam 0.81000 0.40000 +0.01000 +0.0070 to +0.0130 better"
    assert row in [" ".join(line.split()) for line in lines]
    assert any(line.startswith("ftrl+lion, trial 2") for line in lines)


@pytest.mark.medium
def test_ctr_report_makes_it_again(found, tmp_path):
    write_sealed(tmp_path, found)
    result = CliRunner().invoke(app, ["report", str(tmp_path), "--out", str(tmp_path / "summary.md")])
    assert result.exit_code == 0, result.output
    assert "sgd+adam has the highest mean test AUC" in result.output
    assert (tmp_path / "summary.md").read_text() == (tmp_path / "report.md").read_text()


def test_ctr_report_writes_one_summary_of_one_comparison(found, tmp_path):
    write_sealed(tmp_path, found)
    result = CliRunner().invoke(app, ["report", str(tmp_path), "runs/x", "--out", str(tmp_path / "summary.md")])
    assert result.exit_code == 2
    assert "is a comparison. Run `ctr report` with this folder only" in result.output


@pytest.mark.parametrize("key", ["study", "variants", "environment"])
def test_a_damaged_comparison_is_told(found, tmp_path, key):
    del found[key]
    write_sealed(tmp_path, found)
    message = rf"comparison\.json: damaged: {key}: Field required. Run `ctr compare` again"
    with pytest.raises(ConfigError, match=message):
        write_comparison(tmp_path)
