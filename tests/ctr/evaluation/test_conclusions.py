"""Content of report.json of whole runs, against scikit-learn on the saved scores and against planted effects."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.metrics import log_loss, roc_auc_score

import ctr
from ctr.config.experiment import load_experiment
from ctr.errors import ConfigError
from ctr.evaluation.curves import load_curves
from ctr.evaluation.reference import Reference
from ctr.metrics import ScoreCounts
from ctr.metrics.ranking import auc_interval
from ctr.runs.files import read_json
from ctr.runs.run import Run
from features import DataError
from tests.conftest import CONFIG, THREADS, click_log
from tests.ctr.undrawn import undrawn

pytestmark = pytest.mark.medium
SLICED = ["user", "price", "shop"]


def files_of(folder, tables):
    """Write a file for each table and return the `data` section that names them."""
    folder.mkdir(parents=True)
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=200)
    return {name: str(folder / f"{name}.parquet") for name in tables}


def experiment_of(folder, tables, report, columns=None):
    """Return the tiny experiment on three tables, passing through every column that checks of the report need."""
    values = yaml.safe_load(CONFIG.format(data="", threads=THREADS))
    values["data"] = {**files_of(folder / "data", tables), "label": "clicked", "keep": ["ts", "user", "price", "shop"]}
    values["features"]["columns"] |= columns or {}
    values["training"]["epochs"] = 1
    values["report"] = report
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    return load_experiment(folder / "config.yaml")


def clicks(rows, seed):
    """Return the click log with a column that is not a feature."""
    table = click_log(rows, seed)
    shops = np.random.default_rng(seed).integers(0, 3, rows)
    return table.append_column("shop", pa.array([f"shop {k}" for k in shops]))


@pytest.fixture(scope="module", autouse=True)
def no_plots():
    """Leave out plots, because tests read only the text of pages."""
    with undrawn():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory, no_plots):
    """Train a run with groups, times and slices; return its folder, its report and the test scores."""
    folder = tmp_path_factory.mktemp("conclusions")
    tables = {"train": clicks(2000, 1), "valid": clicks(500, 2), "test": clicks(1500, 3)}
    report = {"group": "user", "time": {"column": "ts", "by": "hour"}, "slices": SLICED, "worst_rows": 5}
    found = ctr.train(experiment_of(folder, tables, report), folder / "run")
    return folder, found, pq.read_table(folder / "run" / "scores" / "test.parquet").to_pandas()


def test_gauc_is_the_weighted_mean_of_each_users_auc(run):
    _, report, scores = run
    aucs = {user: roc_auc_score(rows["label"], rows["logit"]) for user, rows in scores.groupby("user")}
    rows = scores["user"].value_counts()
    found = report["metrics"]["test"]
    assert found["gauc"] == pytest.approx(sum(aucs[user] * rows[user] for user in aucs) / len(scores), abs=1e-12)
    assert found["mean_group_auc"] == pytest.approx(np.mean(list(aucs.values())), abs=1e-12)
    assert found["gauc_groups"] == 8


def test_intervals_and_errors_take_users_as_independent(run):
    folder, report, scores = run
    found = report["metrics"]["test"]
    assert (found["interval_unit"], found["cluster_column"], found["clusters"]) == ("cluster", "user", 8)
    rows = scores.groupby("user")["label"].agg(["size", "sum"])
    rate = scores["label"].mean()
    k = len(scores) ** 2 / (rows["size"] ** 2).sum()
    residuals = rows["sum"] - rate * rows["size"]
    expected = np.sqrt(k / (k - 1) * (residuals**2).sum()) / len(scores)
    assert found["positive_rate_error"] == pytest.approx(expected, rel=1e-9)
    counts = ScoreCounts.of(scores["logit"].to_numpy(), scores["label"].to_numpy())
    assert found["auc_interval"] != pytest.approx(auc_interval(counts), abs=1e-6)
    assert report["metrics"]["train"]["interval_unit"] == "cluster"
    assert read_json(folder / "run" / "reference" / "reference.json")["metrics"]["interval_unit"] == "cluster"
    page = (folder / "run" / "report.html").read_text("utf-8")
    assert "Confidence intervals and standard errors are clustered by user (train 8, valid 8, test 8 clusters)." in page
    assert "Few clusters in train (equivalent to 8 of equal weight)" in page


def assert_slice(found, rows):
    assert found["rows"] == len(rows)
    assert found["auc"] == pytest.approx(roc_auc_score(rows["label"], rows["logit"]), abs=1e-12)
    assert found["log_loss"] == pytest.approx(log_loss(rows["label"], rows["score"], labels=[0, 1]), abs=1e-12)
    assert found["positive_rate"] == pytest.approx(rows["label"].mean(), abs=1e-12)
    assert found["mean_score"] == pytest.approx(rows["score"].mean(), abs=1e-12)
    assert found["calibration"] == pytest.approx(rows["score"].sum() / rows["label"].sum(), abs=1e-12)


def test_slices_by_a_feature_and_by_a_column_that_is_none(run):
    _, report, scores = run
    slices = report["slices"]["test"]
    assert list(slices) == SLICED
    for column in ("user", "shop"):
        by_value = {str(value): rows for value, rows in scores.groupby(column)}
        assert {one["value"] for one in slices[column]} == set(by_value)
        for one in slices[column]:
            assert_slice(one, by_value[one["value"]])
            assert one["psi"]["rows"][1] == one["rows"]


def test_hours_are_in_the_order_of_the_clock(run):
    folder, _, _ = run
    labels = load_curves(Run(folder / "run"))["bins"]["features"]["hour"]["labels"]
    hours = [int(label) for label in labels[:-3]]
    assert len(hours) > 5
    assert hours == sorted(hours)
    assert labels[-3:] == ["all others", "new", "missing"]


def test_slices_of_a_number_are_its_bins_and_the_missing(run):
    _, report, scores = run
    prices = report["slices"]["test"]["price"]
    assert sum(one["rows"] for one in prices) == len(scores)
    assert prices[-1]["value"] == "missing"
    assert_slice(prices[-1], scores[scores["price"].isna()])


def test_deciles_are_those_of_the_sorted_scores(run):
    _, report, scores = run
    ordered = scores.sort_values("logit", ascending=False)
    for place, one in enumerate(report["deciles"]["test"]):
        rows = ordered.iloc[150 * place : 150 * (place + 1)]
        assert one["weight"] == pytest.approx(150)
        assert one["mean_score"] == pytest.approx(rows["score"].mean(), abs=1e-9)


def test_the_worst_rows_are_rows_of_the_scores_file(run):
    folder, _, scores = run
    worst = load_curves(Run(folder / "run"))["worst_rows"]["test"]
    assert len(worst) == 5
    for one in worst:
        row = scores.iloc[one["row"]]
        assert (one["label"], one["score"]) == (row["label"], pytest.approx(row["score"]))
        assert one["values"]["user"] == str(row["user"])


def test_time_runs_through_all_sets(run):
    _, report, scores = run
    found = report["psi"]["over_time"]
    assert (found["column"], found["by"], found["undated"]) == ("ts", "hour", 0)
    assert found["periods"] == sorted(found["periods"])
    hours = pd.to_datetime(scores["ts"]).dt.strftime("%Y-%m-%d %H:00")
    assert set(hours) <= set(found["periods"])
    assert sum(found["rows"]) == pytest.approx(500 + 1500 + 2000 / 2, abs=100)  # a random half of the training data
    assert set(found["features"]) == {"user", "item", "history", "hour", "price"}


def test_an_evaluation_says_what_training_said(run):
    folder, report, _ = run
    found = ctr.evaluate(folder / "run", str(folder / "data" / "test.parquet"), folder / "evaluation")
    for part in ("metrics", "slices", "frequency", "deciles", "leakage"):
        assert found[part]["test"] == report[part]["test"]
    assert found["psi"]["score"]["test"] == report["psi"]["score"]["test"]
    assert {one["check"] for one in found["checks"]} == {one["check"] for one in report["checks"]}


def test_the_training_data_can_be_evaluated_too(run):
    folder, _, _ = run
    found = ctr.evaluate(folder / "run", str(folder / "data" / "train.parquet"), folder / "again")
    assert set(found["psi"]["score"]) == {"train"}
    assert found["slices"]["train"]["shop"]


@pytest.mark.slow
def test_row_groups_without_a_row_in_the_sample_are_no_matter(tmp_path, monkeypatch):
    monkeypatch.setattr("features.sample.SAMPLE_ROWS", 50)
    tables = {"train": clicks(300, 1), "test": clicks(200, 3)}
    experiment = experiment_of(tmp_path, tables, {})
    pq.write_table(tables["train"], tmp_path / "data" / "train.parquet", row_group_size=3)
    assert ctr.train(experiment, tmp_path / "run")["metrics"]["train"]["rows"] < 100


def test_a_group_and_a_slice_may_be_null_in_a_whole_file(tmp_path):
    tables = {"train": clicks(600, 1), "test": clicks(300, 3)}
    for column in ("user", "shop"):
        nulls = pa.nulls(300)
        tables["test"] = tables["test"].set_column(tables["test"].schema.get_field_index(column), column, nulls)
    report = {"group": "shop", "slices": ["shop"]}
    found = ctr.train(experiment_of(tmp_path, tables, report), tmp_path / "run")
    assert found["metrics"]["test"]["gauc"] is None
    assert [one["value"] for one in found["slices"]["test"]["shop"]] == ["missing"]


def test_a_column_of_the_report_means_the_same_in_every_file(tmp_path):
    tables = {"train": clicks(300, 1), "test": clicks(200, 3)}
    place = tables["test"].schema.get_field_index("shop")
    tables["test"] = tables["test"].set_column(place, "shop", pa.array(range(200)))
    with pytest.raises(DataError, match="column 'shop' is int64, but string"):
        ctr.train(experiment_of(tmp_path, tables, {"slices": ["shop"]}), tmp_path / "run")


def test_beyond_the_exact_rows_metrics_are_binned_and_groups_have_a_reason(run, tmp_path):
    folder, exact, _ = run
    values = yaml.safe_load((folder / "config.yaml").read_text())
    values["report"]["max_exact_rows"] = 1000
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    found = ctr.train(load_experiment(tmp_path / "config.yaml"), tmp_path / "run")
    metrics, expected = found["metrics"]["test"], exact["metrics"]["test"]
    assert metrics["auc"] == pytest.approx(expected["auc"], abs=metrics["auc_error"])
    assert metrics["auc"] == pytest.approx(expected["auc"], abs=1e-4)
    assert metrics["gauc"] is None
    assert "more than 1,000 examples" in metrics["reasons"]["gauc"]
    assert (metrics["interval_unit"], metrics["clusters"]) == ("row", None)
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert (
        "test: confidence intervals and standard errors assume independent examples: more than 1,000 examples" in page
    )
    assert found["slices"]["test"] == {name: [] for name in SLICED}


def with_dwell(table):
    """Return the log with the seconds that a user stayed, which are unknown before a click and 0 without one."""
    stayed = np.random.default_rng(len(table)).exponential(9, len(table))
    return table.append_column("dwell", pa.array(np.where(table["clicked"].to_numpy() == 1, stayed, 0.0)))


def test_planted_leaks_are_named(tmp_path):
    tables = {name: with_dwell(clicks(rows, rows)) for name, rows in (("train", 2000), ("valid", 500), ("test", 1350))}
    tables["test"] = pa.concat_tables([tables["test"], tables["train"].slice(300, 150)])
    found = ctr.train(experiment_of(tmp_path, tables, {}, {"dwell": {"type": "numeric"}}), tmp_path / "run")
    sentences = {one["check"]: one["sentence"] for one in found["checks"] if one["level"] == "warning"}
    assert "dwell alone has AUC 1.0000" in sentences["single_features"]
    repeated = found["leakage"]["test"]["duplicates"]
    assert repeated["is_suspect"]
    assert repeated["share"] == pytest.approx(0.1, abs=3 * repeated["error"])
    assert not found["leakage"]["valid"]["duplicates"]["is_suspect"]


def planted(folder, tables, columns, epochs, report):
    """Return the report of the tiny model on other columns."""
    values = yaml.safe_load(CONFIG.format(data="", threads=THREADS))
    values["data"] = {**files_of(folder / "data", tables), "label": "clicked"}
    values["features"]["columns"] = columns
    values["model"] |= {"hidden": [64, 32], "dropout": 0.0}
    values["training"] |= {"epochs": epochs, "early_stopping": None}
    values["optimizers"]["dense"]["learning_rate"] = 0.003
    values["report"] = report
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    return ctr.train(load_experiment(folder / "config.yaml"), folder / "run")


def sentences(report, level):
    return {one["check"]: one["sentence"] for one in report["checks"] if one["level"] == level}


@pytest.mark.slow
def test_calendar_features_and_a_partial_last_day_are_no_drift(tmp_path):
    """The data has ten days from a Monday, the last with three hours; eight are training data."""
    random = np.random.default_rng(0)
    seconds = np.concatenate(
        [86_400 * day + random.integers(0, 3600 * (3 if day == 9 else 24), 2500) for day in range(10)]
    )
    user = random.integers(0, 20, len(seconds))
    table = pa.table(
        {
            "ts": (np.datetime64("2026-01-05") + np.sort(seconds).astype("timedelta64[s]")).astype("datetime64[us]"),
            "user": user,
            "clicked": (random.random(len(user)) < 0.1 + 0.03 * user).astype(np.int8),
        }
    )
    tables = {"train": table.slice(0, 20_000), "valid": table.slice(20_000, 2500), "test": table.slice(22_500)}
    columns = {"user": {}, "hour": {"column": "ts", "part": "hour"}, "weekday": {"column": "ts", "part": "weekday"}}
    columns["user_by_weekday"] = {"type": "cross", "of": ["user", "weekday"], "hash": 500}
    report = planted(tmp_path, tables, columns, 1, {"time": {"column": "ts", "by": "day"}})
    over_time = report["psi"]["over_time"]
    assert over_time["partial"] == ["2026-01-14"]
    assert over_time["features"]["weekday"]["drift"] == ["major"] * 10
    assert {one["since"] for one in over_time["features"].values()} == {None}
    assert report["psi"]["calendar"] == {
        "valid": ["weekday", "user_by_weekday"],
        "test": ["hour", "weekday", "user_by_weekday"],
    }
    assert "feature_drift" not in sentences(report, "warning")
    notes = [one["sentence"] for one in report["checks"] if one["check"] == "feature_drift"]
    assert notes[0].startswith("Not drift: test does not cover all values of the date parts hour (PSI ")
    assert "1 feature is stable against the training data." in notes

    again = ctr.evaluate(tmp_path / "run", str(tmp_path / "data" / "valid.parquet"), tmp_path / "valid")
    assert again["psi"]["calendar"] == {"valid": ["weekday", "user_by_weekday"]}


def test_an_evaluation_knows_the_last_period_of_the_training_data(run):
    folder, report, _ = run
    found = ctr.evaluate(folder / "run", str(folder / "data" / "train.parquet"), folder / "known")
    last = Reference.load(Run(folder / "run")).periods.last
    assert last == max(report["psi"]["over_time"]["periods"][:34])  # training data of 2,000 minutes
    assert {one["since"] for one in found["psi"]["over_time"]["features"].values()} == {None}


@pytest.mark.slow
def test_overfitting_is_not_called_drift(tmp_path):
    """The model memorizes columns of noise and one that predicts the label."""
    random = np.random.default_rng(0)

    def noise(rows):
        x = random.normal(size=(rows, 200))
        clicked = random.random(rows) < 1 / (1 + np.exp(1 - x[:, 0]))
        return pa.table({**{f"x{k}": x[:, k] for k in range(200)}, "clicked": clicked.astype(np.int8)})

    # one epoch over six copies, so that an earlier epoch cannot be the best
    tables = {"train": pa.concat_tables([noise(2000)] * 6), "valid": noise(2000), "test": noise(2000)}
    report = planted(tmp_path, tables, {f"x{k}": {"type": "numeric"} for k in range(200)}, 1, {})
    assert report["psi"]["score"]["test"]["drift"] == "major"
    assert report["psi"]["score"]["valid"]["drift"] == "major"
    warning = sentences(report, "warning")["score_drift"]
    assert warning.startswith("Probably overfitting, not drift: the score differs from the training data (PSI ")
    assert " The score of valid differs as much (PSI " in warning
    assert "This is probably overfitting, not drift" in (tmp_path / "run" / "report.html").read_text()
    again = ctr.evaluate(tmp_path / "run", str(tmp_path / "data" / "test.parquet"), tmp_path / "test")
    assert sentences(again, "warning")["score_drift"].startswith("Probably overfitting, not drift")


MISTAKES = {
    "a sequence as a slice": ({"slices": ["history"]}, "'history' is a sequence"),
    "a list as a slice": ({"slices": ["ids"]}, "report.slices: column 'ids' is list"),
    "the label as a slice": ({"slices": ["clicked"]}, "report.slices: 'clicked' is the label"),
    "a number as a group": ({"group": "w"}, "report.group: column 'w' is float"),
    "an unknown column": ({"group": "usr"}, "report.group: no column 'usr'; did you mean 'user'?"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_said(mistake, tmp_path):
    report, message = MISTAKES[mistake]
    table = clicks(300, 1)
    table = table.append_column("ids", pa.array([[1]] * 300))
    experiment = experiment_of(tmp_path, {"train": table, "test": table.slice(0, 200)}, report)
    with pytest.raises((ConfigError, DataError), match=message):
        ctr.train(experiment, tmp_path / "run")
