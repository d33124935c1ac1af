"""Failures of the machine are reported and lose nothing intact. scripts/faults.py injects them into whole processes."""

import errno
import json
import shutil

import pytest
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.config.experiment import load_experiment
from ctr.runs.environment import environment
from ctr.runs.files import write_json
from ctr.runs.folders import new_folder
from ctr.runs.run import Run
from ctr.training.data import open_splits
from ctr.training.model_state import write_state
from ctr.training.resume import find_unfinished
from features import DataError, open_data
from tests.conftest import swap_two_labels
from tests.ctr.conftest import BY_STEPS, EVERY, After, ending, resealed, resume, write_plain_config

pytestmark = pytest.mark.usefixtures("every_checkpoint_is_saved", "undrawn_plots")


def full_disk(*_):
    raise OSError(errno.ENOSPC, "Error writing bytes to file. Detail: [errno 28] No space left on device")  # as Arrow


def command(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def changed(*settings):
    return [part for setting in [EVERY, *BY_STEPS, *settings] for part in ("--set", setting)]


@pytest.fixture
def disk_fills_up_after_training(monkeypatch):
    """Fill the disk after training, until `monkeypatch.undo()`."""
    monkeypatch.setattr("ctr.jobs.train.measure_splits", full_disk)
    return monkeypatch


def test_what_a_full_disk_stops_says_how_to_go_on(place, undisturbed, experiment_of, tmp_path, request):
    expected = undisturbed(*BY_STEPS)
    fault = request.getfixturevalue("disk_fills_up_after_training")
    run = tmp_path / "a run"
    result = command("train", place / "tiny.yaml", "--run", run, *changed())
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"error: [Errno 28] No space left on device: '{run}'",
        f"The checkpoints are kept. To resume after correcting the error, run: ctr train CONFIG --run '{run}' --resume",
    ]
    fault.undo()
    assert "resuming from step 36" in resume(experiment_of(*BY_STEPS), run)
    assert ending(run) == expected


@pytest.mark.slow
def test_a_run_that_fails_where_it_replaces_another_is_kept_beside_it(
    place, undisturbed, experiment_of, trained, tmp_path, request
):
    expected = undisturbed(*BY_STEPS)
    assert trained == tmp_path / "run"
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    fault = request.getfixturevalue("disk_fills_up_after_training")
    for name in ("run.unfinished", "run.unfinished-2"):
        result = command("train", place / "tiny.yaml", "--run", tmp_path / "run", "--overwrite", *changed())
        assert result.exit_code == 2
        assert result.stderr.splitlines()[-1].endswith(f"ctr train CONFIG --run {tmp_path / name} --resume")
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
    fault.undo()
    resume(experiment_of(*BY_STEPS), tmp_path / "run.unfinished")
    assert ending(tmp_path / "run.unfinished") == expected
    assert not list(tmp_path.glob(".*"))


def test_a_run_that_cannot_even_begin_leaves_the_one_that_it_was_to_replace(experiment_of, unfinished, monkeypatch):
    (unfinished / "report.json").write_text("{}")
    resealed(unfinished)  # finished, with checkpoints deleted to save space
    for path in (unfinished / "checkpoints").rglob("*.*"):
        path.unlink()
    monkeypatch.setattr("ctr.runs.run.write_json", full_disk)
    with pytest.raises(OSError, match="No space left on device") as raised:
        ctr.train(experiment_of(), unfinished, overwrite=True)
    assert not getattr(raised.value, "__notes__", [])
    assert (unfinished / "report.json").read_text() == "{}"
    assert not list(unfinished.parent.glob(".*"))


