"""Configs with patterns and dropped features: what they load to, and how a warm start expands them."""

import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import ctr
from ctr.config import feature_expansion
from ctr.config.experiment import Experiment, load_experiment
from ctr.config.feature_expansion import FeatureExpander
from ctr.errors import ConfigError
from ctr.training.data import prepare
from features import DataError
from tests.conftest import click_part

LIKE = 'features.columns."*"={}'
"""All columns of the click log that have no other use: history, price and w."""


def names(experiment):
    return list(experiment.features.columns)


@pytest.fixture
def wide_config(tmp_path, config):
    """Return the path of a config whose training data has the columns C1, C2 and C3 too, in a folder `day=1`."""
    folder = tmp_path / "clicks" / "day=1"
    folder.mkdir()
    for k in range(3):
        table = click_part(k)
        for name in ("C1", "C2", "C3"):
            table = table.append_column(name, pa.array([f"{name} {row % 7}" for row in range(len(table))]))
        pq.write_table(table, folder / f"part-{k}.parquet", row_group_size=200)
        (tmp_path / "clicks" / f"part-{k}.parquet").unlink()
    return config


def test_a_pattern_becomes_names_and_the_resolved_config_loads_without_data(wide_config, tmp_path):
    experiment = load_experiment(wide_config, ['features.columns."C*"={hash: 50}', "features.columns.C2={}"])
    assert names(experiment) == ["user", "item", "history", "hour", "price", "C1", "C3", "C2"]
    assert [experiment.features.columns[name].hash for name in ("C1", "C2", "C3")] == [50, None, 50]
    assert "C*" not in experiment.to_yaml()
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(experiment.to_yaml())
    shutil.rmtree(tmp_path / "clicks")
    assert load_experiment(resolved) == experiment


def test_all_columns_are_those_without_another_use(wide_config):
    """`ts` splits and is kept, `clicked` is the label, and `day` is a column of the folders."""
    experiment = load_experiment(wide_config, ['features={defaults: {dim: 4}, columns: {"*": {}}}'])
    assert names(experiment) == ["user", "item", "history", "price", "w", "C1", "C2", "C3", "day"]
    used = ["data.weight=w", "data.keep=[ts, C1]", "report={group: user, time: {column: day}}"]
    experiment = load_experiment(wide_config, ['features={columns: {"*": {}}}', *used])
    assert names(experiment) == ["item", "history", "price", "C2", "C3"]


def test_only_the_first_file_of_the_training_data_is_opened(wide_config, tmp_path):
    for k in (1, 2):
        (tmp_path / "clicks" / "day=1" / f"part-{k}.parquet").write_bytes(b"not Parquet")
    assert "C3" in names(load_experiment(wide_config, ['features.columns."C*"={}']))
    (tmp_path / "clicks" / "day=1" / "part-0.parquet").write_bytes(b"not Parquet")
    with pytest.raises(DataError, match=r"part-0.parquet: not a readable Parquet file"):
        load_experiment(wide_config, ['features.columns."C*"={}'])


def test_training_and_validation_in_two_places_expand_against_the_first(wide_config, tmp_path):
    sets = ["data.path=null", "data.split=null", f"data.train={tmp_path}/clicks", "data.valid=nowhere"]
    assert "C3" in names(load_experiment(wide_config, ['features.columns."C*"={}', *sets]))


def test_a_dataset_is_read_once_for_all_variants(wide_config, monkeypatch):
    calls = []
    read = feature_expansion.columns_of_first_file
    monkeypatch.setattr(feature_expansion, "columns_of_first_file", lambda *args: calls.append(args) or read(*args))
    values = yaml.safe_load(wide_config.read_text())
    values["features"]["columns"]["C*"] = {}
    expander = FeatureExpander()
    assert expander.expand(values, "tiny.yaml") == expander.expand(values, "tiny.yaml")
    assert len(calls) == 1


def test_the_error_of_a_matched_column_names_it(wide_config):
    with pytest.raises(DataError, match="column 'C1' has type string, but numeric feature 'C1' needs"):
        prepare(load_experiment(wide_config, ['features.columns."C*"={type: numeric}']))


