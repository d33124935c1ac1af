"""A finished run that trains on ends like a run that had as many epochs from the start."""

import io
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import tf_keras
from rich.console import Console
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.errors import ConfigError, Interrupted
from ctr.runs.run import Run
from ctr.training.callbacks import load_callbacks
from ctr.training.checkpoint import load_best
from tests.conftest import swap_two_labels, write_clicks
from tests.ctr.conftest import After, DiskChanges, Killed, ending, flip, kill, refuse_writes, resume

pytestmark = pytest.mark.usefixtures("every_checkpoint_is_saved", "undrawn_plots")
MORE = "training.epochs=3"  # of the config; an epoch has 12 steps
TWO = "training.epochs=2"
SETTINGS = {
    "by epochs": [],
    "by steps, plateau": ["training.validate_every={steps: 6}", "training.reduce_lr_on_plateau={factor: 0.5}"],
    "no validation data": ["data.split.fractions=[0.8, 0, 0.2]", "training.validate_every={steps: 5}"],
    "group lasso, ftrl, lamb": [
        "optimizers.sparse={'*': {type: group_lasso_adagrad, learning_rate: 0.1}, item: {type: ftrl}}",
        "optimizers.dense={type: lamb, learning_rate: 0.01}",
    ],
    "schedules, lookahead, clipping": [
        "optimizers.dense={type: amsgrad, learning_rate: {schedule: cosine, initial: 0.01, over: 3, "
        "warm_up: {steps: 30}}, lookahead: {every: 5}}",
        "optimizers.sparse={'*': {type: lazy_adam, learning_rate: {schedule: piecewise, initial: 0.1, "
        "rates: {1: 0.05, 2: 0.01}}}}",
        "optimizers.clip_norm=0.5",
    ],
}


@pytest.fixture(scope="module")
def finished_of(experiment_of, place):
    """Return a function from settings to a finished run of them, which tests do not change."""
    runs = {}

    def of(*settings):
        if settings not in runs:
            runs[settings] = place / f"finished-{len(runs)}"
            ctr.train(experiment_of(*settings), runs[settings])
        return runs[settings]

    return of


@pytest.fixture
def finished(finished_of, tmp_path):
    """Return a copy of a run of two epochs."""
    return Path(shutil.copytree(finished_of(TWO), tmp_path / "run"))


@pytest.fixture
def evaluated(finished, place):
    """Return the same with an evaluation, and with a file of its user."""
    ctr.evaluate(finished, str(place / "clicks" / "part-2.parquet"))
    (finished / "evaluations" / "notes.txt").write_text("mine")
    return finished


@pytest.mark.parametrize(
    "name",
    ["schedules, lookahead, clipping", *(pytest.param(name, marks=pytest.mark.slow) for name in list(SETTINGS)[:-1])],
)
def test_a_finished_run_trains_on_to_the_result_of_a_longer_run(
    experiment_of, undisturbed, finished_of, tmp_path, name
):
    settings = SETTINGS[name]
    run = shutil.copytree(finished_of(*settings, TWO), tmp_path / "run")
    shown = resume(experiment_of(*settings, MORE), run)
    assert "training on to 3 epochs: removing report and scores of the weights so far\nresuming from step " in shown
    assert "warning" not in shown
    assert ending(run) == undisturbed(*settings)
    assert Run(run).experiment() == experiment_of(*settings, MORE)


def test_evaluations_are_removed_by_name_and_other_files_stay(experiment_of, undisturbed, evaluated):
    shown = resume(experiment_of(), evaluated)
    assert "removing report and scores, evaluations (part-2) of the weights so far\n" in shown
    assert [path.name for path in (evaluated / "evaluations").iterdir()] == ["notes.txt"]
    assert ending(evaluated) == undisturbed()


@pytest.mark.slow
def test_evaluations_on_a_larger_disk_are_removed_there_and_the_link_stays(experiment_of, evaluated, tmp_path):
    shutil.move(evaluated / "evaluations", tmp_path / "elsewhere")
    (evaluated / "evaluations").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "linked").symlink_to(tmp_path / "elsewhere" / "part-2")
    resume(experiment_of(), evaluated)
    assert (evaluated / "evaluations").is_symlink()
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["linked", "notes.txt"]


REMOVALS = ((os, "replace"), (os, "unlink"), (os, "rmdir"), (Run, "append"))


def begin(experiment, run):
    """Resume a run and kill it right before its first step."""
    at_once = tf_keras.callbacks.LambdaCallback(on_train_begin=lambda logs: kill())
    with pytest.raises(Killed):
        ctr.train(experiment, run, resume=True, callbacks=[at_once])


