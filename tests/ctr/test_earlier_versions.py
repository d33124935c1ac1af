"""Keys of earlier versions: rejected with their new name in a user's config, translated in a run folder."""

import json

import pytest
import yaml
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.comparison.study import list_variants, load_study
from ctr.config.earlier_versions import translate_config, translate_trials, translate_warm_start
from ctr.config.experiment import load_experiment, load_saved_experiment
from ctr.errors import ConfigError
from ctr.runs.checksums import write_checksums
from tests.ctr.conftest import BY_STEPS, ending, resealed, resume

pytestmark = pytest.mark.usefixtures("undrawn_plots")
KEPT = "optimizers.sparse.user={type: ftrl, keep_initial_weights: true, beta: 0.5}"


def as_0_4(values):
    """Return a config that this version resolved, as version 0.4 would have written it."""
    for feature in values["features"]["columns"].values():
        feature["kind"] = feature.pop("type")
    training, report = values["training"], values["report"]
    training["plateau"] = training.pop("reduce_lr_on_plateau")
    if warm_start := training["warm_start"]:
        warm_start["state"] = {"keep": "carry", "reset": "reset"}[warm_start.pop("optimizer_state")]
    report["exact_rows"] = report.pop("max_exact_rows")
    report["psi"]["unstable_above"] = report["psi"].pop("major_above")
    for pattern in [*values["optimizers"]["sparse"].values(), *values["optimizers"]["dense"].values()]:
        if "keep_initial_weights" in pattern:
            pattern["preserve_initial"] = pattern.pop("keep_initial_weights")
    return values


def make_0_4(run):
    """Turn a run folder into one of version 0.4, sealed."""
    config = run / "config.yaml"
    config.write_text(yaml.safe_dump(as_0_4(yaml.safe_load(config.read_text())), sort_keys=False))
    encoder = json.loads((run / "encoder" / "encoder.json").read_text())
    for feature in encoder["features"]["columns"].values():
        feature["kind"] = feature.pop("type")
    (run / "encoder" / "encoder.json").write_text(json.dumps(encoder))
    (run / "encoder" / "checksums.json").unlink()
    write_checksums(run / "encoder")
    if (run / "report.json").is_file():
        return resealed(run)
    (run / "checksums.json").unlink()
    write_checksums(run)
    return run


def test_a_saved_config_of_0_4_is_read_as_what_it_meant(make_experiment, tmp_path):
    experiment = make_experiment(
        KEPT,
        "optimizers.dense={type: group_lasso_adagrad, keep_initial_weights: false}",
        "training.reduce_lr_on_plateau={factor: 0.3}",
        "training.warm_start={run: runs/first, optimizer_state: keep}",
        "report={max_exact_rows: 500, psi: {major_above: 0.4}}",
        "features.columns.kind={column: user}",  # a feature can have the name of an earlier key
    )
    values = as_0_4(yaml.safe_load(experiment.to_yaml()))
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    assert load_saved_experiment(path).to_yaml() == experiment.to_yaml()
    with pytest.raises(ConfigError, match=r"unknown key 'kind': renamed to 'type' in 0\.5\.0"):
        load_experiment(path)


def test_a_saved_config_of_this_version_stays_as_it_is(make_experiment):
    values = yaml.safe_load(make_experiment(KEPT).to_yaml())
    values["optimizers"]["sparse"]["item"] = {"type": "my_package.rows:Own", "preserve_initial": True}
    before = yaml.safe_dump(values)
    assert translate_config(values) == yaml.safe_load(before)


def test_what_a_warm_start_kept_is_read_from_both_versions():
    saved = {"run": "runs/first", "state": "carry", "tables": {"user": {"carried": 3, "new": 1}}}
    now = {"run": "runs/first", "optimizer_state": "keep", "tables": {"user": {"carried": 3, "new": 1}}}
    assert translate_warm_start(saved) == now
    assert translate_warm_start(now) == now
    assert translate_warm_start({"state": "reset"}) == {"optimizer_state": "reset"}


