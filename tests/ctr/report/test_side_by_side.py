"""Several runs side by side: differences are only between the same rows, and equal those of the reports."""

import json
import os
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.config.experiment import load_experiment
from ctr.evaluation.paired_scores import NotPaired, SavedScores, differing_rows
from ctr.metrics import BinaryMetrics, Clusters, auc_difference
from ctr.report.side_by_side import config_of, print_side_by_side, short_names, side_by_side, to_markdown
from ctr.runs.files import read_json, write_json
from ctr.runs.run import Run
from tests.conftest import CONFIG, THREADS, click_log
from tests.ctr.conftest import resealed
from tests.ctr.report.reports import psi_of_score, run_report
from tests.ctr.undrawn import undrawn

ROWS = 400


def scored(seed, noise=0.5, rows=ROWS):
    """Return columns of a scores file: the same log for all, with different scores."""
    log, own = np.random.default_rng(0), np.random.default_rng(seed)
    signal = log.normal(-1, 1, rows)
    label = (log.random(rows) < 1 / (1 + np.exp(-signal))).astype(np.int8)
    logit = (signal + own.normal(0, noise, rows)).astype(np.float32)
    return {"label": label, "logit": logit, "ts": np.arange(rows)}


def write_run(folder, sets, rate=None, config=None, **more):
    """Write the part of a run folder that is compared: scores, their report.json, and config.yaml."""
    metrics, psi = {}, {}
    for name, columns in sets.items():
        (folder / "scores").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), folder / "scores" / f"{name}.parquet", row_group_size=150)
        weight = columns.get("weight")
        if rate is not None:
            sampling = np.where(columns["label"] == 1, 1.0, 1 / rate)
            weight = sampling if weight is None else weight.astype(np.float64) * sampling
        state = BinaryMetrics()
        state.add(columns["logit"], columns["label"], weight)
        metrics[name] = {**state.result(), **more}
        psi[name] = psi_of_score()
    rates = dict.fromkeys(metrics, rate)
    report = run_report({"train": {"rows": 9}, **metrics}, psi, rates)
    write_json(folder / "report.json", report)
    if config is not None:
        (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return Run(resealed(folder))


def tables(runs):
    """Return rows and notes, each by title."""
    sections = side_by_side(runs)
    return {one.title: one.rows for one in sections}, {one.title: one.notes for one in sections}


def load(run, name="test"):
    return SavedScores.load(run, name, run.report())


WEIGHTS = {
    "none": (None, False),
    "weights": (None, True),
    "sampled negatives": (0.1, False),
    "both": (0.03, True),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_a_difference_is_that_of_the_reports(case, tmp_path):
    rate, weighted = WEIGHTS[case]
    weight = np.random.default_rng(5).uniform(0.1, 3, ROWS).astype(np.float32)
    more = {"weight": weight} if weighted else {}
    runs = [write_run(tmp_path / name, {"test": {**scored(k), **more}}, rate) for k, name in enumerate("ab")]
    first, second = (run.report()["metrics"]["test"] for run in runs)
    auc, log_loss = load(runs[1]).differences(load(runs[0])).values()
    assert auc.value == pytest.approx(second["auc"] - first["auc"], abs=1e-12)
    assert log_loss.value == pytest.approx(second["log_loss"] - first["log_loss"], abs=1e-12)
    assert auc.low < auc.value < auc.high
    assert load(runs[0]).negative_weight == pytest.approx(1 / (rate or 1), rel=1e-12)


def grouped(folder, seed, column="user", **changes):
    """Write a run of 40 users with ten rows each, grouped by `report.group`."""
    columns = {**scored(seed), "user": np.arange(ROWS) % 40, **changes}
    return write_run(folder, {"test": columns}, **({} if column is None else {"cluster_column": column}))


def test_a_difference_is_clustered_by_the_group_of_both_runs(tmp_path):
    first, second = grouped(tmp_path / "a", 1), grouped(tmp_path / "b", 2)
    rows, notes = tables([first, second])
    assert notes["test, differences from a"] == ["b: CIs are clustered by user (40 clusters)"]
    a, b = load(first), load(second)
    clusters = Clusters((np.arange(ROWS) % 40).astype(np.int32), 40)
    expected = auc_difference(b.logit, a.logit, a.label, None, clusters)
    assert b.differences(a, b.clusters(a))["auc"] == expected
    assert rows["test, differences from a"][0][3].startswith(f"{expected.low:+.5f} to {expected.high:+.5f}")
    assert expected.low != b.differences(a)["auc"].low


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (["user", None], "report.group is not set in one run and user in the other"),
        (["user", "shop"], "report.group is shop in one run and user in the other"),
        (["shop", "shop"], "the scores are from an earlier version, without the column 'shop'"),
    ],
)
def test_a_difference_takes_rows_as_independent_unless_both_runs_hold_one_group(columns, reason, tmp_path):
    runs = [grouped(tmp_path / name, k, column) for k, (name, column) in enumerate(zip("ab", columns, strict=True))]
    rows, notes = tables(runs)
    assert notes["test, differences from a"] == [f"b: CIs assume independent examples: {reason}"]
    expected = load(runs[1]).differences(load(runs[0]))["auc"]
    assert rows["test, differences from a"][0][3].startswith(f"{expected.low:+.5f} to {expected.high:+.5f}")