@pytest.fixture
def restorable(evaluated, experiment_of, monkeypatch):
    """Return a run, its copy, and how many changes to the disk come before the first step of its continuation."""
    monkeypatch.setattr(Run, "restore_replaced", lambda run, suffix: None)  # a killed process tidies nothing up
    copy = evaluated.with_name("copy")
    shutil.copytree(evaluated, copy)
    with pytest.MonkeyPatch.context() as patched:
        writes = DiskChanges(patched, *REMOVALS)
        begin(experiment_of(), copy)
    assert writes.count > 20
    return evaluated, copy, writes.count


def is_whole(run, weights):
    """Return True if a run and its evaluation are finished and of the same weights, False if the run is unfinished."""
    if not Run(run).is_finished:
        with pytest.raises(ConfigError, match="unfinished run"):
            Run(run).report()
        return False
    assert Run(run).report()["fingerprints"]["final_weights"] == weights
    assert Run(run / "evaluations" / "part-2").report()["fingerprints"]["final_weights"] == weights
    return True


@pytest.mark.slow
def test_a_kill_at_any_removal_leaves_a_run_that_continues(experiment_of, undisturbed, restorable, monkeypatch):
    run, copy, count = restorable
    weights = Run(run).report()["fingerprints"]["final_weights"]
    states = []
    for last in range(1, count + 1):
        shutil.rmtree(copy)
        shutil.copytree(run, copy)
        with monkeypatch.context() as patched:
            writes = DiskChanges(patched, *REMOVALS)
            writes.kill_at(last)
            with pytest.raises(Killed):
                ctr.train(experiment_of(), copy, resume=True)
        states.append(is_whole(copy, weights))
        begin(experiment_of(), copy)
        assert not Run(copy).is_finished
        names = {path.name for path in copy.iterdir()}
        assert names.isdisjoint({"report.json", "report.html", "report.md", "scores", "curves.json", "reference"})
        assert [path.name for path in (copy / "evaluations").iterdir()] == ["notes.txt"]
        assert not [path for path in copy.rglob(".*") if "checkpoints" not in path.parts]
    assert states == sorted(states, reverse=True)  # finished until one moment, then unfinished
    assert True in states
    assert False in states
    resume(experiment_of(), copy)
    assert ending(copy) == undisturbed()


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_without_the_option_a_run_killed_at_its_removal_finishes_as_it_was(
    experiment_of, restorable, monkeypatch, share
):
    run, _, count = restorable
    expected = ending(run)
    with monkeypatch.context() as patched:
        DiskChanges(patched, *REMOVALS).kill_at(round(share * count))
        with pytest.raises(Killed):
            ctr.train(experiment_of(), run, resume=True)
    resume(experiment_of(TWO), run)
    assert ending(run) == expected


@pytest.mark.parametrize("step", [pytest.param(25, marks=pytest.mark.slow), 31])
def test_a_continued_run_may_be_killed_in_its_new_epochs(experiment_of, undisturbed, finished, step):
    with pytest.raises(Killed):
        ctr.train(experiment_of(), finished, resume=True, callbacks=[After(step, kill)])
    assert not Run(finished).is_finished
    assert f"resuming from step {30 if step > 30 else 24}" in resume(experiment_of(), finished)
    assert ending(finished) == undisturbed()


@pytest.mark.slow
def test_a_signal_within_the_new_epochs_saves_them(experiment_of, undisturbed, finished):
    with pytest.raises(Interrupted, match="saved at step 28"):
        ctr.train(
            experiment_of(), finished, resume=True, callbacks=[After(28, lambda: signal.raise_signal(signal.SIGTERM))]
        )
    assert "warning: training.epochs is 2, but the run is in epoch 3, which it completes" in resume(
        experiment_of(TWO), finished
    )
    assert Run(finished).run_report()["training"]["epochs"] == 3
    assert "is already finished" in resume(experiment_of(TWO), finished)
    assert ending(finished)["metrics.jsonl"] == undisturbed()["metrics.jsonl"]


CHECKED = {
    "settings": (lambda run: None, ["training.batch_size=32"], "training.batch_size: 64 in the run, 32 now"),
    "fewer epochs": (lambda run: None, ["training.epochs=1"], "training.epochs: 1, but .*run has trained 2"),
    "checkpoints": (lambda run: shutil.rmtree(run / "checkpoints"), [], "no usable checkpoint to continue from"),
    "a file of the start": (lambda run: flip(run / "data.json"), [], "data.json differs from its SHA-256"),
}


@pytest.mark.parametrize("case", CHECKED)
def test_a_check_that_fails_leaves_the_run_finished(experiment_of, evaluated, case):
    change, settings, message = CHECKED[case]
    change(evaluated)
    with pytest.raises(ConfigError, match=message):
        ctr.train(experiment_of(*settings), evaluated, resume=True)
    assert Run(evaluated).is_finished
    assert (evaluated / "evaluations" / "part-2" / "report.json").exists()


