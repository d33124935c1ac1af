"""A folder is locked to a single process at a time."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ctr.cli import app
from ctr.errors import ConfigError
from ctr.runs.files import check_writable
from ctr.runs.folders import new_folder
from ctr.runs.lock import lock_folder

HOLD = "import sys, pathlib; from ctr.runs.lock import lock_folder\nwith lock_folder(pathlib.Path(sys.argv[1])):\n "
UNTIL_TOLD = "print('held', flush=True); input()"


def holder(folder, then=UNTIL_TOLD):
    """Start another process that holds the lock of the folder."""
    command = [sys.executable, "-c", HOLD + then, folder]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_kept_out_until_the_first_is_done(tmp_path):
    first = holder(tmp_path / "run")
    with pytest.raises(ConfigError, match="run: another process is using this folder"), lock_folder(tmp_path / "run"):
        pytest.fail("both are in")
    with lock_folder(tmp_path / "other"):
        pass
    first.communicate("\n")
    with lock_folder(tmp_path / "run"):
        pass


def test_what_a_killed_process_leaves_keeps_nobody_out(tmp_path):
    first = holder(tmp_path / "run")
    first.kill()
    first.communicate()
    assert (tmp_path / ".run.lock").exists()
    with lock_folder(tmp_path / "run"):
        pass
    assert not (tmp_path / ".run.lock").exists()


def test_a_lock_that_cannot_be_created_is_not_held_by_another_process():
    with pytest.raises(ConfigError) as error, lock_folder(Path("/proc/run")):
        pytest.fail("it is locked")
    assert str(error.value) == "/proc: cannot write, because /proc is not a writable folder. Choose another folder."


def test_a_folder_in_which_nobody_can_write_is_refused_before_the_lock():
    with pytest.raises(ConfigError, match="/proc/a/run: cannot write, because /proc is not a writable folder"):
        check_writable(Path("/proc/a/run"))


def test_checking_a_folder_leaves_nothing_in_it(tmp_path):
    check_writable(tmp_path / "a" / "b")
    check_writable(tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_of_folders_that_were_made_for_the_lock(tmp_path):
    with pytest.raises(KeyError), lock_folder(tmp_path / "runs" / "of" / "today" / "run"):
        raise KeyError
    assert not list(tmp_path.iterdir())
    with lock_folder(tmp_path / "runs" / "run"):
        (tmp_path / "runs" / "run").mkdir()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["run"]


def test_a_folder_that_was_made_for_the_lock_may_be_gone(tmp_path):
    with lock_folder(tmp_path / "runs" / "run"):
        (tmp_path / "runs" / ".run.lock").unlink()
        (tmp_path / "runs").rmdir()
    assert not list(tmp_path.iterdir())


def test_a_lock_that_cannot_be_deleted_hides_no_error(tmp_path, monkeypatch):
    def read_only(path, missing_ok=False):
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(KeyError), lock_folder(tmp_path / "run"):
        raise KeyError


def test_a_training_is_refused_while_another_is_in_its_folder(config, tmp_path):
    with lock_folder(tmp_path / "run"):
        result = CliRunner().invoke(app, ["train", str(config), "--run", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert "run: another process is using this folder. Wait until it ends, or choose another folder." in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.fixture
def resumed(small_config, trained):
    """Resume a finished run from the command line."""
    arguments = ["train", str(small_config), "--run", str(trained), "--resume"]
    return lambda: CliRunner().invoke(app, arguments)


@pytest.mark.usefixtures("undrawn_plots")
def test_resuming_a_finished_run_removes_what_a_killed_process_left(resumed, trained):
    first = holder(trained)
    first.kill()
    first.communicate()
    lock = trained.with_name(".run.lock")
    assert lock.exists()
    result = resumed()
    assert result.exit_code == 0, result.output
    assert "is already finished:" in result.stdout
    assert not lock.exists()


@pytest.mark.usefixtures("undrawn_plots")
def test_a_lock_that_another_process_holds_stays(resumed, trained):
    first, lock = holder(trained), trained.with_name(".run.lock")
    result = resumed()
    assert result.exit_code == 2
    assert "run: another process is using this folder" in result.stderr
    assert lock.exists()
    first.communicate("\n")
    assert not lock.exists()
    assert resumed().exit_code == 0


def test_a_report_is_refused_while_another_fills_its_folder(tmp_path):
    message = "report: another process is using this folder"
    with new_folder(tmp_path / "report"), pytest.raises(ConfigError, match=message), new_folder(tmp_path / "report"):
        pytest.fail("both fill it")
    assert (tmp_path / "report").is_dir()
