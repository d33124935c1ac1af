"""A run in Python gives the scores, the report and the errors of `ctr evaluate`."""

import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from error_contract import violations
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.config.experiment import load_experiment
from ctr.errors import ConfigError
from ctr.training.embedding_frame import embedding_frame
from ctr.training.plan import plan_model
from features import DataError, FileOrderReader, as_tf_dataset, decode_ids, describe_row, open_data
from tests.conftest import click_log
from tests.ctr.conftest import PLAIN_MODEL, flip
from tests.ctr.undrawn import undrawn

CLOSE = 1e-6
INF = float("inf")
SKIPPING = [
    "data.bad_rows={skip: 0.3}",
    "data.negative_sampling_rate=0.5",
    "data.weight=w",
    "features.columns.user={identity: 8}",
    "features.columns.bucket={column: item, hash: 5}",
    "features.columns.price_range={type: numeric, column: price, as: buckets, buckets: 3}",
    "features.columns.pair={type: cross, of: [user, item], hash: 30, dim: 1}",
    "model={type: wide_deep, hidden: [4]}",
    "training.epochs=1",
]


@pytest.fixture(scope="module")
def run(small_run):
    return ctr.load_run(small_run)


@pytest.fixture(scope="module")
def skipping(small_config, tmp_path_factory):
    """Return a run that skips invalid rows, of sampled negatives, with a hash, a range and a cross."""
    folder = tmp_path_factory.mktemp("skipping") / "run"
    with undrawn():
        ctr.train(load_experiment(small_config, SKIPPING), folder)
    return ctr.load_run(folder)


@pytest.fixture
def table():
    return click_log(300, seed=9)


def evaluated(run, path, out, **options):
    """Evaluate a file with a run, and return the report and the score file."""
    with undrawn():
        report = ctr.evaluate(run.folder, path, out, **options)
    return report, pq.read_table(out / "scores" / f"{path.stem}.parquet")


def written(table, path, row_group_size=128):
    pq.write_table(table, path, row_group_size=row_group_size)
    return path


@pytest.mark.parametrize("name", ["run", "skipping"])
def test_scores_are_those_of_the_score_file(name, request, table, tmp_path):
    run, folder = request.getfixturevalue(name), tmp_path / "data"
    folder.mkdir()
    path = written(table, folder / "fresh.parquet")
    expected = evaluated(run, path, tmp_path / "out")[1]["score"].to_numpy()
    for data in (path, str(path), [path], str(folder / "fr*.parquet"), folder):
        scores = run.score(data)
        assert scores.dtype == np.float64
        np.testing.assert_array_equal(scores, expected)
    one_row_group = written(table, tmp_path / "one.parquet", len(table))
    for data in (table, table.to_pandas()):
        np.testing.assert_array_equal(run.score(data), run.score(one_row_group))
        np.testing.assert_allclose(run.score(data), expected, rtol=CLOSE)


def test_scores_of_the_test_split_are_those_of_the_run(run, small_run):
    expected = pq.read_table(small_run / "scores" / "test.parquet")
    frame = click_log().to_pandas()
    frame = frame[frame["ts"].isin(expected["ts"].to_pandas())]
    np.testing.assert_allclose(run.score(frame), expected["score"].to_numpy(), rtol=CLOSE)


def test_scores_come_in_the_order_of_the_data(run, table):
    frame = table.to_pandas()
    scores = pd.Series(run.score(frame), index=frame.index)
    shuffled = frame.sample(frac=1, random_state=0)
    np.testing.assert_allclose(run.score(shuffled), scores[shuffled.index], rtol=CLOSE)
    twice = pd.concat([frame.tail(7), frame.head(9)])  # an index with gaps
    np.testing.assert_allclose(run.score(twice), scores[twice.index], rtol=CLOSE)


def test_only_the_columns_of_features_are_needed(run, table):
    few = table.drop_columns(["clicked", "w"])
    np.testing.assert_array_equal(run.score(few), run.score(table))
    wrong = table.to_pandas().assign(clicked="neither", w=None)
    np.testing.assert_array_equal(run.score(wrong), run.score(table))


