"""report.html is a single self-contained file that escapes all text from outside, for every kind of run."""

import json
import shutil
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.errors import ConfigError
from ctr.metrics.catalog import CATALOG
from ctr.report import formats, render_html, write_html
from ctr.report.drift import feature_drift
from ctr.report.history import History
from ctr.report.plots import learning_plots
from ctr.runs.files import read_json, write_json
from ctr.runs.run import Run
from tests.ctr.conftest import resealed
from tests.ctr.report.conftest import EVIL, NAME
from tests.ctr.report.pages import Page, assert_self_contained, assert_sortable, page_of
from tests.ctr.undrawn import undrawn

pytestmark = pytest.mark.medium

SECTIONS = ["verdicts", "checks", "metrics", "learning", "scores", "drift", "over-time", "slices", "unknown-ids"]
SECTIONS += ["worst-rows", "model", "origin"]


def test_a_run_has_every_section_in_one_harmless_file(evil):
    page = page_of(evil / "run")
    assert_self_contained(page)
    assert page.sections == SECTIONS
    assert EVIL in page.texts  # the label of a bin
    assert NAME in page.texts  # a feature, a table
    assert "tiny <b>&$x$" in page.texts
    assert any(text.endswith("cli\"cks' & $x$ <i>.parquet") for text in page.texts)
    assert " ".join((evil / "run" / "config.yaml").read_text().split()) in page.texts


def test_an_evaluation_has_its_own_page(evil):
    page = page_of(evil / "evaluation")
    assert_self_contained(page)
    assert page.sections == [section for section in SECTIONS if section != "learning"]
    assert "labels $0$ <i>" in page.texts
    assert "the labels are of one class only" in page.texts
    assert "positives" not in page.texts  # a class without examples is not plotted
    curves = read_json(evil / "evaluation" / "curves.json")
    assert curves["roc"] == {}
    assert curves["run"] == "tiny <b>&$x$"
    run_curves = read_json(evil / "run" / "curves.json")
    assert curves["score_distribution"]["edges"] == run_curves["score_distribution"]["edges"]


def test_data_without_labels_has_what_needs_none(evil):
    page = page_of(evil / "scored")
    assert_self_contained(page)
    assert page.sections == [
        "verdicts",
        "checks",
        "metrics",
        "drift",
        "over-time",
        "unknown-ids",
        "model",
        "origin",
    ]
    assert "the data has no label" in page.texts


def test_numbers_are_those_of_report_json(evil):
    report, texts = read_json(evil / "run" / "report.json"), page_of(evil / "run").texts
    keys = [metric.key for metric in CATALOG]
    for metrics in report["metrics"].values():
        assert {formats.metric(metrics[key]) for key in keys} <= set(texts)
        assert formats.interval(metrics["auc_interval"]) in texts
        assert f"at score {metrics['ks_threshold']:.3g}" in texts
    shown = [
        *report["psi"]["score"].values(),
        *(one for features in report["psi"]["features"].values() for one in features.values()),
    ]
    for one in shown:
        assert {formats.psi(one["psi"]), formats.psi(one["psi_corrected"]), formats.p_value(one["p_value"])} <= set(
            texts
        )
    for slices in report["slices"]["test"].values():
        assert {formats.metric(one["log_loss"]) for one in slices} <= set(texts)


def test_every_check_is_a_sentence_warnings_first_and_what_is_well_is_folded(evil):
    checks, page = read_json(evil / "run" / "report.json")["checks"], page_of(evil / "run")
    places = [page.texts.index(one["sentence"]) for one in checks]
    assert places == sorted(places)
    fine = [place for place, one in zip(places, checks, strict=True) if one["level"] == "ok"]
    folded = page.texts.index(f"{len(fine)} check{'s' if len(fine) != 1 else ''} passed")
    assert [place for place in places if place > folded] == fine


def test_the_list_of_features_is_sorted_by_any_column_without_scripts(evil):
    assert_sortable(page_of(evil / "run"), ["drift", "name", "split0", "split1"])
    assert_sortable(page_of(evil / "evaluation"), ["drift", "name", "split0"])


