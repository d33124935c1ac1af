"""Comparisons of the small experiment, whose runs are trained in this process."""

import io

import pytest
import yaml
from rich.console import Console

import ctr
from ctr.comparison.pool import Failure
from ctr.comparison.study import load_study
from ctr.errors import ConfigError, Diverged
from ctr.jobs import compare as compare_job
from ctr.jobs.classical import train_classical
from tests.conftest import write_clicks, write_config
from tests.ctr.undrawn import undrawn

ADAGRAD = {"optimizers.sparse": {"*": {"type": "adagrad", "learning_rate": 0.1, "initial_accumulator": 0.001}}}
SLOW = {"optimizers.sparse": {"*": {"type": "sgd", "learning_rate": 0.0001}}, "optimizers.dense.learning_rate": 0.003}


class InThisProcess:
    """Replacement of `Pool` that trains one run after the other in this process."""

    trained: list = []

    def __init__(self, budget, memory_of, folder, callbacks, stop_requested):
        self.memory_of = memory_of

    def train(self, runs, started, ended, waiting, needs_no_more):
        for run in runs:
            assert self.memory_of[run.variant.name] > 2**29  # a process that imports TensorFlow
            started(run)
            waiting()
            self.trained.append(run.label)
            ended(run, self._failure(run))
        return True

    def _failure(self, run):
        try:
            with undrawn():
                if run.variant.classical_model is not None:
                    train_classical(run.variant.classical_model, run.experiment, run.folder)
                else:
                    ctr.train(run.experiment, run.folder, resume=True)
        except Diverged as error:
            return Failure(3, str(error))
        except ConfigError as error:
            return Failure(2, str(error))
        return None


def write_study(config, **values):
    """Write a study next to the file of its experiment, and load it."""
    defaults = {"name": "study", "experiment": config.name, "settings": {"training.threads": 2}, "seeds": [3, 4]}
    path = config.parent / "study.yaml"
    path.write_text(yaml.safe_dump({**defaults, **values}, sort_keys=False))
    return load_study(path)


def compare(study, folder, **options):
    """Return the content of comparison.json and the terminal output."""
    console = Console(file=io.StringIO(), width=200)
    with undrawn():
        found = ctr.compare(study, folder, console=console, **options)
    return found, console.file.getvalue()


def compared_anew(folder, **values):
    """Write and compare the small experiment; return its config, the comparison and the output. The folder is `out`."""
    config = write_config(folder / "tiny.yaml", write_clicks(folder / "clicks"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compare_job, "Pool", InThisProcess)
        return config, *compare(write_study(config, **values), folder / "out")


def variant_named(found, name):
    return next(variant for variant in found["variants"] if variant["name"] == name)