def test_a_score_of_an_invalid_row_is_nan(skipping, table, tmp_path):
    frame = table.to_pandas().astype({"user": "int64"})
    bad = [0, 5, *range(128, 256), 299]  # the second row group has no valid row
    frame.loc[bad[:5], "price"] = INF
    frame.loc[bad[5:], "user"] = 8
    few = frame.loc[[*range(128), *range(256, 300)]].reset_index(drop=True)
    path = tmp_path / "few.parquet"
    written(pa.Table.from_pandas(few, preserve_index=False), path)
    report, expected = evaluated(skipping, path, tmp_path / "out")
    with pytest.warns(UserWarning, match="few: ") as caught:
        scores = skipping.score(path)
    assert [str(warning.message) for warning in caught] == [
        "few: 3 of 172 rows are invalid, so their score is NaN "
        "('price' is infinite or too large: 2, 'user' holds an id outside 0 to 7: 1)"
    ]
    assert caught[0].filename == __file__
    assert report["bad_rows"]["few"]["rows"] == 3
    assert np.flatnonzero(np.isnan(scores)).tolist() == [0, 5, 171]
    np.testing.assert_array_equal(scores[~np.isnan(scores)], expected["score"])
    with pytest.warns(UserWarning, match="data: 3 of 172 rows are invalid, so they are left out"):
        assert skipping.evaluate(few)["bad_rows"] == {"data": report["bad_rows"]["few"]}
    with pytest.raises(DataError, match=r"^data: 131 of 300 rows are invalid \(43\.7%\), more than `bad_rows"):
        skipping.score(frame)


def test_scores_skip_whole_row_groups(skipping, table, tmp_path):
    frame = table.to_pandas().astype({"user": "int64"})
    frame.loc[100:119, "user"] = -1
    path = written(pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "fresh.parquet", 20)
    with pytest.warns(UserWarning, match="20 of 300 rows"):
        scores = skipping.score(path)
    assert np.flatnonzero(np.isnan(scores)).tolist() == list(range(100, 120))
    rest = skipping.score(frame.drop(index=range(100, 120)))
    np.testing.assert_allclose(scores[~np.isnan(scores)], rest, rtol=CLOSE)


@pytest.mark.parametrize("name", ["run", "skipping"])
def test_predict_gives_the_logits_in_file_order(name, request, table, tmp_path):
    run, path = request.getfixturevalue(name), written(table, tmp_path / "fresh.parquet")
    expected = evaluated(run, path, tmp_path / "out")[1]["logit"].to_numpy()
    reader = FileOrderReader(open_data(str(path)), run.encoder, batch_size=64)
    logit = run.model.predict(as_tf_dataset(reader), verbose=0)
    assert (logit.shape, logit.dtype) == ((300,), np.float32)
    correction = np.log(run.config.data.negative_sampling_rate or 1)
    np.testing.assert_allclose(logit + correction, expected, atol=CLOSE, rtol=CLOSE)


def without_time(report):
    return {key: value for key, value in report.items() if key != "seconds"}


def test_the_report_is_that_of_ctr_evaluate(run, small_run, table, tmp_path):
    hours = pa.array(np.arange(300) * 3_600_000_000, pa.timestamp("us", tz="UTC"))  # several days
    table = table.set_column(table.schema.get_field_index("ts"), "ts", hours)
    path = written(table, tmp_path / "fresh.parquet")
    before = sorted(small_run.rglob("*"))
    expected, _ = evaluated(run, path, tmp_path / "out")
    assert without_time(run.evaluate(path)) == without_time(expected)
    one_row_group = written(table, tmp_path / "one.parquet", len(table))
    frame = run.evaluate(table.to_pandas())
    assert frame["main_split"] == "data"
    assert frame["metrics"]["data"] == run.evaluate(one_row_group)["metrics"]["one"]
    assert frame["metrics"]["data"]["auc"] == pytest.approx(expected["metrics"]["fresh"]["auc"], rel=CLOSE)
    assert frame["files"] == {"data": [{"path": "DataFrame", "rows": 300}]}
    assert frame["psi"]["over_time"]["periods"] == expected["psi"]["over_time"]["periods"]  # by the split's column
    assert sorted(small_run.rglob("*")) == before


def test_sampled_negatives_count_as_in_ctr_evaluate(skipping, table, tmp_path):
    path = written(table, tmp_path / "fresh.parquet")
    for sampled in (False, True):
        expected, _ = evaluated(skipping, path, tmp_path / f"{sampled}", negatives_sampled=sampled)
        assert without_time(skipping.evaluate(path, sampled)) == without_time(expected)


def test_pass_through_columns_and_labels_are_not_needed_to_evaluate(small_config, table, tmp_path):
    settings = ["data.keep=[ts, user]", "data.split={by: rows, fractions: [0.6, 0.2, 0.2]}", "training.epochs=1"]
    with undrawn():
        ctr.train(load_experiment(small_config, [*settings, f"model={PLAIN_MODEL}"]), tmp_path / "run")
    run = ctr.load_run(tmp_path / "run")
    frame = table.to_pandas()
    assert run.evaluate(frame)["metrics"]["data"]["auc"] > 0.5
    unlabelled = run.evaluate(frame.drop(columns=["clicked"]))["metrics"]["data"]
    assert unlabelled["auc"] is None
    assert unlabelled["mean_score"] == pytest.approx(run.score(frame).mean())


