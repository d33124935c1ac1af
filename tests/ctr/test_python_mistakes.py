"""Mistakes in Python get the words of Python: arguments of the wrong type, and functions to use instead."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from error_contract import violations

import ctr
from ctr.config.yaml_file import list_overrides
from ctr.errors import ConfigError
from features import Columns, DataError, Features, fit_encoder, open_data


def message_of(function, *arguments, **named):
    with pytest.raises((ConfigError, DataError)) as error:
        function(*arguments, **named)
    assert not violations(str(error.value))
    return str(error.value)


def test_one_override_is_a_list_of_one(small_config):
    one, many = (ctr.load_experiment(small_config, overrides) for overrides in ("seed=7", ["seed=7"]))
    assert one == many
    assert one.seed == 7
    assert list_overrides(None) == []
    assert list_overrides(("a=1", "b=2")) == ["a=1", "b=2"]


@pytest.mark.parametrize("overrides", [{"seed": 7}, [7], 3])
def test_overrides_of_another_type_are_an_error(small_config, overrides):
    expected = 'overrides: must be a list of texts, such as ["training.epochs=3"]. Received: '
    assert message_of(ctr.load_experiment, small_config, overrides).startswith(expected)


def test_a_path_is_not_an_experiment_or_a_study(small_config, tmp_path):
    assert message_of(ctr.train, str(small_config), tmp_path / "run") == (
        "experiment: expected an Experiment, got str. Use `ctr.load_experiment(path)`."
    )
    assert message_of(ctr.compare, small_config, tmp_path / "out") == (
        "study: expected a Study, got PosixPath. Use `ctr.load_study(path)`."
    )
    assert not list(tmp_path.iterdir())


def test_a_table_in_memory_is_evaluated_by_a_loaded_run(small_run):
    assert message_of(ctr.evaluate, small_run, pd.DataFrame({"user": [1]})) == (
        "data: a DataFrame, expected files. Use `ctr.load_run(run).evaluate(data)`."
    )


def test_a_run_that_exists_names_option_and_argument(small_config, small_run):
    message = message_of(ctr.train, ctr.load_experiment(small_config), small_run)
    assert message.endswith(
        "already holds a run. Choose another run folder, or add --overwrite (in Python overwrite=True)."
    )
    both = message_of(ctr.train, ctr.load_experiment(small_config), small_run, overwrite=True, resume=True)
    assert both.startswith("resume: cannot be combined with overwrite.")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (Columns("click"), "no column 'click'; did you mean 'clicked'?"),
        (Columns("clicked", "w"), "no column 'w'; known: user, user_age, clicked"),
    ],
)
def test_an_encoder_of_a_column_that_is_missing(tmp_path, columns, expected):
    table = pa.table({"user": [1, 2] * 4, "user_age": [30, 40] * 4, "clicked": np.array([0, 1] * 4, np.int8)})
    pq.write_table(table, tmp_path / "a.parquet")
    data, features = open_data(tmp_path), Features(columns={"user": {"identity": 3}})
    message = message_of(fit_encoder, features, columns, data, seed=1)
    assert message == f"{tmp_path}/a.parquet: {expected}"
    assert fit_encoder(features, Columns("clicked"), data, seed=1).input_columns == ["user", "clicked"]


def test_a_missing_feature_is_not_a_column_that_another_feature_reads(small_run):
    run = ctr.load_run(small_run)
    frame = pd.DataFrame({name: ["x"] for name in run.encoder.input_columns if name != "user"} | {"users": [1]})
    assert "no column 'user'; did you mean 'users'?" in message_of(run.score, frame)
    renamed = frame.drop(columns=["users"])
    assert "no column 'user'; known: " in message_of(run.score, renamed)
