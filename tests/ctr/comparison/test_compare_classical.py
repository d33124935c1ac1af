"""Classical models on the leaderboard of the small experiment."""

import csv
import io
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from sklearn.metrics import roc_auc_score

from ctr.comparison.plan import planned_seeds
from ctr.comparison.study import list_variants
from ctr.errors import ConfigError
from ctr.jobs import classical as classical_job
from ctr.jobs.report import report as report_job
from ctr.metrics import auc_difference
from ctr.runs.run import Run
from tests.ctr.comparison.comparisons import (
    ADAGRAD,
    compare,
    compared_anew,
    variant_named,
    write_study,
)
from tests.ctr.conftest import flip

BOTH = ["logistic", "trees"]
ONE = {"sparse": {"base": {}}}
TWO = {"sparse": {"base": {}, "adagrad": ADAGRAD}}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Config, folder, result and output of a comparison of one variant with both classical models."""
    folder = tmp_path_factory.mktemp("classical")
    config, found, printed = compared_anew(folder, axes=ONE, classical_models=BOTH)
    return config, folder / "out", found, printed


@pytest.fixture
def begun(compared, tmp_path, in_this_process):
    """Function that writes a study of the same comparison, and folder with a copy of it."""
    config, out, _, _ = compared
    shutil.copytree(out, tmp_path / "out")
    return lambda **values: write_study(config, **{"axes": ONE, "classical_models": BOTH, **values}), tmp_path / "out"


def scores(folder, name, seed):
    table = pq.read_table(folder / name / f"seed-{seed}" / "scores" / "test.parquet")
    return table["logit"].to_numpy(), table["label"].to_numpy(), table


@pytest.mark.medium
def test_its_examples_are_those_of_the_runs(compared):
    _, folder, found, _ = compared
    for seed in (3, 4):
        _, label, table = scores(folder, "runs/base", seed)
        for model in BOTH:
            logit, of_model, own = scores(folder, f"classical/{model}", seed)
            np.testing.assert_array_equal(of_model, label)
            assert own.schema == table.schema
            assert own.drop_columns(["logit", "score"]).equals(table.drop_columns(["logit", "score"]))
            entry = next(one for one in variant_named(found, model)["seeds"] if one["seed"] == seed)
            assert entry["auc"] == pytest.approx(roc_auc_score(label, logit), abs=1e-12)


@pytest.mark.medium
def test_differences_are_paired_like_those_of_variants(compared):
    _, folder, found, _ = compared
    for model in BOTH:
        difference = variant_named(found, model)["difference"]
        for one in difference["metrics"]["auc"]["by_seed"]:
            (logit, label, _), (base, _, _) = (
                scores(folder, name, one["seed"]) for name in (f"classical/{model}", "runs/base")
            )
            expected = auc_difference(logit, base, label)
            assert (one["value"], one["low"], one["p_value"]) == (expected.value, expected.low, expected.p_value)
        assert difference["same_rows"]
        assert difference["lacking"] == difference["start"]["violations"] == []
        assert difference["metrics"]["auc"]["verdict"] is not None


@pytest.mark.medium
def test_it_has_no_tables_no_steps_and_no_curve(compared):
    _, _, found, _ = compared
    assert found["study"]["classical_models"] == BOTH
    for model in BOTH:
        variant = variant_named(found, model)
        assert (variant["classical_model"], variant["options"], variant["tuned"]) == (model, {}, None)
        for key in ("to_target", "row_sparsity", "table_bytes", "nonzero_table_bytes", "state_bytes"):
            assert variant[key] is None
        assert all(seed["epochs"] is seed["steps"] is seed["stopped_early"] is None for seed in variant["seeds"])
        assert [seed["fit"]["model"] for seed in variant["seeds"]] == [model, model]
        assert len(variant["clock"]["fits"]) == 2
    assert variant_named(found, "base")["classical_model"] is None
    assert "fit" not in variant_named(found, "base")["seeds"][0]


@pytest.mark.medium
def test_the_reports_show_it(compared):
    _, folder, found, printed = compared
    examples = variant_named(found, "trees")["seeds"][0]["fit"]["total_examples"]
    lines = [line.split()[0] for line in printed.splitlines() if line.startswith(("base ", "logistic ", "trees "))]
    assert sorted(lines[:3]) == ["base", "logistic", "trees"]
    assert "logistic and trees have fixed settings except one, which validation selects, and no trials." in printed
    page = (folder / "report.html").read_text()
    assert "Comparison of 1 variant and 2 classical models with 2 seeds each" in page
    assert f"all {examples:,} training examples" in page
    markdown = (folder / "report.md").read_text()
    assert "logistic: a classical model on the data of the baseline." in markdown
    rows = list(csv.DictReader(io.StringIO((folder / "runs.csv").read_text())))
    of_trees = [row for row in rows if row["sparse"] == "trees"]
    assert [row["run"] for row in of_trees] == ["seed 3", "seed 4"]
    assert [row["trained_rows"] for row in of_trees] == [str(examples)] * 2
    assert all(row["trained_steps"] == row["table_bytes"] == "" and float(row["seconds"]) > 0 for row in of_trees)


@pytest.mark.medium
def test_its_folder_has_a_report_and_runs_no_code(compared):
    _, folder, _, _ = compared
    console = Console(file=io.StringIO(), width=200)
    report_job([folder / "classical/trees/seed-3", folder / "runs/base/seed-3"], None, console)
    printed = console.file.getvalue()
    assert "test, differences from classical/trees/seed-3" in printed
    page = (folder / "classical/trees/seed-3/report.html").read_text()
    assert "Gradient-boosted trees on" in page
    assert "Config of the baseline" in page
    suffixes = {path.suffix for path in (folder / "classical").rglob("*") if path.is_file()}
    assert suffixes == {".json", ".yaml", ".parquet", ".npy", ".html", ".md"}
    environment = json.loads((folder / "classical/trees/seed-3/environment.json").read_text())
    assert "scikit-learn" in environment["packages"]
    with pytest.raises(ConfigError, match="not a run, because the fitted model is not saved"):
        Run(folder / "classical/trees/seed-3").run_report()


@pytest.mark.medium
def test_a_finished_fit_is_kept(begun, in_this_process):
    study_of, folder = begun
    before = (folder / "comparison.json").read_bytes()
    compare(study_of(), folder)
    assert in_this_process == []
    assert (folder / "comparison.json").read_bytes() == before


@pytest.mark.medium
def test_other_settings_of_the_model_keep_it_and_other_features_are_refused(begun, in_this_process):
    study_of, folder = begun
    shutil.rmtree(folder / "runs")
    compare(study_of(axes=TWO, baseline={"sparse": "adagrad"}), folder)
    assert sorted(in_this_process) == [f"{name}, seed {seed}" for name in ("adagrad", "base") for seed in (3, 4)]
    shutil.rmtree(folder / "runs")
    with pytest.raises(ConfigError, match=r"logistic/seed-3: cannot reuse this run with different settings:\n  data"):
        compare(study_of(settings={"training.threads": 2, "data.keep": ["price"]}), folder)


@pytest.mark.medium
def test_a_fit_that_was_killed_is_fitted_again(begun, in_this_process, monkeypatch):
    study_of, folder = begun
    fit = folder / "classical/trees/seed-4"
    before = {path: path.read_bytes() for path in fit.rglob("*.parquet")}
    (fit / "report.json").unlink()  # as before the last files
    (fit / "scores/test.parquet").unlink()
    compare(study_of(), folder)
    assert in_this_process == ["trees, seed 4"]
    assert {path: path.read_bytes() for path in fit.rglob("*.parquet")} == before


@pytest.mark.medium
def test_a_fit_that_fails_leaves_no_folder_and_no_verdict(begun, monkeypatch):
    study_of, folder = begun
    shutil.rmtree(folder / "classical/trees")

    def fail(*_):
        raise ConfigError("no luck")

    monkeypatch.setattr(classical_job, "fit_classical", fail)
    found, printed = compare(study_of(), folder)
    trees = variant_named(found, "trees")
    assert trees["difference"]["metrics"]["auc"]["verdict"] == "incomplete"
    assert "trees: no finished run with seed 3, 4" in printed
    assert not (folder / "classical/trees/seed-3").exists()
    assert variant_named(found, "logistic")["difference"]["metrics"]["auc"]["verdict"] != "incomplete"


@pytest.mark.medium
def test_a_damaged_fit_is_refused(begun):
    study_of, folder = begun
    flip(folder / "classical/logistic/seed-3/scores/test.parquet")
    with pytest.raises(ConfigError, match=r"damaged: scores/test\.parquet differs"):
        compare(study_of(), folder)


@pytest.mark.medium
def test_without_scikit_learn_nothing_is_trained(config, tmp_path, monkeypatch, in_this_process):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"scikit-learn is not installed\. Run `/.*/scripts/install classical`, or"):
        compare(write_study(config, axes=ONE, classical_models=["trees"]), tmp_path / "out")
    monkeypatch.setattr("ctr.classical.fit.CHECKOUT", tmp_path)
    with pytest.raises(ConfigError, match=r"Run `pip install scikit-learn`, or remove the key"):
        compare(write_study(config, axes=ONE, classical_models=["trees"]), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert in_this_process == []


def test_a_classical_model_is_planned_like_the_baseline(config, tmp_path):
    tuned = {'optimizers.sparse."*".learning_rate': {"tune": [0.03, 1]}}
    axes = {"sparse": {"base": {}, "adagrad": ADAGRAD}, "features": {"few": {}, "all": {}}}
    study = write_study(config, axes=axes, classical_models=["trees"], baseline={"features": "all"}, seeds=[3])
    variants = list_variants(study)
    assert [variant.name for variant in variants] == ["base+all", "base+few", "adagrad+few", "adagrad+all", "trees"]
    assert variants[-1].tuned_as == "base+all"
    *_, trees = planned_seeds(study, {}, variants, tmp_path)
    assert trees.folder == tmp_path / "classical" / "trees" / "seed-3"
    assert trees.experiment.name == "trees, seed 3"

    study = write_study(
        config, axes={"sparse": {"base": tuned}}, classical_models=["trees"], tuning={"trials": 2, "seed": 0}
    )
    base, trees = list_variants(study)
    assert base.depends_on(base.ranges)
    assert not trees.depends_on(base.ranges)  # so its folder does not name the trial
    assert trees.depends_on(["features.columns.user.vocabulary.min_count"])