def test_the_python_class_refuses_a_pattern_that_is_no_column(wide_config):
    values = yaml.safe_load(wide_config.read_text())
    values["features"]["columns"]["C*"] = {}
    with pytest.raises(ConfigError, match=r"features.columns.C\*: no column 'C\*' in the data. Use `ctr.load_exp"):
        prepare(Experiment.model_validate(values))


def test_a_star_without_quotes_is_an_error_that_says_so(config):
    config.write_text(config.read_text().replace("user: {}", "*: {}"))
    with pytest.raises(ConfigError, match=r"while scanning an alias.* Quote text that starts with `\*`, or correct"):
        load_experiment(config)


def test_expansion_imports_no_tensorflow():
    code = "import sys, ctr.config.feature_expansion; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Drop


def test_a_dropped_feature_leaves_no_trace(make_experiment, config, edit_config):
    dropped = make_experiment("features.columns.hour=drop")
    assert names(dropped) == ["user", "item", "history", "price"]
    edit_config(lambda values: values["features"]["columns"].pop("hour"))
    values = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump(values, sort_keys=False))
    assert names(load_experiment(config)) == sorted(names(dropped))
    assert load_experiment(config).features.columns == dropped.features.columns
    assert "hour" not in dropped.to_yaml()


def test_a_drop_and_a_pattern(wide_config):
    pattern = 'features.columns."C*"={}'
    own = ["user", "item", "history", "hour", "price"]
    assert names(load_experiment(wide_config, [pattern, "features.columns.C2=drop"])) == [*own, "C1", "C3"]
    assert names(load_experiment(wide_config, [pattern, 'features.columns."C[12]"=drop'])) == [*own, "C3"]
    assert names(load_experiment(wide_config, [pattern, 'features.columns."C*"=drop'])) == own
    assert names(load_experiment(wide_config, ['features.columns."*e*"=drop'])) == ["history", "hour"]


def test_the_column_of_a_dropped_feature_stays_out_of_a_pattern(make_experiment):
    sets = ["data.split={by: rows, fractions: [0.6, 0.2, 0.2]}", "data.keep=[]", LIKE]
    assert names(make_experiment(*sets, "features.columns.hour=drop")) == ["user", "item", "history", "price", "w"]


def test_a_drop_by_hand_needs_a_pattern_that_matches(edit_config):
    path = edit_config(lambda values: values["features"]["columns"].update({"w": "drop"}))
    with pytest.raises(ConfigError, match=r"features.columns.w: no feature to drop"):
        load_experiment(path)
    path = edit_config(lambda values: values["features"]["columns"].update({"w": "drop", "*": {"type": "numeric"}}))
    with pytest.raises(ConfigError, match=r"features.columns.\*: matches only columns with another use: ts"):
        load_experiment(path, ["features.columns.w={}"])
    assert "w" not in names(load_experiment(path))


def test_the_optimizer_of_a_dropped_table_goes_with_it(make_experiment):
    own = 'optimizers.sparse={"*": {type: sgd}, user: {type: adagrad}, wide/user: {type: ftrl}, item: {type: sgd}}'
    model = "model={type: wide_deep, hidden: [4]}"
    sparse = make_experiment(own, model, "features.columns.user=drop").optimizers.sparse
    assert {"*", "item"} <= set(sparse)
    assert not {"user", "wide/user"} & set(sparse)
    shared = make_experiment(own, model, "features.columns.item=drop")  # `history` keeps the table
    assert shared.features.columns["history"].table_name == "item"
    assert "item" in shared.optimizers.sparse


