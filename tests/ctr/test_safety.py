"""A run folder or a config from a stranger runs no code, and changes nothing outside its folder."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.config.experiment import load_experiment
from ctr.jobs.evaluate import name_of
from ctr.runs.checksums import write_checksums
from ctr.runs.files import read_json, write_json, write_text
from ctr.runs.folders import new_folder
from ctr.runs.run import Run
from ctr.training.checkpoint import newest
from tests.ctr.conftest import BY_STEPS, ending, resealed, resume

pytestmark = pytest.mark.usefixtures("undrawn_plots")
TAGGED = "name: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{path}]]\n"


@pytest.fixture
def outside(tmp_path):
    """Write files of the user that no command must touch, and check them after the test."""
    folder = tmp_path / "outside"
    (folder / "step-by-step").mkdir(parents=True)
    for name in (".profile", "thesis.txt", "test.parquet", "step-by-step/one.txt"):
        (folder / name).write_text("years of work")
    yield folder
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} >= {
        ".profile",
        "thesis.txt",
        "test.parquet",
        "step-by-step/one.txt",
    }
    for name in (".profile", "thesis.txt", "test.parquet", "step-by-step/one.txt"):
        assert (folder / name).read_text() == "years of work"


def command(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_yaml_makes_no_objects(trained, place, tmp_path):
    text = (trained / "config.yaml").read_text()
    (trained / "config.yaml").write_text(TAGGED.format(path=tmp_path / "made") + text.partition("\n")[2])
    resealed(trained)
    (trained / "diverged").mkdir()
    (trained / "diverged" / "step-000000001.parquet").write_text("")
    commands = {
        "train": ["train", trained / "config.yaml", "--run", tmp_path / "new"],
        "inspect": ["inspect", trained / "config.yaml", "--run", tmp_path / "new"],
        "--set": ["train", place / "tiny.yaml", "--set", f"name={TAGGED.format(path=tmp_path / 'made')[6:]}"],
        "evaluate": ["evaluate", trained, place / "clicks" / "part-2.parquet"],
        "report": ["report", trained],
        "replay": ["replay", trained / "diverged" / "step-000000001.parquet"],
    }
    for name, arguments in commands.items():
        result = command(*arguments)
        assert result.exit_code == 2, (name, result.output)
        assert "could not determine a constructor for the tag" in result.stderr
    assert not (tmp_path / "made").exists()


OTHER_NAMES = ["../../outside", "step-000000036/../step-000000036", "/", None, ["x"], 7]


@pytest.mark.parametrize(
    ("checkpoint", "step"),
    [
        pytest.param(name, step, marks=[pytest.mark.slow] if step != 36 and place > 0 else [])
        for place, name in enumerate(OTHER_NAMES)
        for step in (36, "36", None, [36])
    ],
)
def test_the_best_checkpoint_lies_in_the_folder(trained, place, checkpoint, step):
    write_json(trained / "checkpoints" / "best.json", {"checkpoint": checkpoint, "step": step})
    resealed(trained)
    result = command("evaluate", trained, place / "clicks" / "part-2.parquet")
    assert result.exit_code == 2
    assert "no usable checkpoint" in result.stderr


HOSTILE = [
    {"best": {"checkpoint": "../../../outside", "step": 5}},
    {"best": {"checkpoint": "/", "step": 5}},
    {"best": {"checkpoint": "..", "step": 5}},
    {"best": ["x"]},
    {"step": "../../outside"},
    {"unknown": 1},
]


@pytest.mark.parametrize("changes", HOSTILE, ids=str)
def test_a_position_names_checkpoints_in_the_folder(unfinished, outside, changes):
    checkpoint = unfinished / "checkpoints" / "step-000000006"
    write_json(checkpoint / "position.json", {**read_json(checkpoint / "position.json"), **changes})
    (checkpoint / "checksums.json").unlink()
    write_checksums(checkpoint)
    warnings = []
    assert newest(unfinished / "checkpoints", warnings.append).step == 5
    assert "step-000000006 cannot be used" in warnings[0]


def test_only_the_lines_of_a_run_are_copied_into_its_checkpoints(experiment_of, unfinished, undisturbed, outside):
    """A position can name any files as read."""
    checkpoint = unfinished / "checkpoints" / "step-000000006"
    position = read_json(checkpoint / "position.json")
    position["sizes"] |= {"../../outside/thesis.txt": 3, "../outside/.profile": 0}
    write_json(checkpoint / "position.json", position)
    (checkpoint / "checksums.json").unlink()
    write_checksums(checkpoint)
    resume(experiment_of(*BY_STEPS), unfinished)
    assert ending(unfinished) == undisturbed(*BY_STEPS)


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "a\\b", ".hidden", "", "/etc"])
def test_the_name_of_an_experiment_is_that_of_a_folder(place, name):
    with pytest.raises(ctr.ConfigError, match="the name must be usable as a folder: without slash, leading dot"):
        load_experiment(place / "tiny.yaml", [f"name={json.dumps(name)}"])


@pytest.mark.parametrize(
    "data", ["..", "../..", "/", "x/..", "*/..*", "s3://bucket/../..", "s3://..", "...parquet", "[.][.]", "\\..\\.."]
)
def test_the_name_of_an_evaluation_is_that_of_a_folder(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = name_of(data)
    assert Path(name).parts == (name,)
    assert name not in ("", ".", "..")


def test_what_resuming_writes_goes_through_no_link(experiment_of, undisturbed, unfinished, outside):
    """This holds for files, folders and half-written leftovers; the old target of a link is not read either."""
    for name in ("scores", "reference", "diverged"):
        (unfinished / name).symlink_to(outside)
    for name in ("metrics.jsonl", "timing.jsonl", "report.html", "report.md", "report.html.partial"):
        for path in (unfinished / name, unfinished / f".{name}.partial"):
            path.unlink(missing_ok=True)
            path.symlink_to(outside / "thesis.txt")
    (unfinished / "checkpoints" / ".best.json.partial").symlink_to(outside / ".profile")
    (unfinished / "checkpoints" / ".step-000000012.partial").symlink_to(outside)
    resume(experiment_of(*BY_STEPS), unfinished)
    assert ending(unfinished) == undisturbed(*BY_STEPS)
    assert not [path for path in unfinished.rglob("*") if path.is_symlink()]


@pytest.mark.slow
def test_checkpoints_may_lie_on_another_disk(experiment_of, undisturbed, unfinished, outside):
    """Other files there, such as hidden ones, are not touched."""
    shutil.copytree(unfinished / "checkpoints", outside, dirs_exist_ok=True)
    shutil.rmtree(unfinished / "checkpoints")
    (unfinished / "checkpoints").symlink_to(outside)
    resume(experiment_of(*BY_STEPS), unfinished)
    assert ending(unfinished) == undisturbed(*BY_STEPS)
    assert (outside / "step-000000036").is_dir()


@pytest.mark.slow
def test_a_whole_run_may_lie_on_another_disk(experiment_of, place, small_run, tmp_path):
    disk = Path(shutil.copytree(small_run, tmp_path / "disk" / "run"))
    (tmp_path / "run").symlink_to(disk)
    assert command("evaluate", tmp_path / "run", place / "clicks" / "part-2.parquet").exit_code == 0
    ctr.train(experiment_of("training.epochs=2"), tmp_path / "run", overwrite=True)
    assert (tmp_path / "run").is_symlink()
    assert read_json(disk / "report.json")["training"]["epochs"] == 2
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["run"]


def test_a_run_is_replaced_but_not_what_its_links_lead_to(experiment_of, trained, outside):
    for name in ("evaluations", "notes"):
        (trained / name).symlink_to(outside)
    shutil.rmtree(trained / "scores")
    (trained / "scores").symlink_to(outside)
    ctr.train(experiment_of("training.epochs=1"), trained, overwrite=True)
    assert not (trained / "scores").is_symlink()


def test_an_evaluation_takes_the_place_of_a_link(trained, place, outside):
    part = place / "clicks" / "part-2.parquet"
    assert command("evaluate", trained, part).exit_code == 0
    evaluation = trained / "evaluations" / "part-2"
    shutil.move(evaluation, outside / "part-2")
    before = (outside / "part-2" / "report.json").read_bytes()
    evaluation.symlink_to(outside / "part-2")
    (trained / "evaluations" / ".part-2.partial").symlink_to(outside)
    assert command("evaluate", trained, part, "--overwrite").exit_code == 0
    assert not evaluation.is_symlink()
    assert (outside / "part-2" / "report.json").read_bytes() == before


def test_evaluations_are_not_taken_for_others(trained, place, outside):
    (trained / "evaluations").mkdir()
    (trained / "evaluations" / "part-2").symlink_to(outside)
    result = command("evaluate", trained, place / "clicks" / "part-2.parquet", "--overwrite")
    assert result.exit_code == 2
    assert "exists and is not an evaluation" in result.stderr


def test_a_report_takes_the_place_of_a_link(trained, outside):
    for name in ("report.html", "report.md", ".report.html.partial", ".report.md.partial"):
        (trained / name).unlink(missing_ok=True)
        (trained / name).symlink_to(outside / "thesis.txt")
    assert command("report", trained).exit_code == 0
    assert (trained / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert not (trained / "report.html").is_symlink()


def test_files_and_folders_take_the_place_of_links(outside, tmp_path):
    (tmp_path / "file").symlink_to(outside / "thesis.txt")
    (tmp_path / ".file.partial").symlink_to(outside / "thesis.txt")
    write_text(tmp_path / "file", "mine")
    (tmp_path / "folder").symlink_to(outside)
    (tmp_path / ".folder.partial").symlink_to(outside)
    with new_folder(tmp_path / "folder") as partial:
        (partial / "thesis.txt").write_text("mine")
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "thesis.txt").read_text() == "mine"
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    (run.folder / "checkpoints").symlink_to(outside)
    run.delete()
    assert not run.folder.exists()


def test_arrays_of_a_run_hold_no_objects(trained, place):
    class Touch:
        def __reduce__(self):
            return os.mkdir, (str(trained.parent / "made"),)

    np.save(trained / "reference" / "rows.npy", np.array([Touch()], object), allow_pickle=True)
    (trained / "reference" / "checksums.json").unlink()
    write_checksums(trained / "reference")
    resealed(trained)
    result = command("evaluate", trained, place / "clicks" / "part-2.parquet")
    assert result.exit_code == 2
    assert "reference: damaged: Object arrays cannot be loaded" in result.stderr
    assert not (trained.parent / "made").exists()
