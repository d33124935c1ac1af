"""Losing trials are decided in trial order, from what is in their run folders."""

import copy
import json
import shutil
from pathlib import Path

import pytest
import yaml

from ctr.comparison.plan import planned_trials
from ctr.comparison.pool import Failure
from ctr.comparison.results import write_failure
from ctr.comparison.study import list_variants, load_study
from ctr.comparison.trial_decisions import TrialDecisions, curve_of, read_lines, validations
from tests.ctr.conftest import flip

SAVED_REPORT = Path(__file__).parents[1] / "report" / "version_0_4" / "run.json"
STEPS = 12  # of an epoch: 720 examples in batches of 64
GOOD = (0.80, 0.81, 0.815, 0.816, 0.815)
LOSING = (0.60, 0.605, 0.607, 0.608, 0.6085)  # ended after its third validation if GOOD came before
BETTER = (0.60, 0.605, 0.607, 0.80, 0.95)  # likewise, although it would have become the best
RATE = {'optimizers.sparse."*".learning_rate': {"tune": [0.01, 1]}}


@pytest.fixture
def trials(config, tmp_path):
    """The trials of a variant in a study that has not begun."""
    values = {
        "name": "study",
        "experiment": config.name,
        "settings": {"training.epochs": 10},
        "axes": {"sparse": {"one": RATE, "other": RATE}},
        "tuning": {"trials": 4, "stop_losers": True},
    }
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(values))
    study = load_study(path)
    return [run for run in planned_trials(study, list_variants(study), tmp_path / "out") if run.variant.name == "one"]