def test_training_data_is_warned_of(run, small_config):
    path = small_config.parent / "clicks" / "part-0.parquet"
    with pytest.warns(UserWarning, match=r"part-0\.parquet: training data of the run") as caught:
        run.evaluate(path)
    assert caught[0].filename == __file__


def test_embeddings_are_those_of_the_model_with_their_values(run):
    frame = run.embeddings("item")
    table = np.concatenate(list(run.model.tables.table_blocks("item")))
    np.testing.assert_array_equal(frame.filter(like="dim_"), table)
    assert frame.filter(like="dim_").dtypes.unique().tolist() == [np.dtype("float32")]
    assert frame["kind"].tolist() == ["padding", "null", "out of vocabulary"] + 10 * ["value"]
    assert frame["value"].dropna().tolist() == decode_ids(run.encoder, "item", np.arange(3, 13)).to_pylist()
    assert frame["value"].isna().tolist() == 3 * [True] + 10 * [False]
    rows = click_log().slice(0, 720).to_pandas()
    counts = pd.concat([rows["item"], rows["history"].str[-4:].explode().dropna()]).value_counts()
    assert dict(zip(frame["value"][3:], frame["count"][3:], strict=True)) == counts.to_dict()
    assert frame["count"][:3].isna().all()
    pd.testing.assert_frame_equal(run.embeddings("history"), frame)  # shares the table
    user = run.embeddings("user")
    assert user["value"].dtype == "Int64"
    assert sorted(user["value"].dropna()) == list(range(8))


def test_embeddings_of_hashes_ranges_crosses_and_own_tables(skipping):
    hashed = skipping.embeddings("bucket")
    assert hashed["value"][3:].tolist() == [0, 1, 2, 3, 4]
    assert hashed["count"].isna().all()
    ranges = skipping.embeddings("price_range")
    assert ranges["value"][3:].tolist() == [describe_row(skipping.encoder, "price_range", row) for row in (3, 4, 5)]
    cross = skipping.embeddings("pair")
    pd.testing.assert_frame_equal(cross, skipping.embeddings("wide/pair"))
    assert list(cross.columns) == ["kind", "value", "count", "dim_0"]
    assert len(cross) == 33
    wide = skipping.embeddings("wide/item")
    assert wide["value"].equals(skipping.embeddings("item")["value"])
    assert wide.shape[1] == 4


def test_every_table_of_a_model_is_found_by_its_name(run):
    """CAN adds tables, one of them for a sequence, and a number has a table of one value."""
    model = "{type: can, base: dnn, pairs: [[item, history], [user, item]], micro_mlp: [4, 2]}"
    experiment = load_experiment(run.folder / "config.yaml", [f"model={model}", "features.columns.price.as=embedding"])
    encoder = replace(run.encoder, features=experiment.features)
    built = plan_model(experiment, encoder).build()
    own = {"item_x_history/item": "item", "item_x_history/user": "history", "user_x_item/item": "user"}
    features = {f"can/{side}": feature for side, feature in own.items()} | {"can/user_x_item/user": "item"}
    features |= {name: name for name in ("user", "item", "hour", "price")}
    assert {table.name for table in built.tables.inputs.tables} == features.keys()
    for name, feature in features.items():
        frame = embedding_frame(built, encoder, name)
        np.testing.assert_array_equal(frame.filter(like="dim_"), np.concatenate(list(built.tables.table_blocks(name))))
        assert frame["value"].equals(embedding_frame(built, encoder, feature)["value"])
        assert len(frame) == built.tables.inputs.table(name).rows
    assert embedding_frame(built, encoder, "price")["value"].tolist() == [pd.NA, pd.NA, pd.NA, "any number"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("itme", "embeddings: no feature or table 'itme'; did you mean 'item'?"),
        ("wide/itme", "embeddings: no feature or table 'wide/itme'; did you mean 'wide/item'?"),
        ("price", "embeddings: 'price' has no table. Choose one of: user, item, "),
    ],
)
def test_a_name_without_embeddings_is_an_error(skipping, name, message):
    with pytest.raises(ConfigError) as error:
        skipping.embeddings(name)
    assert str(error.value).startswith(message)
    assert not violations(str(error.value))


def test_config_report_and_text_are_those_of_the_run(run, small_run, small_config):
    assert run.config == load_experiment(small_run / "config.yaml")
    assert str(run.config) == (small_run / "config.yaml").read_text()
    assert run.report["kind"] == "run"
    auc = run.report["metrics"]["test"]["auc"]
    assert repr(run) == f"<TrainedRun {small_run}: dcn_v2, 5 features, test AUC {auc:.4f}>"


