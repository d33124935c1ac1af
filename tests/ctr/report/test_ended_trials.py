"""Trials that ended early, on the page, in Markdown, in runs.csv, in the terminal and in the plot of trials."""

import csv
import io

import pytest
from rich.console import Console

from ctr.report import comparison_plots
from ctr.report.comparison import runs_csv, show_comparison, write_comparison
from ctr.report.comparison_sentences import sentences
from ctr.report.comparison_tables import trials
from ctr.report.ended_trials import ended_sentence, ending_text
from tests.ctr.report.test_comparison import write_sealed
from tests.ctr.undrawn import undrawn

ENDING = {
    "validation": 2,
    "validations": 10,
    "epochs": 2.0,
    "last_epoch": 10.0,
    "metric": "auc",
    "value": 0.7012,
    "bound": 0.719,
    "best": 0.7411,
    "best_trial": 1,
}
TEXT = "ended after validation 2 of 10: AUC 0.70120, at most 0.71900 by extrapolation, trial 1 has 0.74110"
SENTENCE = (
    "2 of 10 trials ended early, because an earlier trial of the same variant was out of reach. They count as trials. "
    "They needed 4.5 of at most 20 epochs"
)


@pytest.fixture
def with_losers(found):
    """A comparison with a losing trial of two variants."""
    for variant, epochs in zip(found["variants"][:2], (2.0, 2.5), strict=True):
        losing = {"trial": 3, "values": {"rate": 3.0}, "auc": 0.7012, "log_loss": 0.6, "reason": None, "chosen": False}
        variant["trials"].append({**losing, "ended": {**ENDING, "epochs": epochs}})
        variant["clock"]["trial_seconds_saved"] = 45.0
    return found


def test_a_log_loss_can_reach_at_least_its_bound():
    loss = {**ENDING, "metric": "log_loss", "value": 0.69, "bound": 0.5, "best": 0.4}
    assert ending_text(ENDING) == TEXT
    assert ending_text(loss).endswith("log loss 0.69000, at least 0.50000 by extrapolation, trial 1 has 0.40000")


def test_each_losing_trial_has_its_numbers_and_the_sentence_their_sum(with_losers):
    table = trials(with_losers)
    assert [row[:3] for row in table.rows if TEXT in row] == [["ftrl", "adam", "3"], ["ftrl", "lion", "3"]]
    assert f"{SENTENCE}, which saved at most 1 min 30 s." in sentences(with_losers)


def test_nothing_is_saved_by_trials_that_trained_on_and_nothing_said_without_losers(with_losers, found):
    for variant in with_losers["variants"]:
        variant["clock"].pop("trial_seconds_saved", None)  # versions before 0.7 did not write it
    assert ended_sentence(with_losers) == f"{SENTENCE}."
    for variant in found["variants"]:
        variant["trials"] = variant["trials"][:2]
    assert ended_sentence(found) is None


@pytest.mark.medium
def test_page_markdown_terminal_and_runs_csv_say_so(with_losers, tmp_path):
    write_sealed(tmp_path, with_losers)
    with undrawn():
        write_comparison(tmp_path)
    console = Console(file=io.StringIO(), width=400)
    show_comparison(tmp_path, console)
    for text in ((tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text(), console.file.getvalue()):
        assert SENTENCE in text
    for name in ("report.html", "report.md"):
        assert (tmp_path / name).read_text().count(TEXT) == 2
    rows = [row for row in csv.DictReader(io.StringIO(runs_csv(with_losers))) if row["run"] == "trial 3"]
    assert [(row["reason"], row["valid_auc"]) for row in rows] == [(TEXT, "0.7012")] * 2


@pytest.mark.medium
def test_the_plot_of_trials_marks_them_apart_from_the_line_of_the_others(with_losers):
    plot = comparison_plots.comparison_plots(with_losers)["sensitivity-1"]
    assert "ended early" in plot
    points = comparison_plots._trial_points(with_losers["variants"][0]["trials"], "rate")
    assert points == [(0.1, 0.8)]
