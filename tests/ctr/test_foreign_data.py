"""A click log as written by other programs gives the same results in all commands as a plain log."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ctr import evaluate, train
from ctr.cli import app
from ctr.config.experiment import load_experiment
from ctr.jobs.inspect import inspect
from ctr.jobs.psi import DriftSettings, compare_data
from tests.conftest import click_log
from tests.ctr.conftest import PLAIN_MODEL

pytestmark = pytest.mark.usefixtures("undrawn_plots")
CITIES = ["New York", "São Paulo", "a/b=c", "+1", "100%"]
FORMAT = "%d/%b/%Y:%H:%M:%S %z"
END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)
CASTS = {
    "user": "hex",
    "item": "text",
    "history": "text",
    "price": "number",
    "shop": "integer",
    "seen": {"timestamp": FORMAT},
}
CONFIG = {
    "name": "foreign",
    "data": {
        "split": {"by": "time", "column": "ts", "fractions": [0.6, 0.2, 0.2]},
        "label": "clicked",
        "weight": "w",
        "keep": ["ts", "city", "seen", "token"],
    },
    "features": {
        "defaults": {"dim": 4},
        "columns": {
            "user": {},
            "item": {},
            "history": {"type": "sequence", "table": "item", "max_length": 4},
            "hour": {"column": "ts", "part": "hour", "time_zone": "Asia/Tokyo"},
            "weekday": {"column": "seen", "part": "weekday"},
            "price": {"type": "numeric", "transform": "log1p"},
            "city": {},
            "shop": {"identity": 7},
        },
    },
    "model": {"type": "dcn_v2", "cross_layers": 1, "hidden": [8]},
    "training": {"batch_size": 64, "epochs": 1, "threads": 2, "device": "cpu", "validate_every": {"steps": 5}},
    "report": {"group": "user", "slices": ["city"], "time": {"column": "ts", "by": "month"}},
}


def log(city):
    """Return the rows of a city, in plain types."""
    table = click_log(600, seed=city)
    rows = table.num_rows
    ts = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=3 * k) for k in range(rows)]
    ts[9::10] = [END_OF_TIME] * (rows // 10)
    columns = {
        **{name: table[name] for name in ("item", "history", "price", "w", "clicked")},
        "user": [f"{user:032x}" for user in table["user"].to_pylist()],
        "ts": pa.array(ts, pa.timestamp("us")),  # INT96 has no zone
        "seen": pa.array(ts[::-1], pa.timestamp("us", "UTC")),
        "shop": pa.array([None if k % 9 == 8 else k % 7 for k in range(rows)], pa.int64()),
        "city": [CITIES[city]] * rows,
        "token": [f"token {k % 11}" for k in range(rows)],
    }
    return pa.table(columns)


def foreign(table):
    """Return the same rows as other programs write them: text as bytes, UUIDs, decimals, float ids, times as text."""
    users = [bytes.fromhex(user) for user in table["user"].to_pylist()]
    bytes_of = table["history"].combine_chunks()
    history = pa.ListArray.from_arrays(bytes_of.offsets, bytes_of.values.cast(pa.binary()))
    prices = [None if price is None else repr(price) for price in table["price"].to_pylist()]
    seen = [time.strftime(FORMAT) for time in table["seen"].to_pylist()]
    changed = {
        "user": pa.array(users, pa.uuid()),
        "item": table["item"].cast(pa.binary()),
        "history": history,
        "price": pa.array(prices, pa.string()).dictionary_encode(),
        "clicked": table["clicked"].cast(pa.int64()).cast(pa.decimal128(38, 0)),
        "shop": table["shop"].cast(pa.float64()),
        "seen": pa.array(seen, pa.string()),
        "token": table["token"].cast(pa.binary()),
    }
    return pa.table({name: changed.get(name, table[name]) for name in table.column_names if name != "city"})


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Write the plain log as flat files and the foreign log in folders, in the same order of files."""
    root = tmp_path_factory.mktemp("foreign")
    names = [f"city={name}" for name in ("New%20York", "S%C3%A3o%20Paulo", "a%2Fb%3Dc", "+1", "100%25")]
    order = sorted(range(len(names)), key=names.__getitem__)
    for place, city in enumerate(order):
        table = log(city)
        (root / "plain").mkdir(exist_ok=True)
        pq.write_table(table, root / "plain" / f"{place}.parquet", row_group_size=200)
        (root / "foreign" / names[city]).mkdir(parents=True)
        path = root / "foreign" / names[city] / "a.parquet"
        form = {"use_dictionary": False, "column_encoding": {"seen": "DELTA_BYTE_ARRAY"}, "data_page_version": "2.0"}
        pq.write_table(foreign(table), path, row_group_size=200, use_deprecated_int96_timestamps=True, **form)
    return root


def experiment(folders, kind):
    data = {**CONFIG["data"], "path": str(folders / kind), "cast": CASTS if kind == "foreign" else {}}
    path = folders / f"{kind}.yaml"
    path.write_text(json.dumps({**CONFIG, "data": data}))
    return load_experiment(path)


@pytest.fixture(scope="module")
def runs(folders, undrawn_plots):
    """Return (run folder, report) by kind of data."""
    return {
        kind: (folders / f"run-{kind}", train(experiment(folders, kind), folders / f"run-{kind}"))
        for kind in ("plain", "foreign")
    }


def scores(path):
    """Return the scores of a file, with pass-through columns in the types of the plain log."""
    table = pq.read_table(path)
    return table.set_column(
        table.column_names.index("token"), "token", table["token"].cast(pa.binary()).cast(pa.large_string())
    )