def test_other_groups_are_other_rows(tmp_path):
    runs = [grouped(tmp_path / "a", 1), grouped(tmp_path / "b", 2, user=np.arange(ROWS) % 50)]
    _, notes = tables(runs)
    (note,) = notes["test, differences from a"]
    assert note.startswith("b: no difference: different examples: column 'user' differs")


def test_one_group_alone_leaves_rows_independent(tmp_path):
    _, notes = tables([grouped(tmp_path / name, k, user=np.zeros(ROWS, int)) for k, name in enumerate("ab")])
    (note,) = notes["test, differences from a"]
    assert note == "b: CIs assume independent examples: all examples have the same value of 'user'"


def test_few_groups_are_said(tmp_path):
    runs = [grouped(tmp_path / name, k, user=np.arange(ROWS) % 8) for k, name in enumerate("ab")]
    _, notes = tables(runs)
    (note,) = notes["test, differences from a"]
    assert note.endswith("by user (8 clusters, equivalent to 8 of equal weight: few, so intervals can be too narrow)")


def test_a_better_run_has_a_star_and_each_set_its_tables_in_order(tmp_path):
    names = ("valid", "other", "test")
    first = write_run(tmp_path / "a", {name: scored(1, noise=9) for name in names})
    second = write_run(tmp_path / "b", {name: scored(2, noise=0.1) for name in names})
    rows, _ = tables([first, second])
    assert list(rows) == [
        *(title for name in ("test", "valid", "other") for title in (name, f"{name}, differences from a")),
        "how to read a difference",
    ]
    (_, _, auc, auc_interval, p), (_, _, log_loss, _, _) = rows["test, differences from a"]
    assert auc.startswith("+")
    assert log_loss.startswith("-")
    assert auc_interval.endswith(" *")
    assert p == "< 0.0001"
    gain = second.report()["metrics"]["test"]["auc"] - first.report()["metrics"]["test"]["auc"]
    assert auc == f"{gain:+.5f}"


def test_a_copy_of_a_run_differs_by_nothing_and_has_no_interval(tmp_path):
    run = write_run(tmp_path / "a", {"test": scored(1)})
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    rows, notes = tables([run, Run(tmp_path / "b")])
    assert [row[2:] for row in rows["test, differences from a"]] == [["0.00000", "-", "-"]] * 2
    assert notes["test, differences from a"] == [
        "b: no CI of the AUC: the estimated variance is 0",
        "b: no CI of the log loss: the estimated variance is 0",
    ]


def other_labels(columns):
    columns["label"] = columns["label"].copy()
    columns["label"][[3, 7, 390]] ^= 1


def other_ts(columns):
    columns["ts"] = columns["ts"] + (np.arange(ROWS) == 9)


def other_weights(columns):
    columns["weight"] = columns["weight"] + np.float32(1)


def other_type(columns):
    columns["ts"] = [f"{k:04}" for k in range(ROWS)]


NOT_PAIRED = {
    "more rows": (lambda columns: columns.update(scored(2, rows=500)), "different numbers of examples: 400 and 500"),
    "other labels": (other_labels, "labels differ in 3 examples"),
    "other weights": (other_weights, "weights differ in 400 examples"),
    "no weights": (lambda columns: columns.pop("weight"), "only one of them has weights"),
    "another kept column": (other_ts, "different examples: column 'ts' differs in 1 example"),
    "kept as another type": (other_type, "column 'ts' cannot be compared: "),
}


