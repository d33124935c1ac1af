"""The monitor of early stopping selects the validation that is best by its formula, and a run reports it."""

import json
from typing import get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

import ctr
from ctr.config.training import EarlyStopping
from ctr.errors import ConfigError
from ctr.metrics import MONITORS
from ctr.report.history import History
from ctr.runs.run import Run
from features import DataError
from tests.ctr.conftest import PLAIN_MODEL, lines_of

pytestmark = pytest.mark.usefixtures("undrawn_plots")
FORMULAS = {
    "auc": lambda line: line["auc"],
    "log_loss": lambda line: -line["loss"],
    "auc - log_loss": lambda line: line["auc"] - line["loss"],
    "auc + gauc": lambda line: line["auc"] + line["gauc"],
}


def settings(metric, group="user"):
    return [
        f"model={PLAIN_MODEL}",
        "training.validate_every={steps: 4}",
        f"training.early_stopping={{metric: {metric}, patience: 99}}",
        f"report.group={group}",
    ]


def test_every_monitor_of_a_config_has_its_formula():
    names = get_args(EarlyStopping.model_fields["metric"].annotation)
    assert set(names) == set(MONITORS) == set(FORMULAS)
    assert [name for name in names if EarlyStopping(metric=name).needs_groups] == ["auc + gauc"]


@pytest.mark.parametrize("metric", FORMULAS)
def test_the_best_validation_is_that_of_the_formula(metric, make_experiment, tmp_path):
    ctr.train(make_experiment(*settings(metric)), tmp_path / "run")

    lines = lines_of(tmp_path / "run", "valid")
    expected = max(lines, key=FORMULAS[metric])
    best = json.loads((tmp_path / "run" / "checkpoints" / "best.json").read_text())

    assert best["step"] == expected["step"]
    assert best[metric] * MONITORS[metric].sign == pytest.approx(FORMULAS[metric](expected), abs=1e-12)
    assert History.load(Run(tmp_path / "run")).best == expected
    assert all(("gauc" in line) == (metric == "auc + gauc") for line in lines)


def test_the_gauc_of_a_validation_is_the_mean_of_the_aucs_of_groups(make_experiment, tmp_path):
    report = ctr.train(make_experiment(*settings("auc + gauc"), "data.keep=[user, ts]"), tmp_path / "run")

    scores = pq.read_table(tmp_path / "run" / "scores" / "valid.parquet").to_pandas()
    groups = [group for _, group in scores.groupby("user") if group["label"].nunique() == 2]
    expected = sum(len(group) * roc_auc_score(group["label"], group["logit"]) for group in groups)
    expected /= sum(map(len, groups))

    best = History.load(Run(tmp_path / "run")).best
    assert best["gauc"] == pytest.approx(expected, abs=1e-9)
    assert report["metrics"]["valid"]["gauc"] == pytest.approx(expected, abs=1e-9)


def test_groups_are_needed(make_experiment):
    with pytest.raises(ConfigError, match=r"'auc \+ gauc' needs groups to rank within\. Set report\.group to a column"):
        make_experiment("training.early_stopping.metric=auc + gauc")


def test_groups_of_one_label_each_have_no_monitor(make_experiment, data_folder, tmp_path):
    for path in data_folder.iterdir():
        table = pq.read_table(path)
        numbers = pa.array(range(table.num_rows))
        pq.write_table(table.append_column("row", numbers), path, row_group_size=200)
    experiment = make_experiment(*settings("auc + gauc", group="row"))
    with pytest.raises(DataError, match=r"valid: the monitor `auc \+ gauc` is undefined"):
        ctr.train(experiment, tmp_path / "run")


def test_a_resumed_run_keeps_the_groups_of_its_monitor(make_experiment, tmp_path):
    ctr.train(make_experiment(*settings("auc + gauc"), "training.epochs=1"), tmp_path / "run")
    other = make_experiment(*settings("auc + gauc", group="item"), "training.epochs=2")
    with pytest.raises(ConfigError, match=r"report\.group: user in the run, item now"):
        ctr.train(other, tmp_path / "run", resume=True)
