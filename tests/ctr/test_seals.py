"""A flipped byte of a finished run, an evaluation or a comparison is reported by its reader and changes no number."""

import json
import os
import shlex
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.errors import Damaged
from ctr.runs.checksums import read_sums, rewriting, verify_checksums, write_checksums
from ctr.runs.run import Run
from tests.conftest import click_log
from tests.ctr.conftest import flip
from tests.ctr.undrawn import undrawn

MEASURED = "Restore it, or delete report.json and run `ctr train CONFIG --run {} --resume`, or --overwrite."
LOST = "Restore it, or start a new run with --run or --overwrite."


def command(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def evaluated(small_run, small_config, tmp_path_factory):
    """Return a copy of the small run that has evaluated its data."""
    run = Path(shutil.copytree(small_run, tmp_path_factory.mktemp("evaluated") / "run"))
    with undrawn():
        ctr.evaluate(run, str(small_config.parent / "clicks"))
    return run


@pytest.fixture
def run(evaluated, tmp_path):
    """Return a copy of the evaluated run that a test can damage."""
    return Path(shutil.copytree(evaluated, tmp_path / "run"))


def test_every_file_but_the_pages_is_sealed(evaluated):
    """A file is in the checksums of the run or of its own folder."""
    files = {path.relative_to(evaluated) for path in evaluated.rglob("*") if path.is_file()}
    sums = {Path(name) for name in read_sums(evaluated)}
    parts = {path.parent for path in sums if path.name == "checksums.json"}
    assert {path.name for path in parts} >= {"encoder", "reference"}
    unsealed = {path for path in files - sums if path.parent not in parts and "evaluations" not in path.parts}
    assert unsealed == {Path("report.html"), Path("report.md"), Path("checksums.json")}
    for part in parts:
        verify_checksums(evaluated / part)
    assert set(read_sums(evaluated / "evaluations" / "clicks")) == {
        *("report.json", "curves.json", "environment.json", "scores/clicks.parquet")
    }


def test_sealed_files_are_on_the_disk_before_their_sums_are(tmp_path, monkeypatch):
    """A machine that stops after a rename must not leave an empty file that the checksums list."""
    synced, sync = [], os.fsync

    def noted(descriptor):
        synced.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    for name in ("position.json", "state.index"):
        (tmp_path / name).write_text(name)
    write_checksums(tmp_path)
    files = [tmp_path / name for name in ("position.json", "state.index", "checksums.json")]
    assert synced == [path.stat().st_ino for path in (*files, tmp_path)]


def test_one_bit_of_any_sealed_file_is_named(run):
    for name in read_sums(run):
        flip(run / name)
        with pytest.raises(Damaged, match=f"^{run}: damaged: {name} differs from its SHA-256 in checksums.json. "):
            Run(run).file(name)
        flip(run / name)
        assert Run(run).file(name) == run / name


EVALUATE, REPORT = ("evaluate", "RUN", "DATA"), ("report", "RUN")
READ = {
    "report.json": (REPORT, MEASURED),
    "curves.json": (REPORT, MEASURED),
    "metrics.jsonl": (REPORT, MEASURED),
    "environment.json": (REPORT, MEASURED),
    "checksums.json": (REPORT, MEASURED.replace("report.json", "it")),
    "config.yaml": (EVALUATE, LOST),
    "encoder/encoder.json": (EVALUATE, MEASURED),
    "encoder/checksums.json": (EVALUATE, MEASURED),
    "reference/rows.npy": (EVALUATE, MEASURED),
    "checkpoints/best.json": (EVALUATE, MEASURED),
    "scores/test.parquet": (("report", "WHOLE", "RUN"), MEASURED),
    "evaluations/clicks/curves.json": (("report", "RUN/evaluations/clicks"), "make the folder again with --overwrite"),
    "evaluations/clicks/report.json": (("report", "RUN/evaluations/clicks"), "make the folder again with --overwrite"),
}


@pytest.mark.parametrize("file", READ)
def test_a_command_names_a_damaged_file_without_a_traceback(evaluated, run, small_config, file, undrawn_plots):
    arguments, what_to_do = READ[file]
    places = {"RUN": run, "WHOLE": evaluated, "DATA": small_config.parent / "clicks" / "part-2.parquet"}
    places["RUN/evaluations/clicks"] = run / "evaluations" / "clicks"
    flip(run / file)
    result = command(*(places.get(one, one) for one in arguments))
    assert result.exit_code == 2
    assert Path(file).name in result.stderr
    assert "damaged: " in result.stderr
    assert what_to_do.format(shlex.quote(str(run))) in result.stderr
    first, *reason = result.stderr.splitlines()
    assert bool(reason) == (": no usable checkpoint." in first)
    assert len(reason) <= 1
    assert not (run / "evaluations" / "part-2").exists()


@pytest.mark.parametrize("file", ["config.yaml", "encoder/encoder.json", "checkpoints/best.json"])
def test_no_run_begins_with_the_weights_of_a_damaged_one(run, small_config, tmp_path, file):
    flip(run / file)
    result = command("train", small_config, "--run", tmp_path / "new", "--warm-start", run)
    assert result.exit_code == 2
    assert f"damaged: {Path(file).name}" in result.stderr or f"damaged: {file}" in result.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("file", ["config.yaml", "report.json"])
def test_resuming_a_finished_run_that_is_damaged_says_so(run, small_config, file):
    flip(run / file)
    result = command("train", small_config, "--run", run, "--resume")
    assert result.exit_code == 2
    assert f"damaged: {file} differs" in result.stderr


def test_a_page_may_be_edited(run, undrawn_plots):
    for page in ("report.html", "report.md"):
        (run / page).write_text("mine")
    assert command("report", run).exit_code == 0


def test_scores_and_checkpoints_may_be_deleted(evaluated, run, small_config, undrawn_plots):
    for name in ("scores", "checkpoints"):
        shutil.rmtree(run / name)
    result = command("report", evaluated, run)
    assert result.exit_code == 0
    assert "scores/test.parquetismissing" in "".join(result.stdout.split())
    result = command("evaluate", run, small_config.parent / "clicks" / "part-2.parquet")
    assert result.exit_code == 2
    assert "checkpoints/best.json is missing. Restore it, or start a new run with --run or --overwrite" in result.stderr


def test_a_run_without_checksums_is_measured_again(run, small_config, undrawn_plots):
    """An earlier version left runs in this state."""
    before = json.loads((run / "report.json").read_text())
    (run / "checksums.json").unlink()
    for arguments in (("report", run), ("evaluate", run, small_config.parent / "clicks")):
        result = command(*arguments)
        assert result.exit_code == 2
        assert "no checksums.json: it was deleted, or an earlier version made the folder. " in result.stderr
        assert f"Run `{Run(run).resume_command}` to evaluate the run again." in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert command("train", small_config, "--run", run, "--resume").exit_code == 0
    after = Run(run).report()
    assert {**after, "seconds": None} == {**before, "seconds": None}


def test_a_report_that_cannot_be_made_again_is_not_lost(run, small_config):
    shutil.rmtree(run / "checkpoints")
    (run / "checksums.json").unlink()
    before = (run / "report.json").read_bytes()
    result = command("train", small_config, "--run", run, "--resume")
    assert result.exit_code == 2
    assert "the finished run has no usable checkpoint to continue from." in result.stderr
    assert (run / "report.json").read_bytes() == before


def test_evaluations_of_a_run_without_report_and_checkpoints_are_not_lost(run, small_config):
    shutil.rmtree(run / "checkpoints")
    (run / "report.json").unlink()
    (run / "evaluations").mkdir(exist_ok=True)
    result = command("train", small_config, "--run", run, "--resume")
    assert result.exit_code == 2
    assert "the finished run has no usable checkpoint to continue from." in result.stderr
    assert (run / "evaluations").is_dir()


MADE_AGAIN = ["report.json", "scores/test.parquet", "encoder/encoder.json", "environment.json"]


@pytest.mark.parametrize("file", [pytest.param(f, marks=[pytest.mark.slow] * ("/" not in f)) for f in MADE_AGAIN])
@pytest.mark.slow
def test_deleting_the_report_and_resuming_makes_a_damaged_file_again(run, small_config, file, undrawn_plots):
    before = (run / file).read_bytes()
    flip(run / file)
    (run / "report.json").unlink()
    result = command("train", small_config, "--run", run, "--resume")
    assert result.exit_code == 0, result.stderr
    Run(run).report()
    assert file in read_sums(run) or file == "encoder/encoder.json"
    assert (run / file).read_bytes() == before or file in ("report.json", "environment.json")


def test_an_evaluation_without_checksums_is_named_and_may_be_replaced(run, small_config, undrawn_plots):
    evaluation, data = run / "evaluations" / "clicks", small_config.parent / "clicks"
    (evaluation / "checksums.json").unlink()
    result = command("report", evaluation)
    assert result.exit_code == 2
    assert ": no checksums.json" in result.stderr
    assert "Make the folder again with --overwrite." in result.stderr
    flip(evaluation / "scores" / "clicks.parquet")
    assert command("evaluate", run, data, "--overwrite").exit_code == 0
    assert command("report", evaluation).exit_code == 0


def test_what_psi_writes_is_sealed(tmp_path, undrawn_plots):
    import pyarrow.parquet as pq

    for name in ("before", "after"):
        pq.write_table(click_log(300), tmp_path / f"{name}.parquet")
    out = tmp_path / "out"
    assert command("psi", tmp_path / "before.parquet", tmp_path / "after.parquet", "--out", out).exit_code == 0
    flip(out / "curves.json")
    result = command("report", out)
    assert result.exit_code == 2
    assert "damaged: curves.json differs" in result.stderr


def test_a_kill_while_files_are_written_again_leaves_no_wrong_checksum(tmp_path):
    for name in ("one.json", "two.json"):
        (tmp_path / name).write_text("{}")
    write_checksums(tmp_path)
    before = read_sums(tmp_path)
    with suppress(KeyboardInterrupt), rewriting(tmp_path, ["one.json"]):
        (tmp_path / "one.json").write_text("[]")
        raise KeyboardInterrupt
    assert read_sums(tmp_path) == {"two.json": before["two.json"]}
    with rewriting(tmp_path, ["one.json"]):
        pass
    assert set(read_sums(tmp_path)) == {"one.json", "two.json"}


def test_any_bit_of_checksums_is_noticed_or_harmless(tmp_path):
    (tmp_path / "one.json").write_text("{}")
    write_checksums(tmp_path)
    path = tmp_path / "checksums.json"
    content, sums = path.read_bytes(), read_sums(tmp_path)
    for place in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with suppress(Damaged):
            verify_checksums(tmp_path)
            assert read_sums(tmp_path) == sums