@pytest.mark.parametrize("case", NOT_PAIRED)
def test_other_rows_give_a_reason_in_place_of_a_difference(case, tmp_path):
    change, reason = NOT_PAIRED[case]
    columns = {**scored(1), "weight": np.ones(ROWS, np.float32)}
    first = write_run(tmp_path / "a", {"test": columns})
    changed = {**columns, **({"weight": np.ones(500, np.float32)} if case == "more rows" else {})}
    change(changed)
    rows, notes = tables([first, write_run(tmp_path / "b", {"test": changed})])
    assert rows["test, differences from a"] == []
    (note,) = notes["test, differences from a"]
    assert note.startswith(f"b: no difference: {reason}")
    assert len(rows["test"]) == 2  # the metrics are displayed anyway


def test_sets_sampled_at_other_rates_weigh_differently(tmp_path):
    runs = [
        write_run(tmp_path / name, {"test": scored(k)}, rate)
        for k, (name, rate) in enumerate([("a", None), ("b", 0.1)])
    ]
    with pytest.raises(NotPaired, match="a negative counts 1 times and 10 times, because of the sampling rates"):
        load(runs[1]).differences(load(runs[0])).values()


def test_a_column_that_only_one_run_keeps_does_not_matter(tmp_path):
    first = write_run(tmp_path / "a", {"test": scored(1)})
    second = write_run(tmp_path / "b", {"test": {**scored(2), "user": np.arange(ROWS)}})
    assert load(second).differences(load(first))["auc"].value is not None


@pytest.mark.parametrize("broken", ["a", "b"])
def test_missing_damaged_and_foreign_scores_are_said(broken, tmp_path):
    runs = [write_run(tmp_path / name, {"test": scored(k)}) for k, name in enumerate("ab")]
    path = tmp_path / broken / "scores" / "test.parquet"
    pq.write_table(pa.table(scored(1, rows=10)), path)
    resealed(tmp_path / broken)
    assert tables(runs)[1]["test, differences from a"] == [
        f"b: no difference: {path} has 10 examples, the report 400",
    ]
    path.write_text("no Parquet")
    resealed(tmp_path / broken)
    assert tables(runs)[1]["test, differences from a"][0].startswith(f"b: no difference: {path} cannot be read: ")
    path.unlink()
    assert tables(runs)[1]["test, differences from a"] == [f"b: no difference: {path} is missing"]


def test_data_without_labels_has_its_rows_and_a_reason(tmp_path):
    runs = [write_run(tmp_path / name, {"day": scored(k)}) for k, name in enumerate("ab")]
    report = runs[1].report()
    nothing = dict.fromkeys(("auc", "log_loss", "positive_rate"))
    metrics = {"rows": ROWS, **nothing, "reasons": dict.fromkeys(nothing, "the data has no label")}
    report["metrics"]["day"] = metrics
    write_json(runs[1].folder / "report.json", report)
    resealed(runs[1].folder)
    rows, notes = tables(runs)
    assert rows["day"][1] == ["b", "400", "-", "-", "-", "0.0100 stable"]
    assert notes["day, differences from a"] == [f"b: no difference: {runs[1].folder}: the data has no label"]


def test_the_first_run_that_has_a_set_is_compared_with(tmp_path):
    first = write_run(tmp_path / "a", {"valid": scored(1)})
    others = [write_run(tmp_path / name, {"test": scored(2)}) for name in "bc"]
    rows, _ = tables([first, *others])
    assert list(rows) == ["test", "test, differences from b", "how to read a difference"]
    assert tables([first, others[0]])[0] == {"no two of them have a split in common": []}


def test_gauc_is_shown_where_all_have_it(tmp_path):
    first = write_run(tmp_path / "a", {"test": scored(1)}, gauc=0.7)
    second = write_run(tmp_path / "b", {"test": scored(2)}, gauc=None)
    third = write_run(tmp_path / "c", {"test": scored(2)})
    assert [row[4] for row in tables([first, second])[0]["test"]] == ["0.70000", "-"]
    assert [row[-1] for row in tables([first, third])[0]["test"]] == ["0.0100 stable"] * 2


