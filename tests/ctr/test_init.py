"""`ctr init`: the printed config loads, trains, and is the same at each call."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.config.experiment import load_experiment
from ctr.starter.build import build_starter
from ctr.starter.config_text import config_text, scalar
from tests.conftest import THREADS, click_log

ROWS = 1200
NAMES = [
    *(
        "a.b",
        'quo"te',
        "it's",
        "naïve ü",
        "日本",
        "C*",
        "x[0]",
        "a/b",
        "yes",
        "no",
        "null",
        "1",
        "1e5",
        "true",
        "~",
        "- x",
    ),
    *(
        "# x",
        "a: b",
        "tab\tname",
        "line\nbreak",
        "{x}",
        "",
        "weight",
        "score",
        "*",
        "emoji 😀",
        "\x1b[2J",
        "&x",
        "!x",
        "%x",
    ),
    *(" lead", "trail ", "?", "a, b", "\u2028", "\x85"),
]


def init(*arguments):
    done = CliRunner().invoke(app, ["init", *map(str, arguments)])
    assert not isinstance(done.exception, Exception), done.exception
    return done


def write(path, columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=500)
    return path


def columns_of(rows, seed=0):
    """Return a small log with a label that depends on the item."""
    random = np.random.default_rng(seed)
    item = random.integers(0, 20, rows)
    return {
        "label": (random.random(rows) < np.where(item < 10, 0.2, 0.6)).astype("int8"),
        "item": [f"item {k}" for k in item],
        "price": np.exp(random.normal(3, 1, rows)),
    }


def trained(text, folder, *overrides):
    config = folder / "config.yaml"
    config.write_text(text)
    small = ["training.epochs=1", f"training.threads={THREADS}", "training.device=cpu", "report.worst_rows=0"]
    return ctr.train(load_experiment(config, [*small, *overrides]), folder / "run")


def test_a_log_is_described_so_that_it_trains_without_an_edit(tmp_path):
    path = tmp_path / "clicks.parquet"
    pq.write_table(click_log(), path, row_group_size=300)
    done = init(path)
    assert done.exit_code == 0
    values = yaml.safe_load(done.stdout)
    assert values["name"] == "clicks"
    assert values["data"] == {
        "path": str(path),
        "split": {"by": "time", "column": "ts", "fractions": [0.8, 0.1, 0.1]},
        "label": "clicked",
        "keep": ["ts"],
    }
    assert values["features"]["columns"].keys() >= {"user", "item", "history", "price"}
    assert values["features"]["columns"]["history"]["table"] == "item"
    report = trained(done.stdout, tmp_path)
    assert set(report["metrics"]) == {"train", "valid", "test"}


def test_the_same_command_prints_the_same_text_and_only_stdout_has_yaml(tmp_path):
    write(tmp_path / "shop" / "a.parquet", columns_of(ROWS))
    first, second = init(tmp_path / "shop"), init(tmp_path / "shop")
    assert first.stdout == second.stdout
    assert first.stdout.startswith(f"# Made by: ctr init {tmp_path / 'shop'}\n")
    assert "1,200 rows" in first.stderr
    assert not list(Path(tmp_path).glob("*.yaml"))


def test_splits_by_name_train_with_a_validation_split_from_train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("data/train.parquet"), columns_of(ROWS))
    write(Path("data/test.parquet"), columns_of(400, 1))
    write(Path("data/items.parquet"), {"item": ["a"], "name": ["b"]})
    done = init("data/")
    assert "ignored, not named after a split: data/items.parquet" in done.stderr.splitlines()
    values = yaml.safe_load(done.stdout)["data"]
    split = {"by": "random", "fractions": [0.9, 0.1]}
    assert values == {
        "root": "data",
        "train": "train.parquet",
        "test": "test.parquet",
        "split": split,
        "label": "label",
    }
    rows = {name: metrics["rows"] for name, metrics in trained(done.stdout, tmp_path)["metrics"].items()}
    assert rows["train"] + rows["valid"] == ROWS
    assert rows["test"] == 400
    assert 60 < rows["valid"] < 180


@pytest.mark.parametrize("columns", [{"item": ["a"] * 9}, {"item": ["a"] * 9, "label": [0] * 9}])
def test_a_test_file_without_labels_is_ignored(tmp_path, columns):
    write(tmp_path / "train.parquet", columns_of(ROWS))
    write(tmp_path / "test.parquet", columns)
    done = init(tmp_path)
    assert "ignored, no labels of both classes in 'label': test.parquet" in done.stderr
    assert "test" not in yaml.safe_load(done.stdout)["data"]


def test_columns_that_test_lacks_or_has_in_another_type_are_left_out(tmp_path):
    extra = {"a": ["x", "y"] * 600, "b": np.arange(ROWS) % 7}
    write(tmp_path / "train.parquet", columns_of(ROWS) | extra)
    write(tmp_path / "test.parquet", columns_of(400) | {"b": ["x"] * 400})
    done = init(tmp_path)
    assert "left out 'a': test lacks it" in done.stderr
    assert "left out 'b': files disagree on its type: int64, string" in done.stderr
    assert set(yaml.safe_load(done.stdout)["features"]["columns"]) == {"item", "price"}


def test_files_with_other_columns_are_no_part_of_a_dataset(tmp_path):
    write(tmp_path / "2026-01.parquet", columns_of(ROWS))
    write(tmp_path / "2026-02.parquet", columns_of(ROWS) | {"new": np.arange(ROWS)})
    write(tmp_path / "items.parquet", {"item": ["a"], "name": ["b"], "maker": ["c"]})
    done = init(tmp_path)
    assert f"ignored, with other columns than {tmp_path}/2026-01.parquet: {tmp_path}/items.parquet\n" in done.stderr
    values = yaml.safe_load(done.stdout)
    assert values["data"]["path"] == [f"{tmp_path}/2026-01.parquet", f"{tmp_path}/2026-02.parquet"]
    assert set(values["features"]["columns"]) == {"item", "price"}


def test_many_files_of_a_dataset_are_a_glob_and_ignored_files_one_line(tmp_path):
    for day in range(1, 6):
        write(tmp_path / f"day-{day}.parquet", columns_of(ROWS))
        write(tmp_path / f"items-{day}.parquet", {"item": ["a"], "name": ["b"], "maker": ["c"]})
    done = init(tmp_path)
    values = yaml.safe_load(done.stdout)
    assert values["data"]["path"] == f"{tmp_path}/day-*.parquet"
    [line] = [line for line in done.stderr.splitlines() if "ignored" in line]
    names = ", ".join(f"{tmp_path}/items-{day}.parquet" for day in (1, 2, 3))
    assert line == f"ignored, with other columns than {tmp_path}/day-1.parquet: {names} and 2 more"


def test_many_files_without_a_glob_have_a_line_each(tmp_path):
    kept = [tmp_path / f"{name}.parquet" for name in ("clicks", "more-clicks", "old-clicks", "x-clicks")]
    for path in kept:
        write(path, columns_of(ROWS))
    write(tmp_path / "items.parquet", {"item": ["a"], "name": ["b"], "maker": ["c"]})
    done = init(tmp_path)
    assert yaml.safe_load(done.stdout)["data"]["path"] == [str(path) for path in kept]
    assert "".join(["  path:\n", *(f"    - {path}\n" for path in kept)]) in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 140


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_named_dataset_with_other_columns_is_an_error(tmp_path, order):
    folders = [tmp_path / "clicks", tmp_path / "items"]
    write(folders[0] / "a.parquet", columns_of(ROWS))
    for k in range(3):
        write(folders[1] / f"{k}.parquet", {"item": ["a"], "name": ["b"], "maker": ["c"]})
    done = init(*(folders[k] for k in order))
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"error: {folders[1]}: has other columns than {folders[0]}/a.parquet, so both cannot be one dataset. "
        "Leave one of the two out.\n"
    )


def test_the_header_says_of_which_split_the_rows_are(tmp_path):
    write(tmp_path / "train.parquet", columns_of(ROWS))
    write(tmp_path / "test.parquet", columns_of(400))
    done = init(tmp_path)
    text = " ".join(line.removeprefix("# ") for line in done.stdout.splitlines())
    assert f"Read {ROWS:,} training rows in 1 file(s), 3 columns. Only columns and labels of test were read." in text
    assert done.stderr.startswith(f"{ROWS:,} training rows, label 'label'")


def test_folders_of_dates_split_by_their_date(tmp_path):
    for day in range(1, 21):
        write(tmp_path / "log" / f"dt=2026-01-{day:02d}" / "x.parquet", columns_of(100, day))
    values = yaml.safe_load(init(tmp_path / "log").stdout)
    assert values["data"]["split"]["column"] == "dt"
    assert values["features"]["columns"]["weekday"] == {"column": "dt", "part": "weekday"}


def test_every_name_of_a_column_survives(tmp_path):
    random = np.random.default_rng(0)
    write(tmp_path / "names.parquet", columns_of(ROWS) | {name: random.integers(0, 5, ROWS) for name in NAMES})
    done = init(tmp_path / "names.parquet")
    values = yaml.safe_load(done.stdout)
    read = {settings.get("column", name) for name, settings in values["features"]["columns"].items()}
    assert read == {"item", "price", *NAMES}
    assert "\x1b" not in done.stdout + done.stderr
    assert trained(done.stdout, tmp_path)["metrics"]["test"]["rows"] > 0


def test_three_hundred_columns_and_uncommented_lines_load(tmp_path):
    random = np.random.default_rng(0)
    columns = columns_of(ROWS) | {f"x{k}": random.normal(size=ROWS) for k in range(300)} | {"same": ["NL"] * ROWS}
    write(tmp_path / "wide.parquet", columns)
    text = init(tmp_path / "wide.parquet").stdout
    assert len(yaml.safe_load(text)["features"]["columns"]) == 302
    config = tmp_path / "all.yaml"
    config.write_text(text.replace("    # same: {}", "    same: {}"))
    assert "same" in load_experiment(config).features.columns
    for optimizer in ("ftrl", "group_lasso_adagrad"):
        line = next(line for line in text.splitlines() if f'# "*": {{type: {optimizer}' in line)
        default = next(line for line in text.splitlines() if '"*": {type: rmsprop_v2' in line)
        config.write_text(text.replace(default, line.replace("# ", "", 1)))
        assert load_experiment(config).optimizers.sparse["*"].type == optimizer


@settings(max_examples=60, deadline=None)
@given(
    value=st.recursive(
        st.text(max_size=8) | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    )
)
def test_a_scalar_is_read_back_as_itself(value):
    assert yaml.safe_load(scalar(value)) == value
    assert "\n" not in scalar(value)


def test_the_config_does_not_depend_on_how_rows_are_grouped(tmp_path):
    texts = []
    for rows in (100, 1200):
        pq.write_table(click_log(), tmp_path / "clicks.parquet", row_group_size=rows)
        texts.append(config_text(build_starter([str(tmp_path / "clicks.parquet")], None)[0]))
    assert texts[0] == texts[1]


@pytest.mark.slow
def test_no_tensorflow_is_imported(tmp_path):
    write(tmp_path / "a.parquet", columns_of(ROWS))
    code = (
        "import sys; from ctr.jobs.init import init; "
        f"init([{json.dumps(str(tmp_path / 'a.parquet'))}]); assert not [m for m in sys.modules if 'tensorflow' in m]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