def test_trials_of_0_4_are_those_of_this_version():
    factor, rate = "training.plateau.factor", 'optimizers.sparse."*".learning_rate'
    bounds = {"tune": [0.1, 0.9], "scale": "log"}
    saved = {
        "base": {
            "seed": 7,
            "ranges": {factor: {**bounds, "whole": False}, rate: {**bounds, "whole": False}},
            "trials": [{factor: 0.2, rate: 0.3}, {factor: 0.4, rate: 0.5}],
        }
    }
    new = "training.reduce_lr_on_plateau.factor"
    now = {
        "base": {
            "seed": 7,
            "ranges": {new: {**bounds, "integer": False}, rate: {**bounds, "integer": False}},
            "trials": [{new: 0.2, rate: 0.3}, {new: 0.4, rate: 0.5}],
        }
    }
    assert translate_trials(saved) == now
    assert translate_trials(now) == now


def test_a_run_of_0_4_is_evaluated_and_begun_with(trained, small_config, tmp_path):
    data = str(small_config.parent / "clicks" / "part-1.parquet")
    expected = ctr.evaluate(trained, data, tmp_path / "now")
    found = ctr.evaluate(make_0_4(trained), data, tmp_path / "earlier")
    assert "kind:" in (trained / "config.yaml").read_text()
    assert found["metrics"] == expected["metrics"]
    assert found["psi"] == expected["psi"]
    begun = load_experiment(small_config, [f"training.warm_start.run={trained}", "training.epochs=1"])
    rows = ctr.train(begun, tmp_path / "begun")["warm_start"]["tables"]["user"]
    assert (rows["carried"], rows["new"]) == (11, 0)


@pytest.mark.slow
def test_a_run_of_0_4_goes_on_as_it_would_have(unfinished, experiment_of, undisturbed, tmp_path):
    resume(experiment_of(*BY_STEPS), make_0_4(unfinished))
    assert ending(unfinished) == undisturbed(*BY_STEPS)


def test_an_earlier_key_of_a_study_is_answered_with_its_new_name(config):
    def study(size, **settings):
        axes = {"size": {"small": {"training.batch_size": size}, "large": {"training.batch_size": size}}}
        path = config.parent / "study.yaml"
        path.write_text(
            yaml.safe_dump(
                {"name": "s", "experiment": config.name, "axes": axes, "settings": settings, "tuning": {"trials": 2}}
            )
        )
        return load_study(path)

    with pytest.raises(ConfigError, match="unknown key 'whole': renamed to 'integer' in "):
        study({"tune": [16, 64], "whole": True})
    first = list_variants(study({"tune": [16, 64], "integer": True}, **{"training.plateau": None}))[0]
    with pytest.raises(ConfigError, match="training: unknown key 'plateau': renamed to 'reduce_lr_on_plateau'"):
        first.experiment({"training.batch_size": 16}, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["evaluate", "RUN", "DATA", "--sampled"],
            "--sampled: unknown option, renamed to --negatives-sampled in 0.5.0. Use --negatives-sampled.",
        ),
        (
            ["psi", "A", "B", "--unstable-above", "0.3"],
            "--unstable-above: unknown option, renamed to --major-above in 0.5.0. Use --major-above.",
        ),
        (
            ["psi", "A", "B", "--unstable-above=0.3"],
            "--unstable-above: unknown option, renamed to --major-above in 0.5.0. Use --major-above.",
        ),
    ],
    ids=["evaluate", "psi", "psi with ="],
)
def test_an_earlier_option_is_answered_with_its_new_name_in_one_line(arguments, message):
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.stderr) == (2, f"error: {message}\n")


def test_an_option_that_never_was_is_no_earlier_one():
    result = CliRunner().invoke(app, ["train", "CONFIG", "--sampled"])
    assert result.exit_code == 2
    assert "No such option" in result.stderr


@pytest.mark.parametrize("damage", [{"training": "fast"}, {"training": [1]}, {"training": {"warm_start": "runs/own"}}])
def test_a_damaged_config_of_0_4_is_refused_as_any_other(make_experiment, tmp_path, damage):
    values = {**as_0_4(yaml.safe_load(make_experiment().to_yaml())), **damage}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match=r"config\.yaml: training"):
        load_saved_experiment(path)