def test_worst_rows_show_their_values_as_text(evil):
    worst = read_json(evil / "run" / "curves.json")["worst_rows"]["test"]
    page = page_of(evil / "run")
    assert EVIL in {row["values"][NAME] for row in worst}
    assert {formats.psi(row["log_loss"]) for row in worst} <= set(page.texts)


def test_curves_agree_with_the_report_and_the_saved_scores(evil):
    report, curves = Run(evil / "run").report(), read_json(evil / "run" / "curves.json")
    scores = pq.read_table(evil / "run" / "scores" / "test.parquet").to_pandas()
    bins = curves["bins"]["features"][NAME]
    shares = scores[NAME].value_counts(normalize=True)
    found = dict(zip(bins["labels"], bins["sets"]["test"], strict=True))
    assert found[EVIL] == pytest.approx(shares[EVIL], abs=1e-6)
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)
    assert set(curves["roc"]) == {"train", "valid", "test"}
    worst = feature_drift(report, curves)[0]
    assert (worst.name, worst.level) == (NAME, "major")


def test_files_add_up_to_the_rows_of_each_set(evil):
    report = read_json(evil / "run" / "report.json")
    rows = {name: sum(file["rows"] for file in files) for name, files in report["files"].items()}
    assert rows == {"train": 720, "valid": 240, "test": 240}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", "evaluation"])
def test_the_same_folder_gives_the_same_bytes_in_a_fresh_process_without_tensorflow(evil, name):
    folder = evil / name
    before = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    code = "import sys; from ctr.cli import app; app(sys.argv[1:], standalone_mode=False); print(set(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-c", code, "report", str(folder)], capture_output=True, text=True, check=True
    ).stdout
    assert f"report: {folder / 'report.html'}" in shown
    assert "'tensorflow'" not in shown
    assert (folder / "report.md").exists()
    assert (folder / "report.html").read_bytes() == before


def test_several_folders_are_reported_in_turn(evil):
    pages = [evil / name / "report.html" for name in ("run", "evaluation")]
    before = [page.read_bytes() for page in pages]
    shown = CliRunner().invoke(app, ["report", str(evil / "run"), str(evil / "evaluation")])
    assert shown.exit_code == 0
    assert [page.read_bytes() for page in pages] == before
    places = [shown.stdout.index(f"report: {evil / name / 'report.html'}") for name in ("run", "evaluation")]
    assert places == sorted(places)


def test_a_file_that_is_missing_is_named(evil, tmp_path):
    shutil.copytree(evil / "run", tmp_path / "run")
    (tmp_path / "run" / "curves.json").unlink()
    shown = CliRunner().invoke(app, ["report", str(tmp_path / "run")])
    assert shown.exit_code == 2
    assert "damaged: curves.json is missing. Restore it" in shown.stderr
    assert len(shown.stderr.splitlines()) == 1


@pytest.mark.parametrize("file", ["report.json", "metrics.jsonl", "config.yaml", "environment.json"])
def test_a_damaged_file_is_named(evil, tmp_path, file):
    shutil.copytree(evil / "run", tmp_path / "run")
    (tmp_path / "run" / file).write_text("{")
    resealed(tmp_path / "run")
    with pytest.raises(ConfigError, match="damaged"):
        render_html(tmp_path / "run")


