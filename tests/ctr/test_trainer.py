"""Validation, early stopping, learning rate reduction, and kept checkpoints."""

import json

import numpy as np
import pytest
import tf_keras

import ctr
from ctr.config.experiment import ConfigError
from ctr.runs.run import Run
from ctr.runs.run_data import HASHES
from ctr.training.checkpoint import CheckpointWriter, Position, fingerprint, load_best
from ctr.training.plan import plan_model
from features import Encoder
from tests.ctr.conftest import write_plain_config

pytestmark = pytest.mark.usefixtures("undrawn_plots")


@pytest.fixture
def config(tmp_path, data_folder):
    """Write the plain experiment's YAML file and return its path."""
    return write_plain_config(tmp_path / "tiny.yaml", data_folder)


def train(make_experiment, folder, *overrides, callbacks=()):
    ctr.train(make_experiment(*overrides), folder, callbacks=callbacks)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    best = json.loads((folder / "checkpoints" / "best.json").read_text())
    return [line for line in lines if line["kind"] == "valid"], best


FROZEN = "optimizers={sparse: {'*': {type: rmsprop_v2, learning_rate: 0}}, dense: {type: adam, learning_rate: 0}}"


def test_validation_comes_every_so_many_steps_and_at_the_end(make_experiment, tmp_path):
    valid, _ = train(make_experiment, tmp_path / "run", "training.validate_every={steps: 5}", "training.epochs=1")
    assert [line["step"] for line in valid] == [5, 10, 12]


def test_validation_comes_every_so_many_epochs_and_at_the_end(make_experiment, tmp_path):
    valid, _ = train(make_experiment, tmp_path / "run", "training.validate_every={epochs: 2}")
    assert [line["epoch"] for line in valid] == [2, 3]


def test_without_early_stopping_every_epoch_is_trained(make_experiment, tmp_path):
    overrides = [FROZEN, "model.batch_norm=false", "training.epochs=7", "training.early_stopping=null"]
    report = ctr.train(make_experiment(*overrides), tmp_path / "run")
    assert report["training"]["epochs"] == 7
    assert not report["training"]["stopped_early"]


def test_early_stopping_at_the_nth_validation_without_improvement(make_experiment, tmp_path):
    overrides = [FROZEN, "model.batch_norm=false", "training.epochs=9", "training.early_stopping={patience: 2}"]
    valid, best = train(make_experiment, tmp_path / "run", *overrides)
    assert [line["epoch"] for line in valid] == [1, 2, 3]  # weights do not change, so only the first is an improvement
    assert best["epoch"] == 1


def test_the_best_checkpoint_is_the_one_with_the_best_metric(make_experiment, tmp_path):
    overrides = ["training.epochs=6", "training.early_stopping={metric: log_loss, patience: 6}"]
    valid, best = train(make_experiment, tmp_path / "run", *overrides)
    losses = [line["loss"] for line in valid]
    assert best["epoch"] == valid[int(np.argmin(losses))]["epoch"]
    assert best["log_loss"] == min(losses)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["metrics"]["valid"]["log_loss"] == min(losses)


def test_a_plateau_multiplies_every_rate(make_experiment, tmp_path):
    overrides = [
        "optimizers={sparse: {'*': {type: rmsprop_v2, learning_rate: 1e-9}}, dense: {type: adam, learning_rate: 1e-9}}",
        "model.batch_norm=false",
        "training.epochs=4",
        "training.early_stopping={patience: 4}",
        "training.reduce_lr_on_plateau={factor: 0.5}",
    ]
    valid, _ = train(make_experiment, tmp_path / "run", *overrides)
    rates = [line["learning_rate"]["table *"] for line in valid]
    misses = np.cumsum(
        [0] + [after["auc"] <= max(v["auc"] for v in valid[: k + 1]) for k, after in enumerate(valid[1:])]
    )
    written_before_the_cut = np.append(0, misses[:-1])
    assert misses[-1] > 0
    assert rates == pytest.approx([1e-9 * 0.5 ** int(cuts) for cuts in written_before_the_cut])


def test_keras_callbacks_see_epochs_and_logs(make_experiment, tmp_path):
    seen = []
    callback = tf_keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((epoch, set(logs))))
    log = tf_keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    train(make_experiment, tmp_path / "run", callbacks=[callback, log])
    assert seen == [(epoch, {"loss", "val_loss", "val_auc"}) for epoch in range(3)]
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 4


def model_of(run):
    """Return the model of a run before its first step."""
    return plan_model(Run(run).experiment(), Encoder.load(run / "encoder")).build()