BAD = {
    "no column": lambda frame: frame.rename(columns={"item": "itme"}),
    "a number as text": lambda frame: frame.assign(price="a lot"),
    "ids as floats": lambda frame: frame.assign(user=frame["user"].where(frame["user"] > 0)),
    "another type than in training": lambda frame: frame.assign(user=frame["user"].astype(str)),
    "an infinite number": lambda frame: frame.assign(price=INF),
    "text for lists": lambda frame: frame.assign(history="item 1"),
    "text for times": lambda frame: frame.assign(ts="yesterday"),
    "a label of text": lambda frame: frame.assign(clicked="yes"),
    "a label above 1": lambda frame: frame.assign(clicked=7),
}


ADVICE = {  # of a file, and of a DataFrame
    "a number as text": ("Convert it to numbers in the data.", 'Pass `frame.astype({"price": "float64"})`.'),
    "ids as floats": ("Convert it to integers in the data.", 'Pass `frame.astype({"user": "Int64"})`.'),
    "text for times": ("Convert it to timestamps in the data.", 'Pass `frame.astype({"ts": "datetime64[us]"})`.'),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_frame_is_the_error_of_the_same_file(name, run, table, tmp_path):
    frame, path = BAD[name](table.to_pandas()), tmp_path / "bad.parquet"
    frame.to_parquet(path)
    result = CliRunner().invoke(app, ["evaluate", str(run.folder), str(path)])
    assert result.exit_code == 2
    with pytest.raises((DataError, ConfigError)) as error:
        run.evaluate(frame)
    of_file, of_frame = ADVICE.get(name, ("", ""))
    assert of_file in result.stderr
    assert "`data." not in result.stderr  # the config of a run does not change
    assert f"error: {error.value}\n" == result.stderr.replace(str(path), "DataFrame").replace(of_file, of_frame)
    assert not violations(str(error.value))
    if "label" not in name:
        with pytest.raises((DataError, ConfigError)) as of_score:
            run.score(frame)
        assert str(of_score.value) == str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.head(0), "DataFrame: no rows. Use data that has rows."),
        (lambda frame: frame["user"], "data: expected a DataFrame, a Table or a path, got Series. Pass one of these."),
        (lambda frame: [frame], "data: expected a DataFrame, a Table or a path, got DataFrame. Pass one of these."),
        (lambda frame: [], "data: an empty list of paths. Name at least one file."),
        (lambda frame: pd.concat([frame, frame["user"]], axis=1), "DataFrame: duplicate column 'user'. Rename one of"),
        (lambda frame: frame.assign(item=[1, *frame["item"][1:]]), "DataFrame: column 'item' (object) cannot be conv"),
        (lambda frame: pd.concat({"a": frame}, axis=1), "DataFrame: column names have 2 levels."),
        (lambda frame: "nowhere.parquet", "nowhere.parquet: no such file or folder in "),
    ],
)
def test_what_cannot_be_scored_is_an_error_of_one_line(run, table, change, message):
    for call in (run.score, run.evaluate):
        with pytest.raises((DataError, ConfigError)) as error:
            call(change(table.to_pandas()))
        assert str(error.value).startswith(message)
        assert "\n" not in str(error.value)
        assert not violations(str(error.value))


def test_a_user_as_index_and_other_columns_do_no_harm(run, table):
    frame = table.to_pandas()
    other = frame.set_index("user").assign(note=[1, "a"] * 150)
    np.testing.assert_array_equal(run.score(other), run.score(frame))
    categories = frame.astype({"item": "category", "user": "category"})
    np.testing.assert_array_equal(run.score(categories), run.score(frame))


def test_a_damaged_or_unfinished_run_is_not_loaded(trained, tmp_path):
    best = next((trained / "checkpoints").glob("step-*/state.data*"))
    for checkpoint in (trained / "checkpoints").glob("step-*/state.data*"):
        flip(checkpoint)
    with pytest.raises(ConfigError, match=rf"no usable checkpoint\.\n.*{best.name} differs from its SHA-256"):
        ctr.load_run(trained)
    (trained / "report.json").unlink()
    with pytest.raises(ConfigError, match="unfinished run"):
        ctr.load_run(trained)
    with pytest.raises(ConfigError, match="no run in this folder"):
        ctr.load_run(tmp_path / "nowhere")


def test_an_evaluation_is_not_loaded(run, table, tmp_path):
    evaluated(run, written(table, tmp_path / "fresh.parquet"), tmp_path / "out")
    with pytest.raises(ConfigError, match=r"out: an evaluation, not a run\. Choose the run that was evaluated\."):
        ctr.load_run(tmp_path / "out")


def test_a_run_is_read_whole_when_it_is_loaded(trained, table):
    """Afterwards the folder can move, except that an evaluation compares the files of the run."""
    run = ctr.load_run(trained)
    expected = run.score(table)
    shutil.rmtree(trained)
    np.testing.assert_array_equal(run.score(table), expected)
    assert Path(run.folder) == trained


def test_no_warning_without_a_reason(run, table):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run.score(table)
        run.evaluate(table)
        run.embeddings("user")
    assert [str(warning.message) for warning in caught] == []