def test_a_callback_that_cannot_be_made_leaves_the_run_finished(experiment_of, finished):
    expected = ending(finished)
    with pytest.raises(ConfigError, match="no_module"):
        ctr.train(
            experiment_of(), finished, resume=True, callbacks=lambda: load_callbacks(["no_module:Callback"], finished)
        )
    assert ending(finished) == expected
    assert Run(finished).is_finished


def test_changed_data_leaves_the_run_finished(experiment_of, finished_of, tmp_path):
    path = f"data.path={write_clicks(tmp_path / 'clicks')}"
    run = tmp_path / "run"
    ctr.train(experiment_of(path, TWO), run)
    swap_two_labels(tmp_path / "clicks" / "part-1.parquet")
    with pytest.raises(ValueError, match="cannot resume with different data"):
        ctr.train(experiment_of(path), run, resume=True)
    assert Run(run).is_finished


@pytest.mark.slow
def test_a_state_that_cannot_be_read_leaves_the_run_finished(experiment_of, finished, monkeypatch):
    def of_another_model(*_):
        raise ConfigError("of a different model")

    with monkeypatch.context() as patched:
        patched.setattr("ctr.training.checkpoint.read_state", of_another_model)
        with pytest.raises(ConfigError, match="of a different model"):
            ctr.train(experiment_of(), finished, resume=True)
    assert Run(finished).is_finished


@pytest.mark.parametrize("settings", [[TWO], [TWO, "training.early_stopping.patience=9"]], ids=["same", "patience"])
def test_settings_that_ask_for_nothing_more_print_the_report(experiment_of, evaluated, settings):
    shown = resume(experiment_of(*settings), evaluated)
    assert "is already finished:" in shown
    assert ("  training.early_stopping.patience: " in shown) == (len(settings) == 2)
    assert ("is finished, so these settings have no effect:" in shown) == (len(settings) == 2)
    assert (evaluated / "evaluations" / "part-2").exists()


def test_settings_of_the_report_of_a_finished_run_are_named_and_not_recomputed(experiment_of, evaluated):
    report = (evaluated / "report.json").read_bytes()
    shown = resume(experiment_of(TWO, "report.psi.bins=20", "report.max_exact_rows=99"), evaluated)
    assert f"warning: {evaluated} is finished, so these settings have no effect:" in shown
    assert "  report.psi.bins: 10 in the run, 20 now\n" in shown
    assert "  report.max_exact_rows: 20000000 in the run, 99 now\n" in shown
    assert "To use them, train on with more training.epochs, or train again with" in shown
    assert (evaluated / "report.json").read_bytes() == report


def test_a_run_that_cannot_be_written_is_refused_before_its_data_is_read(experiment_of, finished, monkeypatch):
    printed = io.StringIO()
    refuse_writes(monkeypatch, finished)
    with pytest.raises(ConfigError, match=r"run: cannot write, because .*run is not a writable folder\. Choose"):
        ctr.train(experiment_of(), finished, resume=True, console=Console(file=printed))
    assert printed.getvalue() == ""
    assert Run(finished).is_finished


@pytest.mark.parametrize("is_parent_read_only", [False, True])
def test_a_finished_run_that_cannot_be_written_prints_its_report(
    experiment_of, finished, monkeypatch, is_parent_read_only
):
    files = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    refuse_writes(monkeypatch, finished, *([finished.parent] if is_parent_read_only else []))
    shown = resume(experiment_of(TWO), finished)
    assert "is already finished:" in shown
    assert f"report.html was not rewritten, because {finished} is read-only\n" in shown
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == files


EARLY = [
    "training.early_stopping.patience=1",
    "optimizers.dense.learning_rate=0.3",
    "training.validate_every={steps: 5}",
]
PATIENT = ["training.early_stopping.patience=2", *EARLY[1:]]


def test_after_an_early_stop_more_epochs_need_more_patience(experiment_of, finished_of):
    run = finished_of(*EARLY, "training.epochs=6")
    assert Run(run).run_report()["training"]["stopped_early"]
    with pytest.raises(ConfigError) as raised:
        ctr.train(experiment_of(*EARLY, "training.epochs=9"), run, resume=True)
    assert str(raised.value) == (
        f"training.early_stopping.patience: 1, but {run} was stopped early: validations without improvement: 1. Set a "
        "patience above 1 to train on."
    )
    assert Run(run).is_finished