CHANGES = {
    "another size": (lambda path: path.write_bytes(path.read_bytes()[:-9]), "changed"),
    "the same size": (lambda path: path.write_bytes(path.read_bytes()), "changed"),
    "removed": (lambda path: path.unlink(), "was removed"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_file_that_changes_while_it_is_in_use_is_named(data_folder, case):
    change, word = CHANGES[case]
    path = data_folder / "part-1.parquet"
    group = open_data(str(path))[0]
    change(path)
    with pytest.raises(DataError, match=rf"part-1\.parquet, row group 0: the file {word} while it was in use"):
        group.read(["user"])


def test_data_that_changes_while_it_is_trained_on_leaves_a_run_to_go_on_with(data_folder, tmp_path):
    path, kept = data_folder / "part-0.parquet", tmp_path / "kept.parquet"
    experiment = load_experiment(write_plain_config(tmp_path / "tiny.yaml", data_folder), [EVERY, "training.epochs=2"])
    with pytest.raises(DataError, match="the file was removed while it was in use") as raised:
        ctr.train(experiment, tmp_path / "run", callbacks=[After(8, lambda: path.rename(kept))])
    assert raised.value.__notes__ == [
        "The checkpoints are kept. To resume after correcting the error, run: "
        f"ctr train CONFIG --run {tmp_path / 'run'} --resume"
    ]
    shutil.copy(kept, path)
    swap_two_labels(path)  # the command of the note, without fixing the cause
    with pytest.raises(
        DataError, match=f"cannot resume with different data:\n  {path}, row group 0: column 'clicked' has different"
    ):
        resume(experiment, tmp_path / "run")
    kept.rename(path)
    assert "resuming from step" in resume(experiment, tmp_path / "run")


RUN_FILES = {
    "config.yaml": "The config in the run folder is damaged. Restore it, or start a new run with --run or --overwrite.",
    "data.json": "Restore it, or start a new run",
}


@pytest.mark.parametrize("file", RUN_FILES)
@pytest.mark.parametrize("damage", [b"\xff", b"[]", b'{"train": [{}]}'])
def test_a_run_of_an_earlier_version_whose_own_files_are_damaged_says_what_to_do(place, unfinished, file, damage):
    (unfinished / "checksums.json").unlink()
    (unfinished / file).write_bytes(damage)
    result = command("train", place / "tiny.yaml", "--run", unfinished, "--resume", *changed())
    assert result.exit_code == 2
    assert str(unfinished / file) in result.stderr
    assert "damaged" in result.stderr
    assert RUN_FILES[file] in result.stderr
    assert (unfinished / "checkpoints" / "step-000000006").exists()


@pytest.mark.parametrize("file", ["config.yaml", "data.json", "checksums.json"])
def test_a_run_that_began_with_something_else_waits(place, unfinished, file):
    (unfinished / file).write_bytes((unfinished / file).read_bytes().replace(b"e", b"d", 1))
    result = command("train", place / "tiny.yaml", "--run", unfinished, "--resume", *changed())
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {unfinished}: damaged: {file} ")
    assert "Restore it, " in result.stderr
    assert (unfinished / "checkpoints" / "step-000000006").exists()


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])  # 7: every bit position occurs
def test_any_bit_of_data_json_is_noticed_or_harmless(unfinished, every):
    """No bit raises an unexpected exception."""
    (unfinished / "checksums.json").unlink()  # as written by an earlier version
    path = unfinished / "data.json"
    content = path.read_bytes()
    sets = {name: [] for name in json.loads(content)}
    for place in range(0, 8 * len(content), every):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises((DataError, ctr.ConfigError), match=r"damaged|cannot resume with different data"):
            find_unfinished(Run(unfinished), sets, [], pytest.fail)


@pytest.mark.parametrize("damage", [b"\xff", b"[]", b'{"packages": 3}', None])
def test_versions_that_are_lost_are_a_warning(experiment_of, unfinished, damage):
    path, warnings = unfinished / "environment.json", []
    path.unlink() if damage is None else path.write_bytes(damage)
    found = find_unfinished(Run(unfinished), open_splits(experiment_of(*BY_STEPS)), [], warnings.append)
    assert found.position.step == 6
    assert len(warnings) == 1
    assert "rewriting environment.json with the current versions: " in warnings[0]
    assert json.loads(path.read_text()) == environment()


def test_a_new_folder_that_cannot_be_filled_is_named_and_gone(tmp_path):
    with pytest.raises(OSError, match=rf"No space left on device: '{tmp_path}/out'"), new_folder(tmp_path / "out"):
        full_disk()
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_named_and_the_one_before_stays(tmp_path, monkeypatch):
    write_json(tmp_path / "best.json", {"step": 3})
    monkeypatch.setattr("ctr.runs.files.sync", full_disk)
    with pytest.raises(OSError, match=r"No space left on device: '.*best\.json'"):
        write_json(tmp_path / "best.json", {"step": 6})
    assert [path.name for path in tmp_path.iterdir()] == ["best.json"]
    assert json.loads((tmp_path / "best.json").read_text()) == {"step": 3}


def test_variables_that_cannot_be_written_are_an_error_of_the_system(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/state: cannot be written: Not a directory$"):
        write_state(tmp_path / "file" / "state", {"x": [1.0]})


@pytest.mark.parametrize("name", ["train", "inspect"])
def test_a_table_that_no_memory_holds_is_refused_before_it_is_made(config, tmp_path, name):
    setting = "features.columns.user={hash: 2000000000, dim: 64}"
    result = command(name, config, "--run", tmp_path / "run", "--set", setting)
    said = result.stderr if name == "train" else " ".join(result.stdout.split())
    assert result.exit_code == 2
    assert "The largest table is 'user' with 953.7 GiB: 2,000,000,003 rows of dim 64, rmsprop_v2" in said
    assert not (tmp_path / "run").exists()