def test_a_checkpoint_holds_weights_state_rates_and_steps(small_run):
    model = model_of(small_run)
    started = fingerprint(model)
    load_best(Run(small_run), model)
    report = json.loads((small_run / "report.json").read_text())
    assert fingerprint(model) == report["fingerprints"]["final_weights"] != started
    state = [variable for variable in model.optimizer.variables if variable.name.startswith("accumulator")]
    assert len(state) == 1
    assert np.any(state[0].numpy())
    assert int(model.step) == int(model.optimizer.iterations) > 0


def test_the_last_checkpoints_and_the_best_are_kept(small_run, tmp_path):
    model = model_of(small_run)
    writer = CheckpointWriter(tmp_path / "checkpoints", 2, HASHES.empty_table)
    best = {"checkpoint": "step-000000010", "epoch": 0, "step": 10, "auc": 0.75}
    for step in (10, 20, 30, 40):
        model.step.assign(step)
        writer.save(model, Position(step=step, best=best))
    writer.wait()
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["best.json", "step-000000010", "step-000000030", "step-000000040"]
    assert load_best(Run(tmp_path), model) == best
    assert int(model.step) == 10


@pytest.fixture
def save(small_run):
    """Return a function that saves a step's checkpoint, naming another step as best, and returns the steps on disk."""
    model = model_of(small_run)

    def saved(writer, step, best):
        name = Position(step=best).name
        writer.save(model, Position(step=step, best={"checkpoint": name, "epoch": 0, "step": best, "auc": 0.75}))
        writer.wait()
        return {int(path.name[5:]) for path in writer.folder.glob("step-*")}

    return saved


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_every_checkpoint_on_disk_has_its_best_and_one_more_than_the_last_is_kept(save, tmp_path, keep):
    writer, rng, best_of = (
        CheckpointWriter(tmp_path / "saved", keep, HASHES.empty_table),
        np.random.default_rng(keep),
        {},
    )
    sizes = set()
    for step in range(1, 30):
        best_of[step] = step if step == 1 or rng.random() < 0.4 else best_of[step - 1]
        steps = save(writer, step, best_of[step])
        last = set(range(max(1, step - keep + 1), step + 1))
        assert steps == last | {best_of[kept] for kept in last}
        sizes.add(len(steps))
    assert max(sizes) == keep + 1


@pytest.mark.parametrize("position", [None, b"\xff", b"[]", b"{}", b'{"best": []}', b'{"best": {"checkpoint": []}}'])
def test_a_damaged_position_keeps_no_other_checkpoint(save, tmp_path, position):
    """A writer that starts with checkpoints on disk reads from them which others they name."""
    writer = CheckpointWriter(tmp_path / "saved", 2, HASHES.empty_table)
    save(writer, 10, best=10)
    assert save(writer, 20, best=10) == {10, 20}
    resumed = CheckpointWriter(tmp_path / "saved", 2, HASHES.empty_table)
    assert save(resumed, 30, best=30) == {10, 20, 30}
    path = tmp_path / "saved" / "step-000000020" / "position.json"
    path.unlink() if position is None else path.write_bytes(position)
    assert save(resumed, 30, best=30) == {20, 30}


def test_a_damaged_checkpoint_is_named(trained):
    model = model_of(trained)
    for index in trained.glob("checkpoints/step-*/state.index"):
        index.write_bytes(b"broken")
    with pytest.raises(ConfigError, match="no usable checkpoint"):
        load_best(Run(trained), model)


def test_training_without_any_improvement_to_report_still_keeps_a_checkpoint(make_experiment, tmp_path):
    _, best = train(make_experiment, tmp_path / "run", FROZEN, "training.epochs=1")
    assert best["step"] == 12


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("epochs: 2", {"epochs": 2, "steps": 24, "rows": 1440, "stopped_early": False}),
        ("epochs: 1, validate_every: {steps: 2}, early_stopping: {patience: 1}", {"epochs": 1, "stopped_early": True}),
    ],
    ids=["to the end", "in the first epoch"],
)
def test_the_report_tells_how_training_ended(make_experiment, tmp_path, settings, expected):
    constant = "optimizers={sparse: {'*': {type: rmsprop_v2, learning_rate: 0}}, dense: {type: adam, learning_rate: 0}}"
    training = f"training={{batch_size: 64, threads: 2, device: cpu, {settings}}}"
    overrides = [training, "model.dropout=0", "model.batch_norm=false"] + ([constant] if "patience" in settings else [])
    report = ctr.train(make_experiment(*overrides), tmp_path / "run")
    assert {key: report["training"][key] for key in expected} == expected
    assert ("Training stopped early" in (tmp_path / "run" / "report.html").read_text()) is expected["stopped_early"]
