"""The runs of a comparison are planned once, and are the same after every restart."""

import json

import pytest
import yaml

from ctr.comparison.plan import TRIALS, check_same_settings, planned_seeds, planned_trials, write_plan
from ctr.comparison.study import list_variants, load_study
from ctr.errors import ConfigError
from ctr.runs.checksums import write_checksums
from tests.ctr.conftest import flip

RATE = 'optimizers.sparse."*".learning_rate'


def study_of(config, **values):
    axes = {
        "sparse": {
            name: {"optimizers.sparse": {"*": {"type": name, "learning_rate": {"tune": bounds}}}}
            for name, bounds in (("sgd", [0.1, 10]), ("adagrad", [0.01, 1]))
        }
    }
    defaults = {"name": "study", "experiment": config.name, "axes": axes, "seeds": [1, 2], "tuning": {"trials": 3}}
    path = config.parent / "study.yaml"
    path.write_text(yaml.safe_dump({**defaults, **values}, sort_keys=False))
    return load_study(path)


@pytest.fixture
def planned(config, tmp_path):
    """Study, variants, trials of a study with some values, in the folder that each test has."""

    def plan(**values):
        study = study_of(config, **values)
        variants = list_variants(study)
        return study, variants, planned_trials(study, variants, tmp_path / "out")

    return plan


def test_every_variant_has_as_many_trials_and_all_first_ones_come_first(planned, tmp_path):
    _, _, trials = planned()
    assert [(run.variant.name, run.trial) for run in trials] == [
        (name, k) for k in (1, 2, 3) for name in ("sgd", "adagrad")
    ]
    assert {run.seed for run in trials} == {0}
    assert trials[0].folder == tmp_path / "out" / "runs" / "sgd" / "trial-1"
    assert trials[0].experiment.optimizers.sparse["*"].learning_rate == trials[0].sampled[RATE]
    assert not (tmp_path / "out").exists()  # it is written by `write_plan`


def test_what_was_drawn_is_written_down_and_counts_from_then_on(planned, tmp_path):
    study, _, trials = planned()
    write_plan(study, trials, tmp_path / "out")
    path = tmp_path / "out" / TRIALS
    written = json.loads(path.read_text())
    assert written["sgd"]["trials"] == [run.sampled for run in trials if run.variant.name == "sgd"]
    written["sgd"]["trials"][1][RATE] = 0.5
    path.write_text(json.dumps(written))
    write_checksums(path.parent)
    study, _, again = planned()
    assert [run.sampled[RATE] for run in again if run.variant.name == "sgd"][1] == 0.5
    assert [run.sampled for run in again if run.variant.name == "adagrad"] == [
        run.sampled for run in trials if run.variant.name == "adagrad"
    ]


def test_trials_that_are_damaged_are_not_trained(planned, tmp_path):
    study, _, trials = planned()
    write_plan(study, trials, tmp_path / "out")
    flip(tmp_path / "out" / TRIALS)
    with pytest.raises(ConfigError, match=r"damaged: trials\.json differs from its SHA-256"):
        planned()


def test_a_larger_budget_keeps_the_trials_that_there_are(planned, tmp_path):
    study, _, three = planned()
    write_plan(study, three, tmp_path / "out")
    _, _, five = planned(tuning={"trials": 5})
    assert [run.sampled for run in five][: len(three)] == [run.sampled for run in three]
    assert len(five) == 10


def test_trials_of_another_seed_or_of_other_ranges_are_drawn_anew(planned, config, tmp_path):
    study, _, trials = planned()
    write_plan(study, trials, tmp_path / "out")
    _, _, others = planned(tuning={"trials": 3, "seed": 9})
    assert {run.seed for run in others} == {9}
    assert not {run.sampled[RATE] for run in others} & {run.sampled[RATE] for run in trials}
    tuned = {"optimizers.sparse": {"*": {"type": "sgd", "learning_rate": {"tune": [100, 200]}}}}
    _, _, others = planned(axes={"sparse": {"sgd": tuned, "adagrad": tuned}})
    assert all(100 <= run.sampled[RATE] <= 200 for run in others)


def test_the_best_trial_is_trained_with_every_seed(planned, tmp_path):
    study, variants, trials = planned()
    best = {"sgd": trials[2], "adagrad": trials[1]}
    runs = planned_seeds(study, best, variants, tmp_path / "out")
    assert [(run.variant.name, run.seed) for run in runs] == [(n, seed) for seed in (1, 2) for n in ("sgd", "adagrad")]
    assert [run.sampled for run in runs[:2]] == [trials[2].sampled, trials[1].sampled]
    assert {run.trial for run in runs} == {None}
    assert runs[0].folder == tmp_path / "out" / "runs" / "sgd" / "trial-2-seed-1"


def test_another_best_trial_is_another_run(planned, tmp_path):
    study, variants, trials = planned()
    folders = {
        run.folder
        for best in (trials[0], trials[2])
        for run in planned_seeds(study, {"sgd": best, "adagrad": None}, variants, tmp_path / "out")
    }
    assert len(folders) == 4


def test_a_variant_whose_trials_all_failed_is_left_out(planned, tmp_path):
    study, variants, trials = planned()
    runs = planned_seeds(study, {"sgd": None, "adagrad": trials[1]}, variants, tmp_path / "out")
    assert {run.variant.name for run in runs} == {"adagrad"}


def test_runs_that_are_there_must_be_those_that_are_planned(planned):
    _, _, trials = planned()
    check_same_settings(trials)
    trials[0].folder.mkdir(parents=True)
    (trials[0].folder / "config.yaml").write_text(trials[0].experiment.to_yaml())
    check_same_settings(trials)
    _, _, others = planned(settings={"training.epochs": 5})
    with pytest.raises(ConfigError) as error:
        check_same_settings(others)
    assert "training.epochs: 3 in the run, 5 now" in str(error.value)
    assert "--overwrite or another --out" in str(error.value)