def test_a_page_that_cannot_be_written_does_not_lose_the_run(make_experiment, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr("ctr.jobs.show.write_html", fail)
    with pytest.raises(OSError, match="no space"):
        ctr.train(make_experiment("training.epochs=1"), tmp_path / "run")
    with pytest.raises(OSError, match="no space"):
        ctr.evaluate(tmp_path / "run", str(tmp_path / "clicks" / "part-0.parquet"))
    with undrawn():
        for folder in (tmp_path / "run", tmp_path / "run" / "evaluations" / "part-0"):
            assert write_html(folder).exists()


@pytest.mark.slow
def test_a_run_without_other_sets_and_tables_shows_no_empty_section(make_experiment, tmp_path):
    alone = "data.split.fractions=[1, 0, 0]"
    numbers = "features.columns={price: {type: numeric}}"
    sparse = "optimizers={dense: {type: adam}}"
    ctr.train(make_experiment("training.epochs=1", alone, numbers, sparse), tmp_path / "run")
    page = page_of(tmp_path / "run")
    assert_self_contained(page)
    assert page.sections == ["verdicts", "checks", "metrics", "scores", "model", "origin"]


def rewritten(evil, tmp_path, change):
    """Return the page of the run after `change` was applied to report.json and curves.json."""
    folder = tmp_path / "run"
    shutil.copytree(evil / "run", folder)
    report, curves = (read_json(folder / f"{name}.json") for name in ("report", "curves"))
    change(report, curves)
    write_json(folder / "report.json", report)
    write_json(folder / "curves.json", curves)
    resealed(folder)
    page = Page(render_html(folder))
    assert_self_contained(page)
    return page


def test_zero_rows_and_features_that_moved_are_named_in_the_verdicts(evil, tmp_path):
    def change(report, curves):
        report["tables"][0] |= {"rows": 1003, "all_zero_embeddings": 250, "row_sparsity": 0.25}
        report["row_sparsity"] = 0.2
        report["psi"]["features"]["valid"]["price"] |= {"psi": 0.15, "drift": "moderate", "noise": 0.01}

    with undrawn():
        text = rewritten(evil, tmp_path, change).text
    assert "Row sparsity 20.0%" in text
    assert "(25.0%)" in text
    assert "Moderate drift: price (0.1500)" in text


def test_nothing_moved_and_nothing_computed_are_said(evil, tmp_path):
    def change(report, curves):
        for features in report["psi"]["features"].values():
            for one in features.values():
                one |= {"drift": "stable", "psi": 0.0}
        nothing = {"psi": None, "psi_corrected": None, "p_value": None}
        report["psi"]["score"]["test"] = {
            **nothing,
            "drift": "too_little_data",
            "reason": "no values to compare",
        }
        metrics = report["metrics"]["test"]
        known = {"rows", "interval_unit", "clusters", "effective_clusters", "cluster_column"}
        known |= {"threshold", "gauc_groups", "gauc_rows"}
        undefined = [key for key in metrics if key not in known]
        metrics |= {
            **dict.fromkeys(undefined),
            "reasons": dict.fromkeys(undefined, "no examples with a weight above 0"),
        }
        report["deciles"]["test"] = []
        for drawn in ("roc", "precision_recall", "ks"):
            del curves[drawn]["test"]

    text = rewritten(evil, tmp_path, change).text
    assert "No feature has moderate or major drift." in text
    assert "no values to compare" in text
    metrics = len(CATALOG)
    assert text.count("no examples with a weight above 0") == 4 + metrics  # in four cards and in every cell
    assert "Deciles" not in text


def remove_checks(report, curves):
    report["checks"] = []


def remove_slices(report, curves):
    report["slices"] = {"valid": {}, "test": {}}


def remove_periods(report, curves):
    report["psi"]["over_time"] = None


def remove_unknown_ids(report, curves):
    report["unknown_ids"] = {"valid": {}, "test": {}}


def remove_worst_rows(report, curves):
    curves["worst_rows"] = {"valid": [], "test": []}


def remove_model(report, curves):
    report["tables"], report["model"]["components"] = [], []


REMOVED = {
    "checks": remove_checks,
    "slices": remove_slices,
    "over-time": remove_periods,
    "unknown-ids": remove_unknown_ids,
    "worst-rows": remove_worst_rows,
    "model": remove_model,
}


@pytest.mark.parametrize("section", REMOVED)
def test_a_section_without_anything_to_say_is_not_there(evil, tmp_path, section):
    with undrawn():
        page = rewritten(evil, tmp_path, REMOVED[section])
    assert page.sections == [name for name in SECTIONS if name != section]
    assert f"#{section}" not in page.values("href")


def test_rare_ids_and_drivers_are_shown_where_there_are_any(evil, tmp_path):
    def change(report, curves):
        whole = {key: report["metrics"]["test"][key] for key in ("auc", "log_loss", "positive_rate", "mean_score")}
        one = {
            "seen": "1_to_9",
            "rows": 120,
            **whole,
            "auc_standard_error": 0.01,
            "calibration": 1.4,
            "calibration_error": 0.05,
            "calibration_z": -7.5,
        }
        report["frequency"]["test"] = {NAME: [one]}
        explained = [0.91, -0.004, *[-0.1] * 8]
        report["psi"]["drivers"]["test"] = [
            {"feature": NAME, "score_psi": 0.2, "remaining": 0.02, "explained": share} for share in explained
        ]

    with undrawn():
        page = rewritten(evil, tmp_path, change)
    assert page.sections == [*SECTIONS[:-4], "id-frequency", *SECTIONS[-4:]]
    rare = page.texts.index("Id frequency in test")
    assert {"1 to 9", "z -7.50", "1 marked"} <= set(page.texts[rare:])
    drivers = page.texts.index("Features that explain the score drift in test")
    assert page.texts[drivers:].index("91%") < page.texts[drivers:].index("0%") < page.texts[drivers:].index("-10%")
    assert "And 2 features that explain less." in page.texts


def test_labels_of_hours_have_a_line_for_the_day_and_one_for_the_hour(evil, tmp_path):
    def change(report, curves):
        over_time = report["psi"]["over_time"]
        count = len(over_time["periods"])
        over_time |= {"by": "hour", "periods": [f"2026-01-09 {hour:02}:00" for hour in range(count)]}

    with undrawn():
        page = rewritten(evil, tmp_path, change)
    axes = page.of_class("labels")
    assert axes
    assert all(axis["class"] == "labels hours" for axis in axes)
    first = page.texts.index("2026-01-09")
    assert page.texts[first : first + 4] == ["2026-01-09", "00:00", "2026-01-09", page.texts[first + 3]]
    assert ".labels.hours span { max-width: none;" in page.style


def test_periods_that_cannot_be_compared_have_a_reason(evil, tmp_path):
    def change(report, curves):
        report["psi"]["over_time"] = {
            "column": NAME,
            "by": "hour",
            **dict.fromkeys(("periods", "rows", "partial"), ()),
            "undated": 0,
            "score": None,
            "features": {},
            "reason": "more than 1,000 periods; choose longer ones",
        }

    page = rewritten(evil, tmp_path, change)
    assert "more than 1,000 periods; choose longer ones." in page.text
    assert page.of_class("strip") == []


def test_a_training_without_validation_draws_its_loss_alone():
    lines = [{"kind": "train", "epoch": k, "step": 12 * k, "rows": 720, "loss": 1 / k} for k in (1, 2, 3)]
    [plot] = learning_plots(History(lines, [], max_epochs=3, monitor="auc", is_sampled=False))
    assert "Loss (train: mean of each epoch)" in plot


HISTORIES = {
    "the first is best": ([0.6, 0.5], 1),
    "the last is best": ([0.5, 0.6], 2),
    "a tie": ([0.6, 0.6, 0.5], 1),
}


@pytest.mark.parametrize("case", HISTORIES)
def test_history_tells_which_validation_was_best(case, tmp_path):
    aucs, best = HISTORIES[case]
    lines = [
        {"kind": kind, "epoch": k + 1, "step": k + 1, "rows": 8, "loss": 1 - auc, "auc": auc}
        for k, auc in enumerate(aucs)
        for kind in ("train", "valid")
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    (tmp_path / "config.yaml").write_text(
        "{training: {epochs: 3, early_stopping: null}, data: {negative_sampling_rate: null}}"
    )
    history = History.load(Run(tmp_path))
    assert history.best["epoch"] == best
    assert history.misses == len(aucs) - best