def write_trial(run, values, is_finished=True, report_changes=None):
    """Write a run folder with a validation after each epoch."""
    shutil.rmtree(run.folder, ignore_errors=True)
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(run.experiment.to_yaml())
    lines = []
    for epoch, value in enumerate(values, start=1):
        place = {"epoch": epoch, "step": STEPS * epoch}
        lines.append({"kind": "train", **place, "rows": 720, "loss": 0.5})
        lines.append({"kind": "valid", **place, "rows": 240, "loss": 1 - value, "auc": value})
    (run.folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    vars(run).pop("saved", None)  # it has the checksums of the previous folder
    if is_finished:
        report = json.loads(SAVED_REPORT.read_text())
        report["metrics"]["valid"] |= {"auc": max(values), "auc_interval": [max(values) - 0.002, max(values) + 0.002]}
        report["training"] |= {"epochs": len(values), "stopped_early": True, **(report_changes or {})}
        (run.folder / "report.json").write_text(json.dumps(report))
        run.saved.seal()


def endings(trials):
    """Return the validation after which each trial ended; None for those that did not, or are unknown."""
    decisions = TrialDecisions(trials)
    ended = [decisions.find(run) for run in trials]
    return [trial and trial.ending["validation"] for trial in ended]


def test_a_losing_trial_ends_at_the_same_validation_whatever_it_trained(trials):
    write_trial(trials[0], GOOD)
    for trained, is_finished in ((3, False), (4, False), (5, False), (5, True)):
        write_trial(trials[1], LOSING[:trained], is_finished)
        assert endings(trials) == [None, 3, None, None]
        result = TrialDecisions(trials).result(trials[1])
        assert (result.report, result.failure) == (None, None)
        assert (result.ended.auc, result.ended.log_loss) == (0.607, pytest.approx(0.393))
    write_trial(trials[1], LOSING[:2], is_finished=False)
    assert endings(trials) == [None, None, None, None]
    assert TrialDecisions(trials).result(trials[1]) is None  # to be trained further


@pytest.mark.parametrize("failure", [Failure(3, "diverged"), Failure(-9, "killed by SIGKILL")])
def test_a_losing_trial_that_failed_later_has_ended_before(trials, failure):
    write_trial(trials[0], GOOD)
    write_trial(trials[1], LOSING, is_finished=False)
    write_failure(trials[1], failure)
    assert endings(trials)[1] == 3
    assert TrialDecisions(trials).result(trials[1]).failure is None


def test_a_trial_waits_for_those_before_it(trials):
    write_trial(trials[0], GOOD)
    write_trial(trials[2], LOSING)
    decisions = TrialDecisions(trials)
    assert decisions.find(trials[2]) is None  # the second trial has not been trained
    write_trial(trials[1], (0.70, 0.75, 0.80))
    assert decisions.find(trials[2]) is None  # it might train on
    decisions.note_end(trials[1])
    assert decisions.find(trials[2]).ending["best_trial"] == 1


def test_a_trial_that_ended_is_not_compared_with_even_if_it_trained_on(trials):
    write_trial(trials[0], GOOD)
    write_trial(trials[1], BETTER)
    write_trial(trials[2], (0.81, 0.812, 0.814, 0.815, 0.8155, 0.8156))
    assert endings(trials) == [None, 3, None, None]
    write_trial(trials[1], (0.70, 0.75, 0.80, 0.85, 0.95))
    assert endings(trials) == [None, None, 4, None]


def test_trials_that_failed_are_passed_over_and_those_to_retry_are_waited_for(trials):
    write_failure(trials[0], Failure(3, "diverged"))
    write_trial(trials[1], GOOD)
    write_trial(trials[2], LOSING)
    assert endings(trials)[2] == 3
    write_failure(trials[0], Failure(1, "out of disk space"))
    decisions = TrialDecisions(trials)
    assert decisions.find(trials[2]) is None
    decisions.note_end(trials[0])  # it failed again
    assert decisions.find(trials[2]).ending["best_trial"] == 2


def test_variants_do_not_end_the_trials_of_each_other(trials, tmp_path):
    study = load_study(tmp_path / "study.yaml")
    runs = planned_trials(study, list_variants(study), tmp_path / "out")
    for run in runs:
        write_trial(run, GOOD if run.variant.name == "one" else LOSING)
    assert endings(runs) == [None] * 8


def test_a_trial_that_stopped_within_its_first_epoch_does_not_give_the_length_of_an_epoch(trials):
    write_trial(trials[0], GOOD, report_changes={"epochs": 1})
    write_trial(trials[1], LOSING)
    assert endings(trials)[1] is None
    write_trial(trials[0], GOOD, report_changes={"epochs": 1, "stopped_early": False})
    assert endings(trials)[1] == 3


def test_only_whole_lines_of_a_running_trial_are_read(trials):
    write_trial(trials[0], LOSING, is_finished=False)
    path = trials[0].folder / "metrics.jsonl"
    whole = path.read_text()
    lines = whole.splitlines()
    assert [line["auc"] for line in validations(read_lines(trials[0]))] == list(LOSING)
    path.write_text(whole[:-5])
    assert len(validations(read_lines(trials[0]))) == 4
    for damaged in ("[]", "{}", '{"kind": "valid", "step": 36, "auc": "x", "loss": 0}', lines[1]):
        path.write_text("\n".join([*lines[:4], damaged, *lines[4:]]))
        assert len(validations(read_lines(trials[0]))) == 2


def test_damage_to_a_finished_trial_is_an_error(trials):
    write_trial(trials[0], GOOD)
    flip(trials[0].folder / "metrics.jsonl")
    with pytest.raises(ValueError, match=r"metrics\.jsonl differs from its SHA-256"):
        endings(trials)


def test_a_curve_counts_epochs_validations_and_warm_ups(make_experiment):
    every = ["training.epochs=5", "training.validate_every={steps: 7}", "training.early_stopping={metric: log_loss}"]
    schedule = "{schedule: constant, initial: 0.1, warm_up: {steps: 18}}"
    warm = [f'optimizers.sparse."*".learning_rate={schedule}']
    lines = [{"step": 7, "auc": 0.6, "loss": 0.5}, {"step": 60, "auc": None, "loss": 0.4}]
    curve = curve_of(make_experiment(*every, *warm), lines, rows=720)
    assert (curve.metric, curve.values, curve.patience) == ("log_loss", (0.5, 0.4), 3)
    assert curve.epochs == (7 / STEPS, 5.0)
    assert (curve.last_epoch, curve.validations, curve.warm_up) == (5, 9, 1.5)  # at steps 7, 14, ..., 56 and 60
    plain = curve_of(make_experiment("training.epochs=5", "training.early_stopping=null"), lines, rows=700)
    assert (plain.metric, plain.validations, plain.warm_up) == ("auc", 5, 0.0)
    assert plain.epochs[1] == 60 / 11


def test_decisions_do_not_change_what_is_on_disk(trials):
    write_trial(trials[0], GOOD)
    write_trial(trials[1], LOSING[:3], is_finished=False)
    before = {path: path.read_bytes() for path in trials[0].folder.parent.rglob("*") if path.is_file()}
    assert endings(copy.copy(trials))[1] == 3
    assert {path: path.read_bytes() for path in trials[0].folder.parent.rglob("*") if path.is_file()} == before
