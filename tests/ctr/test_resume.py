"""An interrupted and resumed run ends byte for byte like an uninterrupted run."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

import ctr
from ctr.errors import ConfigError, Interrupted
from ctr.evaluation.scoring import Scorer
from ctr.runs.checksums import verify_checksums, write_checksums
from ctr.runs.run import Run
from ctr.training.checkpoint import newest
from tests.ctr.conftest import BY_STEPS, After, DiskChanges, Killed, ending, kill, resume

pytestmark = pytest.mark.usefixtures("every_checkpoint_is_saved", "undrawn_plots")
SCRIPT = Path(__file__).parents[2] / "scripts" / "kill_and_resume.py"
SETTINGS = {
    "by epochs": [],
    "by steps, plateau": BY_STEPS,
    "early stop within an epoch": [
        "training.validate_every={steps: 5}",
        "training.early_stopping.patience=2",
        "training.epochs=6",
        "optimizers.dense.learning_rate=0.3",
    ],
    "sampled negatives": ["data.sample_negatives=0.4", "data.split.gap={minutes: 30}", "training.last_batch=drop"],
    "no validation data": ["data.split.fractions=[0.8, 0, 0.2]"],
    "schedule, lookahead, clipping": [
        "features.columns={user: {}, item: {}, history: {type: sequence, table: item, max_length: 4}, "
        "hour: {column: ts, part: hour}, price: {type: numeric}}",
        "model={type: dcn_v2, cross_layers: 1, hidden: [8], dropout: 0.1, initializer: {tables: 0.3}}",
        "optimizers.dense={type: amsgrad, learning_rate: {schedule: cosine, initial: 0.01, warm_up: {steps: 5}}, "
        "lookahead: {every: 4}}",
        "optimizers.sparse={'*': {type: lazy_adam, learning_rate: {schedule: inverse_sqrt, initial: 0.1}}, "
        "item: {type: ftrl}, hour: {type: group_lasso_adagrad, learning_rate: 0.1}}",
        "optimizers.clip_norm=0.5",
        "training.reduce_lr_on_plateau={factor: 0.5}",
    ],
}


@pytest.fixture(autouse=True)
def _nothing_is_tidied_up_by_a_process_that_is_killed(monkeypatch):
    restore = Run.restore_replaced
    monkeypatch.setattr(
        Run,
        "restore_replaced",
        lambda run, suffix: None if isinstance(sys.exception(), Killed) else restore(run, suffix),
    )


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("schedule, lookahead, clipping", [13]),
        *(pytest.param(name, [2, 8, 12, 13], marks=pytest.mark.slow) for name in SETTINGS),
    ],
)
def test_a_run_killed_after_a_step_ends_as_if_it_had_not_been(experiment_of, undisturbed, tmp_path, name, steps):
    """The run is killed before the first checkpoint, in the first epoch, after its last step, and in a later epoch."""
    experiment = experiment_of(*SETTINGS[name])
    run = tmp_path / "killed [4]"  # TensorFlow would take brackets for a pattern
    for step in steps:
        with pytest.raises(Killed):
            ctr.train(experiment, run, resume=True, callbacks=[After(step, kill)])
    resume(experiment, run)
    assert ending(run) == undisturbed(*SETTINGS[name])


CHANGES = ((os, "replace"), (os, "fsync"), (shutil, "rmtree"), (Run, "append"))


@pytest.fixture(scope="module")
def events(experiment_of, place):
    """Return how many events change the disk in an uninterrupted run."""
    with pytest.MonkeyPatch.context() as patched:
        disk = DiskChanges(patched, *CHANGES)
        ctr.train(experiment_of(*BY_STEPS), place / "counted")
    return disk.count


def test_a_resumed_run_may_be_killed_between_two_writes(experiment_of, undisturbed, unfinished, monkeypatch):
    expected, disk, experiment = undisturbed(*BY_STEPS), DiskChanges(monkeypatch, *CHANGES), experiment_of(*BY_STEPS)
    disk.kill_at(60)
    with pytest.raises(Killed):
        ctr.train(experiment, unfinished, resume=True)
    assert newest(unfinished / "checkpoints", pytest.fail).step > 6
    disk.kill_at()
    resume(experiment, unfinished)
    assert ending(unfinished) == expected
    assert not list(unfinished.rglob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
def test_a_kill_may_come_between_any_two_writes(experiment_of, undisturbed, events, tmp_path, monkeypatch, share):
    """Kill between the rename of a checkpoint and best.json, before the first checkpoint, and during reports."""
    expected = undisturbed(*BY_STEPS)
    disk, experiment, run = DiskChanges(monkeypatch, *CHANGES), experiment_of(*BY_STEPS), tmp_path / "run"
    disk.kill_at(share * events)
    with pytest.raises(Killed):
        ctr.train(experiment, run)
    disk.kill_at(0.4 * events)
    with suppress(Killed):  # there can be less left to do
        ctr.train(experiment, run, resume=True)
    disk.kill_at()
    resume(experiment, run)
    assert ending(run) == expected
    assert not list(run.rglob(".*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_ends_the_step_and_saves(experiment_of, undisturbed, tmp_path, number):
    experiment, run = experiment_of(*BY_STEPS), tmp_path / "run"
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=r"saved at step 8\. To continue, repeat the command with --resume\."):
        ctr.train(experiment, run, callbacks=[After(8, lambda: signal.raise_signal(number))])
    assert signal.getsignal(number) is before
    assert newest(run / "checkpoints", pytest.fail).step == 8
    resume(experiment, run)
    assert ending(run) == undisturbed(*BY_STEPS)


@pytest.mark.parametrize(
    ("settings", "step"),
    [
        pytest.param(BY_STEPS, 5, id="within an epoch"),
        pytest.param([], 12, id="at the end of an epoch", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_a_signal_does_not_wait_for_a_validation(experiment_of, undisturbed, tmp_path, monkeypatch, settings, step):
    experiment, run = experiment_of(*settings), tmp_path / "run"
    score = Scorer.score

    def score_once_asked(*arguments):
        signal.raise_signal(signal.SIGTERM)
        return score(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Scorer, "score", score_once_asked)
        with pytest.raises(Interrupted, match=f"saved at step {step}"):
            ctr.train(experiment, run)
        with pytest.raises(Interrupted, match=f"saved at step {step}"):  # nor when that step is resumed
            ctr.train(experiment, run, resume=True)
    resume(experiment, run)
    assert ending(run) == undisturbed(*settings)


@pytest.mark.slow
def test_a_signal_while_measuring_leaves_a_trained_run(experiment_of, undisturbed, tmp_path, monkeypatch):
    experiment, run = experiment_of(*BY_STEPS), tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr("ctr.training.measure.build_report", lambda *_: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(Interrupted, match="trained, but not evaluated"):
            ctr.train(experiment, run)
    assert "resuming from step 36" in resume(experiment, run)
    assert ending(run) == undisturbed(*BY_STEPS)


def test_a_kill_before_the_last_file_leaves_an_unfinished_run(experiment_of, undisturbed, tmp_path, monkeypatch):
    experiment, run = experiment_of(*BY_STEPS), tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(Run, "seal", lambda run: kill())
        with pytest.raises(Killed):
            ctr.train(experiment, run)
    assert (run / "report.json").exists()
    assert not Run(run).is_finished
    assert "resuming from step 36" in resume(experiment, run)
    assert Run(run).is_finished
    assert ending(run) == undisturbed(*BY_STEPS)


def test_damaged_initial_weights_are_written_again(experiment_of, undisturbed, unfinished):
    path = unfinished / "initial_weights.json"
    before = path.read_bytes()
    path.write_bytes(before.replace(b"a", b"b", 1))
    shown = resume(experiment_of(*BY_STEPS), unfinished)
    assert "warning: rewriting initial_weights.json: " in shown
    assert path.read_bytes() == before
    assert ending(unfinished) == undisturbed(*BY_STEPS)


@pytest.mark.parametrize(
    "damage", [pytest.param(b"", id="lost", marks=pytest.mark.slow), pytest.param(b"{}", id="other")]
)
def test_lines_that_are_damaged_are_those_of_the_checkpoint_again(experiment_of, undisturbed, unfinished, damage):
    (unfinished / "metrics.jsonl").write_bytes(damage)
    assert "resuming from step 6" in resume(experiment_of(*BY_STEPS), unfinished)
    assert ending(unfinished) == undisturbed(*BY_STEPS)


def test_seconds_of_training_add_up(unfinished, experiment_of):
    position = unfinished / "checkpoints" / "step-000000006" / "position.json"
    position.write_text(json.dumps(json.loads(position.read_text()) | {"seconds": 1e6}))
    write_checksums(position.parent)
    resume(experiment_of(*BY_STEPS), unfinished)
    assert Run(unfinished).report()["seconds"]["train"] > 1e6


def test_a_file_that_is_none_of_a_sealed_folder_is_named_and_a_hidden_one_is_not_minded(unfinished):
    (unfinished / "encoder" / ".DS_Store").touch()
    verify_checksums(unfinished / "encoder")
    (unfinished / "encoder" / "notes.txt").touch()
    with pytest.raises(ConfigError, match=r"encoder: damaged: notes.txt is not listed in checksums.json"):
        verify_checksums(unfinished / "encoder")


def test_a_damaged_encoder_is_fitted_again(experiment_of, undisturbed, unfinished):
    next(unfinished.glob("encoder/vocabulary-*")).write_bytes(b"")
    shown = resume(experiment_of(*BY_STEPS), unfinished)
    assert "warning: fitting the features again" in shown
    assert "resuming from step 6" in shown
    assert ending(unfinished) == undisturbed(*BY_STEPS)


@pytest.mark.slow
def test_a_run_that_replaces_another_is_resumed_and_the_other_kept_until_then(experiment_of, trained):
    run, replaced = trained, trained.with_name(f".{trained.name}.replaced")
    old = (run / "report.json").read_bytes()
    experiment = experiment_of("training.epochs=2")
    with pytest.raises(Interrupted):
        ctr.train(experiment, run, overwrite=True, callbacks=[After(8, lambda: signal.raise_signal(signal.SIGTERM))])
    assert (replaced / "report.json").read_bytes() == old
    report = ctr.train(experiment, run, resume=True)
    assert report["training"]["epochs"] == 2
    assert not replaced.exists()


def test_a_folder_without_a_run_is_named_before_training_starts(experiment_of, tmp_path):
    console = Console(file=io.StringIO(), width=200)
    with pytest.raises(Killed):
        ctr.train(experiment_of(), tmp_path / "typo", resume=True, callbacks=[After(1, kill)], console=console)
    assert console.file.getvalue().startswith(f"no run in {tmp_path / 'typo'}: starting from scratch\n")


def test_a_checkpoint_that_cannot_be_written_is_an_error_and_the_ones_before_stay(experiment_of, tmp_path, monkeypatch):
    write = ctr.training.checkpoint.write_state

    def full_after_the_first(prefix, values):
        if "step-000000003" not in str(prefix):
            raise OSError(28, "No space left on device", str(prefix))
        write(prefix, values)

    monkeypatch.setattr("ctr.training.checkpoint.write_state", full_after_the_first)
    with pytest.raises(OSError, match="No space left on device"):
        ctr.train(experiment_of(*BY_STEPS), tmp_path / "run")
    assert newest(tmp_path / "run" / "checkpoints", pytest.fail).step == 3


def test_an_evaluation_refuses_a_damaged_best_checkpoint(place, trained):
    best = json.loads((trained / "checkpoints" / "best.json").read_text())["checkpoint"]
    path = trained / "checkpoints" / best / "state.data-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{best}: damaged: state.data-00000-of-00001 differs from its SHA-256"):
        ctr.evaluate(trained, str(place / "clicks" / "part-2.parquet"))


@pytest.mark.slow
@pytest.mark.parametrize("number", ["KILL", "TERM"])
def test_a_process_that_is_killed_and_resumed(small_config, number):
    """Run a short form of scripts/kill_and_resume.py; this seed kills the process in both ways."""
    settings = [part for setting in [*BY_STEPS, "training.epochs=8"] for part in ("--set", setting)]
    options = ["--runs", "1", "--seed", "3", "--signal", number, "--every-steps", "2", *settings]
    command = [sys.executable, SCRIPT, small_config, *options]
    result = subprocess.run(command, capture_output=True, text=True, cwd=SCRIPT.parents[1])
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines()[-1].endswith("0 differ")
