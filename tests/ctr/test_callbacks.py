"""tf_keras callbacks by name: they follow a run from the command line; what is none is told in one line."""

import os
import sys

import pytest
from typer.testing import CliRunner

from ctr.cli import app
from ctr.errors import ConfigError
from ctr.training.callbacks import load_callbacks

OWN = """
import tf_keras


class Noted(tf_keras.callbacks.Callback):
    def __init__(self, run):
        super().__init__()
        self.run = run

    def on_epoch_end(self, epoch, logs):
        with open(f"{self.run}/noted.txt", "a") as out:
            out.write(f"{epoch} {sorted(logs)}\\n")
"""


def test_a_callback_of_the_working_directory_follows_a_run(place, tmp_path, monkeypatch, undrawn_plots):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # where callbacks are found stays on it
    (tmp_path / "my_callbacks.py").write_text(OWN)
    arguments = [
        "train",
        place / "tiny.yaml",
        "--run",
        "run",
        "--callback",
        "my_callbacks:Noted",
        "--set",
        "training.epochs=2",
    ]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    logs = "['loss', 'val_auc', 'val_loss']"
    assert (tmp_path / "run" / "noted.txt").read_text() == f"0 {logs}\n1 {logs}\n"


def test_those_of_keras_are_made_of_the_folder(tmp_path):
    (callback,) = load_callbacks(["tf_keras.callbacks:TensorBoard"], tmp_path)
    assert callback.log_dir == str(tmp_path)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("tensorboard", "needs MODULE:NAME"),
        ("no_such_module:A", "No module named 'no_such_module'"),
        (".a:b", "--callback .a:b"),
        ("tf_keras.callbacks:TensorBord", "TensorBord"),
        ("os:sep", "is a str, no class and no function"),
        ("os:getpid", "is called with the run's folder"),
        ("os.path:basename", "needs a tf_keras.callbacks.Callback. Received: str"),
    ],
)
def test_what_is_no_callback_is_told(name, told, tmp_path):
    with pytest.raises(ConfigError) as error:
        load_callbacks([name], tmp_path)
    assert told in str(error.value)
    assert os.linesep not in str(error.value)
