"""Splits by the names of files."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr.starter.files import find_sources, split_of
from features import DataError


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes empty Parquet files below `data/`, which is in the working directory."""
    monkeypatch.chdir(tmp_path)

    def files(*names):
        for name in names:
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table({"x": [1]}), path)

    return files


@pytest.mark.parametrize(
    ("files", "splits", "ignored"),
    [
        (
            ["train.parquet", "valid.parquet", "test.parquet"],
            {"train": ["train.parquet"], "valid": ["valid.parquet"], "test": ["test.parquet"]},
            [],
        ),
        (
            ["train/a.parquet", "train/b.parquet", "val/c.parquet", "items.parquet"],
            {"train": ["train"], "valid": ["val"]},
            ["data/items.parquet"],
        ),
        (["split=train/a.parquet", "split=test/b.parquet"], {"train": ["split=train"], "test": ["split=test"]}, []),
        (
            [*(f"train-{k}.parquet" for k in range(5)), "Test_set.parquet"],
            {"train": ["train-*.parquet"], "test": ["Test_set.parquet"]},
            [],
        ),
        (
            ["training.parquet", "train.parquet", "train/x.parquet", "train2.parquet", "dev.parquet"],
            {"train": ["train", "train.parquet", "train2.parquet", "training.parquet"], "valid": ["dev.parquet"]},
            [],
        ),
        (["test.parquet", "trains.parquet"], {"all": ["data"]}, []),
        (["2026-01-01.parquet"], {"all": ["data"]}, []),
    ],
)
def test_names_determine_the_splits(write, files, splits, ignored):
    write(*files)
    sources = find_sources(["data"])
    assert dict(sources.splits) == splits
    assert sources.ignored == ignored
    assert sources.root == ("data" if sources.are_named else None)


def test_several_paths_are_named_as_they_were_written(write):
    write("train.parquet", "test.parquet", "x.parquet")
    sources = find_sources(["data/train.parquet", "./data/test.parquet", "data/x*.parquet"])
    assert sources.root is None
    assert dict(sources.splits) == {"train": ["data/train.parquet"], "test": ["./data/test.parquet"]}
    assert sources.ignored == ["data/x.parquet"]


def test_folders_can_be_given_by_their_own_names(write):
    write("train/a.parquet", "test/b.parquet")
    assert dict(find_sources(["data/train", "data/test/"]).splits) == {"train": ["data/train"], "test": ["data/test/"]}
    assert dict(find_sources(["data/test"]).splits) == {"all": ["data/test"]}


@pytest.mark.parametrize("name", ["trainer.parquet", "contest.parquet", "latest", "devices.parquet", "values.parquet"])
def test_other_words_are_no_splits(name):
    assert split_of(name) is None


@pytest.mark.parametrize("path", ["nothing", "data/nothing-*.parquet"])
def test_a_path_without_files_is_an_error(write, path):
    write("train.parquet")
    with pytest.raises(DataError, match=r"no such file|no file matches"):
        find_sources([path])
