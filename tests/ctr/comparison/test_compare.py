"""Whole comparisons of the small experiment."""

import csv
import json
import shutil
import signal

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import special, stats
from sklearn.metrics import roc_auc_score

from ctr.comparison.fairness import ORDER
from ctr.comparison.pool import Failure
from ctr.errors import ConfigError, Interrupted
from ctr.metrics import Clusters, auc_difference, holm, log_loss_difference
from ctr.report.comparison import write_comparison
from features import DataError
from tests.conftest import swap_two_labels
from tests.ctr.comparison.comparisons import (
    ADAGRAD,
    SLOW,
    InThisProcess,
    compare,
    compared_anew,
    variant_named,
    write_study,
)
from tests.ctr.conftest import flip, resealed

pytestmark = pytest.mark.medium

TWO = {"sparse": {"base": {}, "adagrad": ADAGRAD}}
TUNED = {
    "rmsprop_v2": {'optimizers.sparse."*".learning_rate': {"tune": [0.03, 1]}},
    "adagrad": {
        "optimizers.sparse": {
            "*": {"type": "adagrad", "learning_rate": {"tune": [0.01, 1]}, "initial_accumulator": 0.001}
        }
    },
}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Folder, result and output of a comparison of an optimizer with itself, with another, and with a slow one."""
    folder = tmp_path_factory.mktemp("compared")
    axes = {"sparse": {"rmsprop_v2": {}, "itself": {}, "adagrad": ADAGRAD, "slow": SLOW}}
    _, found, printed = compared_anew(folder, axes=axes)
    return folder / "out", found, printed


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """Config of the small experiment, and the folder of a comparison of two variants with one seed."""
    folder = tmp_path_factory.mktemp("two")
    config, _, _ = compared_anew(folder, axes=TWO, seeds=[3])
    return config, folder / "out"


@pytest.fixture
def begun(two_runs, tmp_path, in_this_process):
    """Function that writes a study of the same two variants, and folder with a copy of their comparison."""
    config, out = two_runs
    shutil.copytree(out, tmp_path / "out")
    return lambda **values: write_study(config, **{"axes": TWO, "seeds": [3], **values}), tmp_path / "out"


def scores(folder, variant, seed):
    table = pq.read_table(folder / "runs" / variant / f"seed-{seed}" / "scores" / "test.parquet")
    return table["logit"].to_numpy(), table["label"].to_numpy()


def test_an_optimizer_beside_itself_has_no_difference(compared):
    _, found, printed = compared
    difference = variant_named(found, "itself")["difference"]
    for one in difference["metrics"].values():
        assert one["verdict"] == "identical"
        assert one["over_both"]["value"] == 0
        assert [seed["value"] for seed in one["by_seed"]] == [0, 0]
        assert one["p_adjusted"] is None
    assert difference["psi"] == 0
    assert "itself is identical to rmsprop_v2: every example has the same score." in printed


def test_metrics_are_means_over_seeds_of_those_of_the_scores(compared):
    folder, found, _ = compared
    for variant in found["variants"]:
        aucs = []
        for seed in (3, 4):
            logit, label = scores(folder, variant["name"], seed)
            aucs.append(roc_auc_score(label, logit))
        assert [one["auc"] for one in variant["seeds"]] == pytest.approx(aucs, abs=1e-12)
        mean, found_mean = variant["metrics"]["auc"], np.mean(aucs)
        assert mean["value"] == pytest.approx(found_mean, abs=1e-12)
        error = stats.sem(aucs) / (found_mean * (1 - found_mean))
        expected = special.expit(stats.t.interval(0.95, 1, special.logit(found_mean), error))
        assert (mean["low"], mean["high"]) == pytest.approx(expected, abs=1e-9)


def test_differences_are_paired_by_seed_and_by_row(compared):
    folder, found, _ = compared
    one = variant_named(found, "adagrad")["difference"]["metrics"]["auc"]
    for seed, of_seed in zip((3, 4), one["by_seed"], strict=True):
        (logit, label), (base, _) = (scores(folder, name, seed) for name in ("adagrad", "rmsprop_v2"))
        expected = auc_difference(logit, base, label)
        assert (of_seed["value"], of_seed["low"], of_seed["p_value"]) == (
            expected.value,
            expected.low,
            expected.p_value,
        )
    values = [of_seed["value"] for of_seed in one["by_seed"]]
    assert one["over_seeds"]["p_value"] == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert one["over_both"]["value"] == pytest.approx(np.mean(values))
    assert one["over_both"]["high"] > one["over_seeds"]["high"]
    assert -1 <= one["over_both"]["low"] < one["over_seeds"]["low"]


@pytest.mark.slow
def test_differences_are_clustered_by_the_group_that_the_scores_hold(config, tmp_path, in_this_process):
    settings = {"report.group": "user", "training.threads": 2, "training.epochs": 1}
    study = write_study(config, axes=TWO, settings=settings, seeds=[3])
    found, _ = compare(study, tmp_path / "out")
    difference = variant_named(found, "adagrad")["difference"]
    assert (difference["interval_unit"], difference["cluster_column"], difference["clusters"]) == ("cluster", "user", 8)
    (logit, label), (base, _) = (scores(tmp_path / "out", name, 3) for name in ("adagrad", "base"))
    saved = pq.read_table(tmp_path / "out/runs/base/seed-3/scores/test.parquet")
    assert saved.column_names == ["label", "logit", "score", "ts", "user"]  # `data.keep` names only ts
    clusters = Clusters.of(saved["user"].chunks)
    for metric, of in (("auc", auc_difference), ("log_loss", log_loss_difference)):
        expected = of(logit, base, label, None, clusters)
        one = difference["metrics"][metric]["by_seed"][0]
        assert (one["low"], one["high"], one["p_value"]) == (expected.low, expected.high, expected.p_value)
        assert difference["metrics"][metric]["over_both"]["low"] == expected.low
    assert "The CIs of differences are clustered by user (8 clusters" in (tmp_path / "out/report.md").read_text()


def test_p_values_are_corrected_for_all_comparisons(compared):
    _, found, _ = compared
    of_cells = [variant["difference"]["metrics"]["auc"] for variant in found["variants"][1:]]
    assert [one["p_adjusted"] for one in of_cells] == holm([one["over_both"]["p_value"] for one in of_cells])


def test_what_is_worse_with_each_seed_is_said_of_these_seeds_only(compared):
    _, found, printed = compared
    slow = variant_named(found, "slow")["difference"]["metrics"]["auc"]
    assert slow["verdict"] == "worse_for_tested_seeds"
    assert all(of_seed["high"] < 0 for of_seed in slow["by_seed"])
    assert "slow is worse than rmsprop_v2 in AUC and log loss (tested seeds only)." in printed
    assert "each significant (adjusted p < 0.05), but other seeds could give a different result." in printed


def test_runs_of_a_seed_begin_alike_and_see_the_same_order(compared):
    folder, found, _ = compared
    for variant in found["variants"][1:]:
        start = variant["difference"]["start"]
        assert start["equal"]
        assert {ORDER, "user", "item", "deep/deep/kernel"} <= set(start["shared"])
        assert start["differing"] == start["violations"] == []
    reports = [json.loads((path / "report.json").read_text()) for path in (folder / "runs").glob("*/seed-3")]
    for name in ("initial_weights", "data_order"):
        assert len({report["fingerprints"][name] for report in reports}) == 1
    assert len({report["fingerprints"]["final_weights"] for report in reports}) == 3  # one is a copy of another


def test_the_target_is_what_the_baseline_reaches_with_each_seed(compared):
    folder, found, _ = compared
    lines = [
        [json.loads(line) for line in (folder / "runs/rmsprop_v2" / seed / "metrics.jsonl").read_text().splitlines()]
        for seed in ("seed-3", "seed-4")
    ]
    curves = [[line for line in of_seed if line["kind"] == "valid"] for of_seed in lines]
    target = min(max(line["auc"] for line in curve) for curve in curves)
    assert found["study"]["target_auc"] == target
    reached = variant_named(found, "rmsprop_v2")["to_target"]
    steps = [next(line["step"] for line in curve if line["auc"] >= target) for curve in curves]
    assert reached == {"reached": 2, "of": 2, "steps": np.mean(steps), "rows": np.mean(steps) * 60}  # 12 steps of 720
    assert variant_named(found, "slow")["to_target"]["reached"] == 0


def test_sizes_are_those_of_the_reports(compared):
    folder, found, _ = compared
    report = json.loads((folder / "runs/adagrad/seed-3/report.json").read_text())
    variant = variant_named(found, "adagrad")
    assert variant["table_bytes"] == sum(table["weight_bytes"] for table in report["tables"])
    assert variant["state_bytes"] == sum(report["state_bytes"].values())
    assert variant["row_sparsity"] == 0


def test_the_folder_holds_what_the_documents_say(compared):
    folder, found, _ = compared
    files = ("study.yaml", "comparison.json", "checksums.json", "runs.csv", "report.html", "report.md")
    assert {path.name for path in folder.iterdir()} == {*files, "plots", "runs", "logs"}
    written = json.loads((folder / "comparison.json").read_text())
    assert {key: written[key] for key in found} == json.loads(json.dumps(found))
    with (folder / "runs.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["sparse"], row["run"]) for row in rows][:2] == [("rmsprop_v2", "seed 3"), ("rmsprop_v2", "seed 4")]
    assert len(rows) == 8
    assert float(rows[0]["test_auc"]) == found["variants"][0]["seeds"][0]["auc"]


def test_begun_again_it_trains_nothing_and_says_the_same(compared, in_this_process, tmp_path):
    before, found, _ = compared
    folder = tmp_path / "out"
    shutil.copytree(before, folder)
    axes = {"sparse": {"rmsprop_v2": {}, "itself": {}, "adagrad": ADAGRAD, "slow": SLOW}}
    again, printed = compare(write_study(before.parent / "tiny.yaml", axes=axes), folder)
    assert in_this_process == []
    assert again == found
    assert "to train" not in printed
    pages = [(one / "report.html").read_bytes() for one in (before, folder)]
    assert pages[0] == pages[1]


@pytest.mark.slow
def test_tuned_on_validation_reported_on_test_and_unjudged_while_a_trial_is_lost(
    config, tmp_path, in_this_process, monkeypatch
):
    def lose_one(self, run):
        return Failure(-9, "killed by SIGKILL") if run.label == "adagrad, trial 1" else made(self, run)

    study = write_study(config, axes={"sparse": TUNED}, tuning={"trials": 2, "seed": 8}, seeds=[3])
    with monkeypatch.context() as once:
        made = InThisProcess._failure
        once.setattr(InThisProcess, "_failure", lose_one)
        found, printed = compare(study, tmp_path / "out")
    assert in_this_process == [
        *("rmsprop_v2, trial 1", "adagrad, trial 1", "rmsprop_v2, trial 2", "adagrad, trial 2"),
        *("rmsprop_v2, seed 3", "adagrad, seed 3"),
    ]
    assert variant_named(found, "adagrad")["difference"]["metrics"]["auc"]["verdict"] == "incomplete"
    assert "adagrad: trial 1 did not finish (run the same command to retry)" in " ".join(printed.split())

    del in_this_process[:]
    found, printed = compare(study, tmp_path / "out")
    assert in_this_process[0] == "adagrad, trial 1"
    for variant in found["variants"]:
        aucs = [one["auc"] for one in variant["trials"]]
        runs = [tmp_path / "out/runs" / variant["name"] / f"trial-{k}" for k in (1, 2)]
        reports = [json.loads((run / "report.json").read_text()) for run in runs]
        assert aucs == [report["metrics"]["valid"]["auc"] for report in reports]
        assert [one["chosen"] for one in variant["trials"]] == [auc == max(aucs) for auc in aucs]
        assert variant["tuned"] == variant["trials"][int(np.argmax(aucs))]["values"]
        assert variant["lacking"] == []
        content = json.dumps(variant)
        assert not any(str(report["metrics"]["test"]["auc"]) in content for report in reports)
    assert "Only one seed was run" in printed


@pytest.mark.slow
def test_more_seeds_and_options_can_be_added_later(begun, in_this_process):
    study, out = begun
    before = json.loads((out / "comparison.json").read_text())
    axes = {"sparse": {**TWO["sparse"], "again": {}}}
    after, _ = compare(study(axes=axes, seeds=[3, 4]), out)
    assert sorted(in_this_process) == ["adagrad, seed 4", "again, seed 3", "again, seed 4", "base, seed 4"]
    assert variant_named(after, "base")["seeds"][0] == variant_named(before, "base")["seeds"][0]


@pytest.mark.slow
def test_other_settings_than_those_of_the_runs_are_refused(begun):
    study, out = begun
    longer = study(settings={"training.threads": 2, "training.epochs": 4})
    with pytest.raises(
        ConfigError, match=r"cannot reuse this run with different settings:\n  training\.epochs: 3 in the run, 4 now"
    ):
        compare(longer, out)
    found, _ = compare(longer, out, overwrite=True)
    assert {one["epochs"] for variant in found["variants"] for one in variant["seeds"]} == {4}
    assert not list(out.parent.glob(".out*"))


@pytest.mark.slow
def test_what_cannot_be_trained_is_a_row_and_the_others_stand(config, tmp_path, in_this_process, monkeypatch):
    monkeypatch.setattr("ctr.runs.machine.free_memory", lambda: 2**33)
    diverging = {"optimizers.sparse": {"*": {"type": "sgd", "learning_rate": 1e38}}, "training.early_stopping": None}
    huge = {"features.columns.user": {"hash": 10**9}}
    axes = {"sparse": {"base": {}, "diverging": diverging, "huge": huge, "adagrad": ADAGRAD}}
    found, printed = compare(write_study(config, axes=axes, seeds=[3]), tmp_path / "out")
    reasons = {variant["name"]: [one["reason"] for one in variant["failures"]] for variant in found["variants"]}
    assert reasons["base"] == reasons["adagrad"] == []
    assert "is not finite" in reasons["diverging"][0] or "nan" in reasons["diverging"][0]
    assert reasons["huge"][0].startswith("memory: the run needs at least")
    assert [
        variant_named(found, name)["difference"]["metrics"]["auc"]["verdict"] for name in ("diverging", "huge")
    ] == [
        "incomplete",
        "incomplete",
    ]
    assert variant_named(found, "adagrad")["difference"]["metrics"]["auc"]["by_seed"]
    assert "diverging, seed 3" in printed
    del in_this_process[:]
    compare(write_study(config, axes=axes, seeds=[3]), tmp_path / "out")
    assert in_this_process == ["huge, seed 3"]  # a diverged run would diverge again


@pytest.mark.slow
def test_without_the_baseline_the_others_are_told_without_differences(config, tmp_path, in_this_process):
    diverging = {"optimizers.sparse": {"*": {"type": "sgd", "learning_rate": 1e38}}}
    axes = {"sparse": {"diverging": diverging, "base": {}}}
    found, printed = compare(write_study(config, axes=axes, seeds=[3]), tmp_path / "out")
    assert variant_named(found, "base")["metrics"]["auc"]["value"] > 0.5
    assert variant_named(found, "base")["difference"]["metrics"]["auc"]["verdict"] == "incomplete"
    assert "base has the highest mean test AUC" in printed


@pytest.mark.slow
def test_if_nothing_comes_to_its_end_that_is_the_error(config, tmp_path, in_this_process):
    axes = {"rate": {f"{k}": {"optimizers.sparse": {"*": {"type": "sgd", "learning_rate": k * 1e37}}} for k in (8, 9)}}
    with pytest.raises(ConfigError, match=r"out: no variant has a finished run\. First error: step"):
        compare(write_study(config, axes=axes, seeds=[3]), tmp_path / "out")


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"axes": {"sparse": {"a": {}, "b": {"optimizers.sparse": {"usr": {"type": "sgd"}}}}}}, ConfigError, "usr"),
        ({"axes": {"a": {"training.epochs": [1, 2]}}, "settings": {"data.label": "click"}}, DataError, "'click'"),
        ({"axes": {"a": {"training.epoch": [1, 2]}}}, ConfigError, "did you mean 'epochs'"),
    ],
)
def test_a_mistake_is_found_before_anything_is_written(config, tmp_path, in_this_process, values, error, message):
    with pytest.raises(error, match=message):
        compare(write_study(config, **values), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert in_this_process == []


def test_a_limit_of_memory_below_every_run_is_found_before_anything_is_written(config, tmp_path, in_this_process):
    with pytest.raises(ConfigError, match=r"--memory: the smallest run needs .* limit for all runs is 102\.4 MiB"):
        compare(write_study(config, axes=TWO, seeds=[3]), tmp_path / "out", memory=0.1)
    assert not (tmp_path / "out").exists()
    assert in_this_process == []


@pytest.mark.parametrize("is_tuned", [True, False])
def test_data_without_the_sets_that_are_needed_is_refused(config, tmp_path, in_this_process, is_tuned):
    fractions = [0.8, 0.0, 0.2] if is_tuned else [1.0, 0.0, 0.0]
    message = "has no validation data, which selects" if is_tuned else "no validation or test data to compare on"
    tuned = {"axes": {"sparse": TUNED}, "tuning": {"trials": 2}}
    values = tuned if is_tuned else {"axes": {"a": {"training.epochs": [1, 2]}}}
    split = {"by": "time", "column": "ts", "fractions": fractions}
    study = write_study(config, settings={"data.split": split, "training.threads": 2}, **values)
    with pytest.raises(ConfigError, match=message):
        compare(study, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_what_is_to_be_replaced_stays_until_all_is_known_to_be_good(begun):
    study, out = begun
    before = sorted(path.name for path in out.rglob("*"))
    with pytest.raises(DataError):
        compare(study(settings={"data.label": "click"}), out, overwrite=True)
    assert sorted(path.name for path in out.rglob("*")) == before
    assert not list(out.parent.glob(".out*"))


def test_files_that_changed_between_the_runs_are_noticed(begun, two_runs):
    study, out = begun
    part = two_runs[0].parent / "clicks" / "part-0.parquet"
    kept = part.read_bytes()
    pq.write_table(pq.read_table(part), part, row_group_size=100)
    with pytest.raises(ConfigError, match="cannot reuse this run with different data:"):
        compare(study(seeds=[3, 4]), out)
    part.write_bytes(kept)


def test_one_other_label_between_the_runs_is_noticed(begun, two_runs):
    study, out = begun
    part = two_runs[0].parent / "clicks" / "part-0.parquet"
    kept = part.read_bytes()
    swap_two_labels(part)
    with pytest.raises(ConfigError, match=r"part-0.parquet, row group 0: column 'clicked' has different values"):
        compare(study(seeds=[3, 4]), out)
    part.write_bytes(kept)


def test_asked_to_end_it_says_how_to_go_on(config, tmp_path, in_this_process, monkeypatch):
    def end(self, runs, started, ended, waiting, needs_no_more):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(InThisProcess, "train", end)
    with pytest.raises(Interrupted, match=r"out: finished runs are kept\. Run the same command to continue\."):
        compare(write_study(config, axes=TWO), tmp_path / "out")
    assert (tmp_path / "out" / "study.yaml").exists()
    assert not (tmp_path / "out" / "comparison.json").exists()


@pytest.mark.slow
def test_rows_that_differ_by_seed_back_no_verdict_of_all_seeds(config, tmp_path, in_this_process):
    axes = {"sparse": {"base": {}, "slow": SLOW}}
    split = {"by": "random", "fractions": [0.6, 0.2, 0.2]}
    settings = {"data.split": split, "training.threads": 2, "training.epochs": 1}
    found, printed = compare(write_study(config, axes=axes, settings=settings), tmp_path / "out")
    difference = variant_named(found, "slow")["difference"]
    assert not difference["same_rows"]
    assert difference["metrics"]["auc"]["over_both"] == difference["metrics"]["auc"]["over_seeds"]
    assert difference["metrics"]["auc"]["verdict"] in ("worse_for_tested_seeds", "inconclusive")
    assert "Each seed splits the data differently" in printed


def test_a_folder_that_is_no_comparison_is_left_alone(config, tmp_path, in_this_process):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    study = write_study(config, axes={"a": {"training.epochs": [1, 2]}})
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="is not a comparison"):
            compare(study, tmp_path / "out", overwrite=overwrite)
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"


@pytest.mark.slow
def test_other_axes_say_what_their_structures_share(begun):
    study, out = begun
    axes = {"of": {"base": {}, "narrow": {"model.hidden": [4]}, "small": {"training.batch_size": 32}}}
    found, _ = compare(study(axes=axes), out)
    narrow, small = (variant_named(found, name)["difference"]["start"] for name in ("narrow", "small"))
    assert not narrow["equal"]
    assert {ORDER, "user", "item", "cross/cross_0/kernel"} <= set(narrow["shared"])
    assert "deep/deep/kernel" in narrow["differing"]
    assert small["differing"] == [ORDER]
    assert "narrow: same as the baseline: data order, " in (out / "report.md").read_text()


def test_runs_on_other_data_are_not_compared(begun):
    study, out = begun
    path = out / "runs/adagrad/seed-3/data.json"
    path.write_text(path.read_text().replace('"footer": "', '"footer": "0'))
    resealed(path.parent)
    found, printed = compare(study(), out)
    assert variant_named(found, "adagrad")["difference"]["metrics"]["auc"]["verdict"] == "not_comparable"
    assert "adagrad, seed 3: trained on different data than base, seed 3" in printed


RUN_FILES = ("report.json", "data.json", "initial_weights.json", "metrics.jsonl", "timing.jsonl", "scores/test.parquet")


@pytest.mark.parametrize("file", RUN_FILES)
def test_a_damaged_file_of_a_run_is_named(begun, file):
    study, out = begun
    run = out / "runs/adagrad/seed-3"
    flip(run / file)
    message = (
        f"{run}: damaged: {file} differs from its SHA-256 .* or delete {run}: the same `ctr compare` command trains"
    )
    with pytest.raises(ConfigError, match=message):
        compare(study(), out)


def test_a_damaged_comparison_is_named_and_made_again(begun, in_this_process):
    study, out = begun
    before = (out / "comparison.json").read_bytes()
    for file in ("comparison.json", "checksums.json"):
        flip(out / file)
        with pytest.raises(
            ConfigError, match=rf"damaged: {file} .*Run the same `ctr compare` command to write it again\."
        ):
            write_comparison(out)
        if file == "checksums.json":
            (out / file).unlink()
        compare(study(), out)
        assert in_this_process == []
        assert (out / "comparison.json").read_bytes() == before


@pytest.mark.slow
def test_a_failure_of_other_settings_is_forgotten(begun, in_this_process):
    study, out = begun
    shutil.rmtree(out / "runs/adagrad/seed-3")
    failure = {"code": 3, "reason": "step 7", "config": "another"}
    (out / "runs/adagrad/seed-3.failed.json").write_text(json.dumps(failure))
    found, _ = compare(study(), out)
    assert in_this_process == ["adagrad, seed 3"]
    assert variant_named(found, "adagrad")["failures"] == []