def test_settings_that_differ_are_listed_by_their_dotted_keys(tmp_path):
    common = {"name": "x", "data": {"path": "clicks", "keep": ["ts"]}, "optimizers": {"sparse": {"*": {"l1": 0.1}}}}
    changed = {**common, "name": "y", "optimizers": {"sparse": {"*": {"l1": None}, "user": {}}}}
    long = [{**one, "data": {"path": "s3://" + "x" * 60 + end}} for one, end in ((common, "/a"), (changed, "/b"))]
    runs = [write_run(tmp_path / n, {"test": scored(1)}, config=c) for n, c in zip("abcd", (common, changed, *long))]  # noqa: B905
    assert tables(runs[:2])[0]["settings that differ"] == [
        ["name", "x", "y"],
        ['optimizers.sparse."*".l1', "0.1", "null"],
        ["optimizers.sparse.user", "-", "{}"],
    ]
    paths = tables(runs[2:])[0]["settings that differ"][1]
    assert paths == ["data.path", *(f"s3://{'x' * 15}…{'x' * 18}/{end}" for end in "ab")]
    assert tables([runs[0], runs[0]])[0]["the settings are the same"] == []


def test_many_settings_that_differ_are_counted(tmp_path):
    runs = [
        write_run(tmp_path / name, {"test": scored(1)}, config={f"key{k}": name for k in range(23)}) for name in "ab"
    ]
    runs.append(write_run(tmp_path / "c", {"test": scored(1)}))
    rows, notes = tables(runs)
    assert len(rows["settings that differ"]) == 20
    assert notes["settings that differ"] == ["and 3 more", "c: no config.yaml to compare"]


def test_an_evaluation_has_the_settings_of_its_run(tmp_path):
    config = {"seed": 4, "features": {"unseen": "shared"}, "model": {"initializer": {"head_bias": "zero"}}}
    write_run(tmp_path / "a", {"test": scored(1)}, config=config)
    evaluation = write_run(tmp_path / "a" / "evaluations" / "day", {"day": scored(1)})
    assert config_of(evaluation) == config
    assert config_of(write_run(tmp_path / "b", {"day": scored(1)})) is None
    (tmp_path / "a" / "config.yaml").write_text("{")
    resealed(tmp_path / "a")
    assert config_of(evaluation) is None


def test_the_settings_of_a_run_of_0_4_have_their_names_of_today(tmp_path):
    config = {"features": {"columns": {"age": {"kind": "numeric"}}}, "report": {"exact_rows": 9}}
    assert config_of(write_run(tmp_path / "a", {"test": scored(1)}, config=config)) == {
        "features": {"columns": {"age": {"type": "numeric"}}, "unseen": "own"},
        "report": {"max_exact_rows": 9},
        "model": {"initializer": {"head_bias": "zero"}},
    }


SPARSE = 'optimizers.sparse."*"'
SET_DIFFERENTLY = {
    "a model with other settings": (
        ["model={type: wide_deep, hidden: [8], dropout: 0.1, initializer: {tables: 0.3}}"],
        [["model.type", "dcn_v2", "wide_deep"], ["model.cross_layers", "1", "-"]],
    ),
    "an optimizer with other defaults": (
        ['optimizers.sparse={"*": {type: adagrad, learning_rate: 0.3}}'],
        [[f"{SPARSE}.type", "rmsprop_v2", "adagrad"], [f"{SPARSE}.l2_gradient", "0.001", "0.0"]],
    ),
    "a default of all features": (
        ["features.defaults.dim=6"],
        [["features.columns.*.dim (5 features)", "4", "6"]],
    ),
    "a dropped feature": (
        ["features.columns.hour=drop"],
        [["features.columns.hour", "{column: ts, dim: 4, part: hour}", "-"]],
    ),
    "several dropped features": (
        ["features.columns.user=drop", "features.columns.item=drop", "features.columns.price=drop"],
        [
            ["features.columns.*: user, item", "{dim: 4, vocabulary: {}}", "-"],
            ["features.columns.price", "{type: numeric, tran…cator: true, dim: 4}", "-"],
        ],
    ),
    "a table for which all is set": (
        ["optimizers.sparse.user={type: ftrl, l1: 0.5}"],
        [["optimizers.sparse.user", "-", "{type: ftrl, l1: 0.5}"]],
    ),
    "a part that is on by default": (
        ["training.early_stopping=null"],
        [["training.early_stopping", "(default)", "null"]],
    ),
    "what has its default already": (["report.threshold=0.5"], []),
}


@pytest.mark.parametrize("case", SET_DIFFERENTLY)
def test_only_settings_that_the_user_set_differently_are_listed(case, make_experiment, tmp_path):
    overrides, expected = SET_DIFFERENTLY[case]
    configs = [yaml.safe_load(make_experiment(*changes).to_yaml()) for changes in ([], overrides)]
    runs = [
        write_run(tmp_path / name, {"test": scored(1)}, config=config)
        for name, config in zip("ab", configs, strict=True)
    ]
    rows, _ = tables(runs)
    assert rows["settings that differ" if expected else "the settings are the same"] == expected


