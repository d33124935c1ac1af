"""A feature kind that is one class and one registry entry works in training, evaluation and inspection."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.config.experiment import load_experiment
from ctr.errors import ConfigError
from ctr.runs.run import Run
from ctr.training.data import prepare
from features import KINDS, DataError, Encoder, decode_ids, describe_row
from tests.conftest import click_log
from tests.ctr.undrawn import undrawn
from tests.toy_kind import Highest, Rounded

STEP = 0.5
TOY = f"features.columns.price={{type: rounded, step: {STEP}}}"
CROSSED = "features.columns.both={type: cross, of: [user, price], hash: 50, dim: 2}"


def rounded(table):
    """Return the click log with a column of stepped prices, null where prices are."""
    prices = table["price"].to_numpy()
    steps = pa.array(np.rint(np.nan_to_num(prices) / STEP).astype(np.int64), mask=np.isnan(prices))
    return table.append_column("steps", steps)


@pytest.fixture(scope="module", autouse=True)
def registered():
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(KINDS, "rounded", Rounded)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Write training and test files; return them with the highest step of the training data."""
    folder = tmp_path_factory.mktemp("toy")
    train, test = rounded(click_log(600)), rounded(click_log(300, seed=5))
    for name, table in (("train", train), ("test", test)):
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=200)
    return folder, max(step for step in train["steps"].to_pylist() if step is not None)


def experiment(small_config, data, *settings):
    folder, _ = data
    files = f"data={{train: {folder / 'train.parquet'}, test: {folder / 'test.parquet'}, label: clicked}}"
    return load_experiment(small_config, [files, "training.epochs=1", *settings])


@pytest.fixture(scope="module")
def run(small_config, data):
    folder, _ = data
    with undrawn():
        ctr.train(experiment(small_config, data, TOY, CROSSED), folder / "run")
    return folder / "run"


def test_it_trains_to_the_weights_of_ids_that_the_data_already_holds(small_config, data, run):
    folder, highest = data
    identity = f"features.columns.price={{column: steps, identity: {highest + 1}, dim: 4}}"
    with undrawn():
        known = ctr.train(experiment(small_config, data, identity, CROSSED), folder / "identity")

    assert Run(run).report()["fingerprints"] == known["fingerprints"]


def test_it_evaluates_after_its_encoder_was_saved_and_loaded(data, run):
    folder, highest = data
    encoder = Encoder.load(run / "encoder")

    with undrawn():
        report = ctr.evaluate(run, str(folder / "test.parquet"))

    assert encoder.statistics.fit_of(encoder.features.columns["price"]) == Highest(highest)
    assert report["metrics"]["test"] == Run(run).report()["metrics"]["test"]
    assert "price" in report["psi"]["features"]["test"]


def test_its_rows_are_traced_back_to_values(data, run):
    _, highest = data
    encoder = Encoder.load(run / "encoder")
    values = pa.table({"price": [0.0, 1.26, None, 1e6]})
    rows = encoder.ids("price", encoder.features.columns["price"].values(values, [], "here"), "here")

    assert rows.tolist() == [3, 3 + 3, 1, 2]
    assert decode_ids(encoder, "price", rows).to_pylist() == [0.0, 1.5, None, None]
    assert describe_row(encoder, "price", 6) == "about 1.5"
    assert encoder.table_size("price") == 3 + highest + 1


def test_it_is_inspected(small_config, data):
    folder, highest = data
    files = f"data={{train: {folder / 'train.parquet'}, test: {folder / 'test.parquet'}, label: clicked}}"

    shown = CliRunner().invoke(app, ["inspect", str(small_config), "--set", files, "--set", TOY])

    assert shown.exit_code == 0
    assert re.search(rf"price +double .* 0 \.\. {highest}\b", shown.output)


def test_its_settings_are_checked_like_any(small_config, data):
    with pytest.raises(ConfigError, match=r"features\.columns\.price: unknown key 'steps'; did you mean"):
        experiment(small_config, data, "features.columns.price={type: rounded, steps: 2}")
    with pytest.raises(DataError, match=r"'item' has type string, but rounded .* needs numbers"):
        prepare(experiment(small_config, data, "features.columns.price={type: rounded, column: item}"))