def test_more_patience_continues_within_the_epoch_of_an_early_stop(experiment_of, undisturbed, finished_of, tmp_path):
    run = shutil.copytree(finished_of(*EARLY, "training.epochs=6"), tmp_path / "run")
    steps = Run(run).run_report()["training"]["steps"]
    assert steps % 12  # within an epoch
    shown = resume(experiment_of(*PATIENT, "training.epochs=6"), run)
    assert f"resuming from step {steps}\n" in shown
    assert Run(run).run_report()["training"]["steps"] > steps
    assert ending(run) == undisturbed(*PATIENT, "training.epochs=6")


@pytest.mark.slow
def test_a_run_continued_within_an_epoch_may_be_killed_at_once(experiment_of, undisturbed, finished_of, tmp_path):
    run = shutil.copytree(finished_of(*EARLY, "training.epochs=6"), tmp_path / "run")
    begin(experiment_of(*PATIENT, "training.epochs=6"), run)
    resume(experiment_of(*PATIENT, "training.epochs=6"), run)
    assert ending(run) == undisturbed(*PATIENT, "training.epochs=6")


COSINE = "optimizers.dense={type: adam, learning_rate: {schedule: cosine, initial: 0.01}}"


def rates(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["learning_rate"]["tower *"] for line in lines if line["kind"] == "train"]


def test_a_schedule_over_all_of_training_follows_the_new_length(experiment_of, undisturbed, finished_of, tmp_path):
    run = shutil.copytree(finished_of(COSINE, TWO), tmp_path / "run")
    shown = resume(experiment_of(COSINE), run)
    assert (
        "warning: optimizers.dense.*.learning_rate: the schedule spans all of training. From here on it follows 3 "
        "epochs instead of 2, so the result differs from that of a run of 3 epochs\n" in shown
    )
    assert len(shown.split("warning: ")) == 2
    cosine = tf_keras.optimizers.schedules.CosineDecay
    assert rates(run) == pytest.approx([*(float(cosine(0.01, 24)(k)) for k in (11, 23)), float(cosine(0.01, 36)(35))])
    assert ending(run)["fingerprints"] != undisturbed(COSINE)["fingerprints"]


@pytest.mark.parametrize(
    ("every", "effects"),
    [
        ("training.validate_every={steps: 5}", "the best checkpoint and early stopping"),
        pytest.param("training.validate_every={epochs: 3}", "the best checkpoint", marks=pytest.mark.slow),
    ],
)
def test_a_validation_at_the_end_that_is_not_due_stays(experiment_of, finished_of, tmp_path, every, effects):
    settings = [every, *(["training.early_stopping=null"] if "early" not in effects else [])]
    run = shutil.copytree(finished_of(*settings, TWO), tmp_path / "run")
    before = (run / "metrics.jsonl").read_text()
    shown = resume(experiment_of(*settings), run)
    assert (
        "warning: the run was validated at step 24 because training ended there. This validation counts for "
        f"{effects}, so the result can differ from that of a run of 3 epochs\n" in shown
    )
    assert (run / "metrics.jsonl").read_text().startswith(before)


@pytest.mark.slow
def test_a_run_with_the_weights_of_another_trains_on(experiment_of, finished_of, tmp_path):
    settings = [f"training.warm_start.run={finished_of(TWO)}", "name=child"]
    ctr.train(experiment_of(*settings), tmp_path / "straight")
    ctr.train(experiment_of(*settings, TWO), tmp_path / "run")
    resume(experiment_of(*settings), tmp_path / "run")
    assert ending(tmp_path / "run") == ending(tmp_path / "straight")


@pytest.mark.slow
def test_a_run_that_trains_on_during_an_evaluation_is_not_evaluated(
    experiment_of, finished_of, place, tmp_path, monkeypatch
):
    last_is_best = SETTINGS["no validation data"]
    finished = shutil.copytree(finished_of(*last_is_best, TWO), tmp_path / "run")

    def load_and_train_on(run, model):
        best = load_best(run, model)
        ctr.train(experiment_of(*last_is_best), finished, resume=True)
        return best

    monkeypatch.setattr("ctr.training.opened_run.load_best", load_and_train_on)
    with pytest.raises(ConfigError, match="the run was trained meanwhile"):
        ctr.evaluate(finished, str(place / "clicks" / "part-2.parquet"))
    assert not list(finished.glob("evaluations/*"))


@pytest.mark.slow
def test_the_command_line_trains_on(finished, place):
    settings = ["--set", "training.checkpoint={every: {steps: 3}}", "--set", "training.epochs=4"]
    command = ["train", str(place / "tiny.yaml"), "--run", str(finished), "--resume", *settings]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "training on to 4 epochs: removing report and scores" in result.stdout
    assert Run(finished).run_report()["training"]["steps"] == 48