def test_settings_that_differ_by_default_are_counted(make_experiment, tmp_path):
    config = yaml.safe_load(make_experiment().to_yaml())
    changed = yaml.safe_load(make_experiment("seed=4").to_yaml())
    del changed["report"]["threshold"], changed["training"]["precision"]  # as written by a version without them
    runs = [
        write_run(tmp_path / "a", {"test": scored(1)}, config=config),
        write_run(tmp_path / "b", {"test": scored(1)}, config=changed),
    ]
    rows, notes = tables(runs)
    assert rows["settings that differ"] == [["seed", "3", "4"]]
    assert notes["settings that differ"] == [
        "not listed: 2 more that differ only because of defaults or other settings"
    ]
    changed["seed"] = 3
    runs[1] = write_run(tmp_path / "b", {"test": scored(1)}, config=changed)
    assert tables(runs)[0]["no setting was set differently"] == []


def test_runs_are_called_by_what_tells_them_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert short_names([Run("runs/a"), Run(tmp_path / "runs" / "b")]) == ["a", "b"]
    assert short_names([Run("runs/a"), Run("runs/a/evaluations/day")]) == ["a", "a/evaluations/day"]
    assert short_names([Run("a"), Run("a")]) == ["a", "a"]


def test_columns_compare_whatever_their_type_and_chunks():
    def chunks(values, kind, at):
        return pa.chunked_array([pa.array(values[:at], kind), pa.array(values[at:], kind)])

    for values, changed, kind in (
        ([1.0, float("nan"), None, 2.0], [1.0, 3.0, None, 2.5], pa.float64()),
        (["a", None, "", "b"], ["a", "", "", "c"], pa.string()),
        (["a", None, "", "b"], ["a", "", "", "c"], pa.dictionary(pa.int32(), pa.string())),
        ([True, None, False, True], [True, True, False, False], pa.bool_()),
        ([1, None, 3, 4], [1, 2, 3, 5], pa.timestamp("us", tz="UTC")),
    ):
        assert differing_rows(chunks(values, kind, 1), chunks(values, kind, 3)) == 0
        assert differing_rows(chunks(values, kind, 1), chunks(changed, kind, 3)) == 2
    lists = pa.list_(pa.int64())
    assert differing_rows(chunks([[1], [], None], lists, 1), chunks([[1], [], None], lists, 2)) == 0
    assert differing_rows(chunks([[1], [], None], lists, 1), chunks([[1], [2], None], lists, 2)) == 3
    nothing = pa.chunked_array([pa.nulls(3)])
    assert differing_rows(nothing, nothing) == 0


EVIL = "|`*<script>\\@me_[x](y)\n"


def test_markdown_shows_every_text_as_it_is(tmp_path):
    config = {"name": EVIL, EVIL: 1}
    runs = [
        write_run(tmp_path / "|a*`", {"<b>": scored(1)}, config=config),
        write_run(tmp_path / "b", {"<b>": scored(2)}, config={}),
    ]
    written = to_markdown(side_by_side(runs))
    assert "\n#### \\<b\\>\n" in written
    assert "| \\|a\\*\\` | 400 |" in written
    assert "\\|\\`\\*\\<script\\>\\\\\\@me\\_\\[x\\](y)" in written
    cells = [len(re.findall(r"(?<!\\)\|", line)) - 1 for line in written.splitlines() if line.startswith("|")]
    assert cells == [6] * 4 + [5] * 4 + [3] * 4