CROSS = "features.columns.both={type: cross, of: [user, hour], hash: 9, dim: 2}"


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["features.columns.usr=drop"], "features.columns.usr: no feature to drop; did you mean 'user'?"),
        (['features.columns."C*"=drop'], "features.columns.C*: no feature to drop; known: "),
        (['features.columns."*"=drop'], "features.columns: all 5 features are dropped. Leave at least one in."),
        (
            [CROSS, "features.columns.hour=drop"],
            "features.columns.both: is made of the dropped feature 'hour'. Drop 'both' too, or leave 'hour' in.",
        ),
        (
            ["model={type: din, targets: {history: item}}", "features.columns.item=drop"],
            "model.targets: names the dropped feature 'item'. Remove it there, or leave 'item' in.",
        ),
        (
            ["model={type: can, pairs: [[item, history]], base: dnn}", "features.columns.history=drop"],
            "model.pairs: names the dropped feature 'history'.",
        ),
        (
            [
                "model={type: can, pairs: [[user, history]], base: {type: din, targets: {history: item}}}",
                "features.columns.item=drop",
            ],
            "model.base.targets: names the dropped feature 'item'.",
        ),
        (
            ["report.slices=[user, hour]", "features.columns.hour=drop"],
            "report.slices: the dropped feature 'hour' is not a column of the data.",
        ),
        (["features.columns.user=drop", "features.columns.user.dim=2"], "'user' is not a mapping"),
        (["features.columns=drop"], "features.columns: must be a mapping. Received: 'drop'"),
    ],
)
def test_a_drop_that_cannot_be(make_experiment, sets, message):
    with pytest.raises(ConfigError) as caught:
        make_experiment(*sets)
    assert message in str(caught.value)


def test_a_slice_by_a_dropped_feature_is_a_slice_by_its_column(make_experiment):
    experiment = make_experiment("report.slices=[user]", "features.columns.user=drop")
    assert experiment.report.slices == ["user"]
    prepare(experiment)


def test_both_halves_of_a_cross_can_go_together(make_experiment):
    assert "both" not in names(make_experiment(CROSS, "features.columns.hour=drop", "features.columns.both=drop"))


# Warm start


@pytest.fixture
def parent(wide_config, tmp_path):
    """Train a run with the features user, C1 and C2 and without C3; return its folder."""
    columns = {"user": {}, "C*": {}, "C3": "drop"}
    values = yaml.safe_load(wide_config.read_text())
    values["features"]["columns"], values["training"]["epochs"] = columns, 1
    wide_config.write_text(yaml.safe_dump(values, sort_keys=False))
    ctr.train(load_experiment(wide_config), tmp_path / "parent")
    return tmp_path / "parent"


@pytest.mark.usefixtures("undrawn_plots")
def test_a_warm_start_has_the_features_of_its_parent(wide_config, parent, tmp_path):
    part = tmp_path / "clicks" / "day=1" / "part-0.parquet"
    table = pq.read_table(part, partitioning=None)
    for name in ("C0", "C4"):
        table = table.add_column(0, name, table["C1"])
    pq.write_table(table, part)
    warm = f"training.warm_start.run={parent}"
    notes = []
    experiment = load_experiment(wide_config, [warm], notes.append)
    assert names(experiment) == ["user", "C1", "C2"]
    assert notes == [f"features.columns: ignoring columns that {parent} does not have: C4, C0"]
    pq.write_table(table.drop_columns(["C0", "C4"]), part)
    report = ctr.train(load_experiment(wide_config, [warm], notes.append), tmp_path / "child")
    assert report["warm_start"]["tables"]
    assert len(notes) == 1
    with pytest.raises(ConfigError, match="different features"):
        ctr.train(load_experiment(wide_config, [warm, "features.columns.C1=drop"]), tmp_path / "other")
    with pytest.raises(ConfigError, match=r"no config.yaml in nowhere to read features for the patterns from"):
        load_experiment(wide_config, ["training.warm_start.run=nowhere"])


@pytest.mark.usefixtures("undrawn_plots")
def test_a_run_resumes_with_the_list_that_it_began_with(wide_config, parent, tmp_path):
    part = tmp_path / "clicks" / "day=1" / "part-0.parquet"
    assert ctr.train(load_experiment(wide_config), parent, resume=True)["kind"] == "run"
    table = pq.read_table(part, partitioning=None)
    pq.write_table(table.append_column("C4", table["C1"]), part)
    with pytest.raises(ConfigError, match=r"cannot resume with different settings:\n.*C4"):
        ctr.train(load_experiment(wide_config), parent, resume=True)
