"""tf_keras callbacks named on the command line, as on the page about callbacks."""

import json
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from ctr.cli import app
from ctr.errors import ConfigError
from ctr.training.callbacks import load_callbacks

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "use-callbacks.md").read_text()
OWN = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Enter a working directory with the module of the page on callbacks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # the working directory stays on the path
    monkeypatch.delitem(sys.modules, "my_callbacks", raising=False)
    (tmp_path / "my_callbacks.py").write_text(OWN)
    return tmp_path


def test_a_callback_of_the_working_directory_follows_a_run(place, own, undrawn_plots):
    arguments = [
        "train",
        place / "tiny.yaml",
        "--run",
        "run",
        "--callback",
        "my_callbacks:EpochLog",
        "--set",
        "training.epochs=2",
    ]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in (own / "run" / "metrics.jsonl").read_text().splitlines()]
    trained, validated = ([line for line in lines if line["kind"] == kind] for kind in ("train", "valid"))
    expected = [
        f"{train['epoch']},{train['loss']},{valid['loss']},{valid['auc']}\n"
        for train, valid in zip(trained, validated, strict=True)
    ]
    assert (own / "run" / "epochs.csv").read_text() == "".join(expected)


def test_a_callback_can_end_training(own):
    (callback,) = load_callbacks(["my_callbacks:StopAtTarget"], own)
    callback.set_model(SimpleNamespace(stop_training=False))
    callback.on_epoch_end(0, {"loss": 0.5})
    callback.on_epoch_end(1, {"loss": 0.5, "val_auc": 0.79})
    assert not callback.model.stop_training
    callback.on_epoch_end(2, {"loss": 0.5, "val_auc": 0.81})
    assert callback.model.stop_training


def test_a_function_can_return_a_callback_with_other_arguments(own):
    (callback,) = load_callbacks(["my_callbacks:tensorboard"], own)
    assert callback.log_dir == f"{own}/tensorboard"


def test_a_callback_of_keras_gets_the_run_folder(tmp_path):
    (callback,) = load_callbacks(["tf_keras.callbacks:TensorBoard"], tmp_path)
    assert callback.log_dir == str(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tensorboard", "must be MODULE:NAME"),
        ("no_such_module:A", "No module named 'no_such_module'"),
        (".a:b", "--callback .a:b"),
        ("tf_keras.callbacks:TensorBord", "TensorBord"),
        ("os:sep", "must be a class or function. Received: str"),
        ("os:getpid", "must be callable with the run folder"),
        ("os.path:basename", "must return a tf_keras.callbacks.Callback. Received: str"),
    ],
)
def test_anything_else_is_an_error_in_one_line(name, message, tmp_path):
    with pytest.raises(ConfigError) as error:
        load_callbacks([name], tmp_path)
    assert message in str(error.value)
    assert os.linesep not in str(error.value)