def test_a_terminal_shows_texts_as_they_are(tmp_path):
    runs = [write_run(tmp_path / name, {"[red]": scored(k)}) for k, name in enumerate(("[bold]x", "b"))]
    console = Console(width=120, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    print_side_by_side(side_by_side(runs), console)
    shown = console.export_text()
    assert "[red], differences from [bold]x" in shown
    assert "examples of one user are not" in " ".join(shown.split())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train two weighted runs on sampled data that differ in epochs, and evaluate data with the first."""
    base = tmp_path_factory.mktemp("runs")
    pq.write_table(click_log(), base / "clicks.parquet", row_group_size=200)
    (base / "tiny.yaml").write_text(CONFIG.format(data=base / "clicks.parquet", threads=THREADS))
    settings = ["data.weight=w", "data.negative_sampling_rate=0.25"]
    for name, epochs in (("a", 1), ("b", 2)):
        with undrawn():
            ctr.train(load_experiment(base / "tiny.yaml", [*settings, f"training.epochs={epochs}"]), base / name)
            ctr.evaluate(base / name, str(base / "clicks.parquet"), negatives_sampled=name == "a")
    return base


def report(*arguments):
    with undrawn():
        return CliRunner().invoke(app, ["report", *(str(argument) for argument in arguments)], env={"COLUMNS": "150"})


@pytest.mark.medium
def test_trained_runs_side_by_side(trained, tmp_path):
    result = report(trained / "a", trained / "b", "--out", tmp_path / "difference.md")
    assert result.exit_code == 0
    shown = result.stdout
    reports = [read_json(trained / name / "report.json")["metrics"]["test"] for name in "ab"]
    written = (tmp_path / "difference.md").read_text()
    for key in ("auc", "log_loss"):
        difference = f"{reports[1][key] - reports[0][key]:+.5f}"
        assert difference in shown
        assert difference in written
    assert shown.index("report: ") < shown.index("side by side") < shown.index("settings that differ")
    assert "| training.epochs | 1 | 2 |" in written


@pytest.mark.medium
def test_differences_of_trained_runs_are_those_of_their_reports(trained):
    metrics = [read_json(trained / name / "report.json")["metrics"] for name in "ab"]
    for name in ("valid", "test"):
        first, second = (load(Run(trained / run), name) for run in "ab")
        auc, log_loss = second.differences(first).values()
        assert auc.value == pytest.approx(metrics[1][name]["auc"] - metrics[0][name]["auc"], abs=1e-12)
        assert log_loss.value == pytest.approx(metrics[1][name]["log_loss"] - metrics[0][name]["log_loss"], abs=1e-12)
        assert first.negative_weight == pytest.approx(4, rel=1e-12)


@pytest.mark.medium
def test_evaluations_stand_beside_runs_and_one_another(trained):
    folders = [trained / name / "evaluations" / "clicks" for name in "ab"]
    result = report(*folders, trained / "a")
    assert result.exit_code == 0
    assert "clicks, differences from a/evaluations/clicks" in result.stdout
    assert "a negative counts 4 times and 1 times, because of the sampling rates" in result.stdout


@pytest.mark.medium
def test_a_bad_folder_does_not_hide_the_others(trained, tmp_path):
    result = report(trained / "a", tmp_path / "nothing", trained / "b", "--out", tmp_path / "difference.md")
    assert result.exit_code == 2
    assert "nothing: no run in this folder" in result.stderr
    assert "test, differences from a" in result.stdout
    assert not (tmp_path / "difference.md").exists()


@pytest.mark.medium
def test_a_file_is_replaced_only_with_overwrite_and_only_markdown(trained, tmp_path):
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work")
    for out in (precious, tmp_path, tmp_path / "nowhere" / "x.md"):
        result = report(trained / "a", trained / "b", "--out", out, "--overwrite")
        assert result.exit_code == 2
        assert "--out: " in result.stderr
    assert precious.read_text() == "years of work"
    old = tmp_path / "old.md"
    old.write_text("old")
    refused = report(trained / "a", trained / "b", "--out", old)
    assert refused.exit_code == 2
    assert refused.stderr == f"error: --out: {old} already exists. Choose another file, or add --overwrite.\n"
    assert refused.stdout == ""  # before any work
    assert old.read_text() == "old"
    assert report(trained / "a", trained / "b", "--out", old, "--overwrite").exit_code == 0
    assert old.read_text().startswith("### Side by side")


@pytest.mark.medium
def test_of_one_run_its_own_summary_is_written(trained, tmp_path):
    assert report(trained / "a", "--out", tmp_path / "one.md").exit_code == 0
    assert (tmp_path / "one.md").read_text() == (trained / "a" / "report.md").read_text()
    link = tmp_path / "link.md"
    link.symlink_to(tmp_path / "nowhere.md")
    assert "link.md already exists" in report(trained / "a", "--out", link).stderr
    assert "cannot write, because /proc is not" in report(trained / "a", "--out", "/proc/x.md").stderr


def test_reports_of_an_earlier_version_are_compared_as_far_as_they_go(tmp_path):
    runs = [write_run(tmp_path / name, {"test": scored(k)}) for k, name in enumerate("ab")]
    old = json.loads((tmp_path / "a" / "report.json").read_text())
    del old["metrics"]["test"]["auc_interval"]
    write_json(tmp_path / "a" / "report.json", old)
    resealed(tmp_path / "a")
    assert [row[3] == "-" for row in tables(runs)[0]["test"]] == [True, False]
