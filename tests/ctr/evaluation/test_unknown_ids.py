"""Fractions of ids that use the row of unknown values are counted and displayed."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ctr
from ctr.evaluation.unknown_ids import UnknownIds
from ctr.jobs.inspect import inspect
from features import Columns, Features, fit_encoder, open_data
from tests.conftest import click_log

FEATURES = {
    "user": {"vocabulary": {"min_count": 2}},
    "item": {"hash": 50},
    "history": {"type": "sequence", "identity": 100},
    "price": {"type": "numeric"},
}


def table_of(users, items, histories):
    size = len(users)
    price, label = np.arange(size, dtype=float), np.arange(size) % 2
    return pa.table({"user": users, "item": items, "history": histories, "price": price, "y": label})


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "a.parquet"
    pq.write_table(table_of([1, 1, 2], ["a", "b", None], [[3, 4], [], [3]]), path)
    return fit_encoder(Features(columns=FEATURES), Columns("y"), open_data(str(path)), seed=1)


def test_shares_are_of_the_values_that_are_not_null(encoder):
    counts = UnknownIds.of(encoder)
    table = table_of(pa.array([1, 2, 9, None]), pa.array(["a", None, "zz", "b"]), [[3, 5, 6], [], [4], [9, 9, 9, 9]])

    counts.add(encoder(table, "here"))

    assert counts.result() == {
        "user": {"values": 3, "share": 2 / 3},
        "item": {"values": 3, "share": 1 / 3},
        "history": {"values": 8, "share": 6 / 8},
    }


def test_states_merge(encoder):
    tables = [table_of([1, 5], ["a", "q"], [[3], [8, 9]]), table_of([2], ["b"], [[4]])]
    parts = [UnknownIds.of(encoder) for _ in tables]
    for part, table in zip(parts, tables, strict=True):
        part.add(encoder(table, "here"))
    whole = UnknownIds.of(encoder)
    whole.add(encoder(pa.concat_tables(tables), "here"))

    assert parts[0].merge(parts[1]).result() == whole.result()


def test_a_feature_without_values_has_no_share(encoder):
    counts = UnknownIds.of(encoder)
    counts.add(encoder(table_of(pa.array([None], pa.int64()), ["a"], [[3]]), "here"))
    assert counts.result()["user"] == {"values": 0, "share": None}


def test_a_run_reports_and_inspect_shows_the_share_of_unseen_ids(make_experiment, tmp_path):
    strangers = click_log(200, seed=5)
    user = pa.array([1000 + k if k % 4 == 0 else value for k, value in enumerate(strangers["user"].to_pylist())])
    strangers = strangers.set_column(strangers.schema.get_field_index("user"), "user", user)
    pq.write_table(strangers, tmp_path / "test.parquet")
    sets = f"data={{train: {tmp_path / 'clicks'}, test: {tmp_path / 'test.parquet'}, label: clicked}}"
    experiment = make_experiment(
        sets, "features.columns.user={hash: 1000000, dim: 4}", "training.epochs=1", "training.early_stopping=null"
    )
    assert inspect(experiment, tmp_path / "run").profiles["test"].inputs["user"].unknown_share == 0.25

    ctr.train(experiment, tmp_path / "run")

    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["unknown_ids"]["test"]["user"] == {"values": 200, "share": 0.25}
    assert "Unknown ids in test: user 25.0%" in (tmp_path / "run" / "report.md").read_text()
    page = (tmp_path / "run" / "report.html").read_text()
    assert re.search(r'<td class="text">user</td><td>25.0%</td>', page)