@pytest.mark.slow
def test_training_sees_the_same(runs):
    (plain, before), (other, after) = runs["plain"], runs["foreign"]
    assert (plain / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()
    assert before["fingerprints"] == after["fingerprints"]
    for part in ("metrics", "psi", "slices", "frequency", "tables", "checks"):
        assert before[part] == after[part], part


@pytest.mark.parametrize("name", ["valid", "test"])
@pytest.mark.slow
def test_scores_are_the_same_with_all_kept_columns(runs, name):
    plain, other = (scores(run / "scores" / f"{name}.parquet") for run, _ in runs.values())
    assert plain.equals(other)
    assert set(other["city"].to_pylist()) == set(CITIES)


@pytest.mark.slow
def test_the_end_of_time_is_the_last_of_a_split_by_time(runs):
    """INT96 in nanoseconds would wrap around to the year 1816, so the row would belong to train."""
    run, _ = runs["foreign"]
    test = pq.read_table(run / "scores" / "test.parquet")["ts"]
    assert pc.sum(pc.equal(test, pa.scalar(END_OF_TIME.replace(tzinfo=None), test.type))).as_py() == 300


@pytest.mark.slow
def test_evaluations_of_all_rows_are_the_same(folders, runs):
    found = {}
    for kind, (run, _) in runs.items():
        report = evaluate(run, str(folders / kind), folders / f"evaluation-{kind}")
        table = scores(folders / f"evaluation-{kind}" / "scores" / f"{kind}.parquet")
        found[kind] = (report["metrics"][kind], report["psi"]["features"][kind], table)
    assert found["plain"][:2] == found["foreign"][:2]
    assert found["plain"][2].equals(found["foreign"][2])


@pytest.mark.slow
def test_an_inspection_counts_the_same_and_shows_kept_bytes(folders):
    plain, other = (inspect(experiment(folders, kind), folders / "none") for kind in ("plain", "foreign"))
    of_data = [{f.sentence for f in found.findings if f.check not in ("memory", "disk")} for found in (plain, other)]
    assert of_data[0] == of_data[1]
    for name, profile in plain.profiles.items():
        for column, seen in profile.inputs.items():
            found = other.profiles[name].inputs[column]
            assert (seen.rows, seen.nulls, seen.values) == (found.rows, found.nulls, found.values)
            assert seen.different == found.different, column
            if column != "token":
                assert (seen.low, seen.high) == (found.low, found.high), column
    token = other.profiles["train"].inputs["token"]
    assert (token.low, token.different) == (b"token 0".hex(), 11)


@pytest.mark.slow
def test_psi_is_that_of_the_plain_log(folders):
    names = tuple(dict.fromkeys([*CASTS, "city", "w", "clicked"]))
    columns = tuple(name for name in names if name != "seen")
    settings = {"columns": columns, "cast": CASTS, "time": {"column": "ts", "by": "month"}}
    foreign_twice = compare_data(*[str(folders / "foreign")] * 2, DriftSettings.model_validate(settings))
    plain_twice = compare_data(*[str(folders / "plain")] * 2, DriftSettings.model_validate({**settings, "cast": {}}))
    assert foreign_twice["psi"] == plain_twice["psi"]
    assert foreign_twice["psi"]["over_time"]["periods"] == ["2026-01", "2026-02", "2026-03", "9999-12"]
    assert all(one["psi"] < 0.1 for one in foreign_twice["psi"]["features"]["current"].values())


@pytest.mark.slow
def test_psi_takes_casts_from_the_command_line(folders):
    options = ["--columns", "user,seen,price", "--cast", "user=hex", "--cast", "price=number"]
    command = ["psi", *[str(folders / "foreign")] * 2, *options, "--cast", f"seen=timestamp:{FORMAT}"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.stderr
    assert "price" in result.stdout
    wrong = CliRunner().invoke(app, [*command, "--cast", "item=int"])
    assert wrong.exit_code == 2
    assert "--cast: must be text, hex, integer, number or {timestamp: FORMAT}" in wrong.stderr
    assert CliRunner().invoke(app, [*command, "--cast", "item"]).exit_code == 2


@pytest.mark.slow
def test_kept_times_of_files_in_two_units_are_of_one_scale(make_experiment, data_folder, tmp_path):
    """Nanoseconds cannot represent times of the first file, and those of the others must not lose digits silently."""
    first, last = datetime(1, 1, 1), datetime(9999, 12, 31)
    for place, unit in enumerate(("us", "ns", "ns")):
        path = data_folder / f"part-{place}.parquet"
        table = pq.read_table(path)
        times = [first, last] * 200 if unit == "us" else [datetime(2026, 1, 1 + k % 9, 0, 0, 0, 7) for k in range(400)]
        pq.write_table(table.append_column("at", pa.array(times, pa.timestamp(unit))), path, row_group_size=200)
    experiment = make_experiment(
        f"model={PLAIN_MODEL}",
        "data.keep=[at]",
        "training.epochs=1",
        "data.split={by: random, fractions: [0.6, 0.2, 0.2]}",
    )
    seen = inspect(experiment, tmp_path / "run").profiles["train"].inputs["at"]
    assert (seen.low.item(), seen.high.item(), seen.different) == (first, last, 11)
    train(experiment, tmp_path / "run")
    kept = pq.read_table(tmp_path / "run" / "scores" / "test.parquet")["at"]
    assert kept.type == pa.timestamp("us")
    assert {*kept.to_pylist()} == {first, last, *(datetime(2026, 1, 1 + k, 0, 0, 0, 7) for k in range(9))}
