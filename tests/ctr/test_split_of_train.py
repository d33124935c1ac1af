"""A validation set from the training files: `data.split` next to `data.train`."""

import pyarrow as pa
import pytest

from ctr.config.experiment import load_experiment
from ctr.errors import ConfigError
from ctr.training.data import open_splits
from features import open_data, read_tables

FILES = ["data.path=null", "data.train=clicks/part-0.parquet", "data.test=clicks/part-1.parquet"]


@pytest.fixture
def load(config, data_folder):
    def of(*overrides):
        root = f"data.root={data_folder.parent}"
        files = [text.replace("clicks/", f"{data_folder.name}/") for text in FILES]
        return load_experiment(config, [root, *files, *overrides])

    return of


def rows_of(groups):
    return pa.concat_tables([table for _, table in read_tables(groups, ["user", "item", "ts"])]).to_pylist()


@pytest.mark.parametrize("split", ["{by: random, fractions: [0.75, 0.25]}", "{by: random, fractions: [0.75, 0.25, 0]}"])
def test_a_seeded_fraction_of_the_training_files_validates(load, data_folder, split):
    splits = open_splits(load(f"data.split={split}"))
    train, valid, test = (rows_of(splits[name]) for name in ("train", "valid", "test"))
    whole = rows_of(open_data(str(data_folder / "part-0.parquet")))
    assert len(train) + len(valid) == len(whole)
    assert 0.15 < len(valid) / len(whole) < 0.35
    assert sorted(map(str, train + valid)) == sorted(map(str, whole))
    assert test == rows_of(open_data(str(data_folder / "part-1.parquet")))
    again, other = (open_splits(load(f"data.split={split}", *seed)) for seed in ([], ["seed=99"]))
    assert rows_of(again["valid"]) == valid != rows_of(other["valid"])


def test_the_training_files_can_be_split_by_time_and_without_test(load):
    splits = open_splits(load("data.split={by: time, column: ts, fractions: [0.8, 0.2]}", "data.test=null"))
    assert set(splits) == {"train", "valid"}
    assert max(row["ts"] for row in rows_of(splits["train"])) < min(row["ts"] for row in rows_of(splits["valid"]))


def test_two_fractions_of_one_path_leave_no_test(make_experiment):
    assert set(open_splits(make_experiment("data.split={by: rows, fractions: [0.8, 0.2]}"))) == {"train", "valid"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.split.fractions=[0.8, 0.1, 0.1]"], "must have the fractions of train and valid only"),
        (["data.valid=clicks/part-1.parquet", "data.test=null"], "`split` divides `train` into train and valid, but"),
    ],
)
def test_a_split_that_contradicts_the_files_is_an_error(load, overrides, message):
    with pytest.raises(ConfigError, match="data: ") as caught:
        load(*overrides)
    assert message in str(caught.value)
