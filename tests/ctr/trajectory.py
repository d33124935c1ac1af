"""Golden trajectories: a model's numbers over six training steps, kept in a file, and the differences of two.

A norm shows that a weight grew or shrank. A projection, its dot product with a fixed random vector, also shows swapped
columns and signs, which keep the norm. Both are taken before training and after each step: the first step at which a
trajectory leaves the golden one, and the weights that leave it there, show where to look.
"""

import json
import math
import re
import zlib
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ctr.config.experiment import load_experiment
from ctr.evaluation.scoring import Scorer
from ctr.evaluation.split_metrics import metrics_of
from ctr.training.checkpoint import named_weights
from ctr.training.data import prepare
from ctr.training.plan import plan_model
from ctr.training.step import compiled_step
from features import Batch, Encoder, Reader, RowGroup
from optimizers import resolve

STEPS = 6
RELATIVE, ABSOLUTE = 1e-6, 1e-7
"""Tolerance: RELATIVE times the number (for a projection, times its weight's norm) plus ABSOLUTE.

Rounding uses up to a quarter of it in six steps: under other instruction sets of oneDNN (SSE 4.1, AVX2), under Eigen's
kernels, or with every initial weight off by its last bit. Sums as small as these do not depend on the threads.
ABSOLUTE is for moving averages that would be 0 without rounding.
"""
FOLDER = Path(__file__).parents[1] / "golden" / "models"
LISTED = 8  # differences
WRITE = "python -m scripts.write_golden"


class ClickData(NamedTuple):
    """The small click log, encoded once for all trajectories."""

    config: Path
    encoder: Encoder
    batches: list[Batch]
    """The first batches of the first epoch, one for each step."""
    valid: list[RowGroup]


def prepare_clicks(config):
    """Prepare the data of the small experiment."""
    experiment = load_experiment(config)
    prepared = prepare(experiment)
    reader = Reader(prepared.splits["train"], prepared.encoder, experiment.training.batch_size, experiment.seed)
    with closing(reader.epoch(0)) as batches:
        return ClickData(config, prepared.encoder, list(islice(batches, STEPS)), prepared.splits["valid"])


def train(settings, clicks):
    """Train a model for six steps; return its trajectory.

    Args:
        settings: overrides of the small experiment.
        clicks: data of the small experiment.

    Returns:
        `settings`, `model`, the `loss` of each step, `auc` and `log_loss` of the validation data, and of each table and
        weight its `optimizer`, and `norm` and `projection` before training and after each step.
    """
    experiment = load_experiment(clicks.config, settings)
    plan = plan_model(experiment, clicks.encoder)
    model = plan.build()
    step = compiled_step(model, clicks.encoder)
    losses, weights = [], [_weights(model)]
    for batch in clicks.batches:
        losses.append(step({key: tf.constant(array) for key, array in batch.items()}).loss)
        weights.append(_weights(model))
    scores = Scorer(model, clicks.encoder, experiment.training.batch_size).score(clicks.valid)
    metrics = metrics_of(scores, False, None).result()
    optimizers = _optimizers(experiment, plan, model)
    return {
        "settings": settings,
        "model": experiment.model.type,
        "loss": [_rounded(loss) for loss in losses],
        "auc": _rounded(metrics["auc"]),
        "log_loss": _rounded(metrics["log_loss"]),
        "weights": {
            name: {
                "optimizer": optimizers[name],
                "norm": [_rounded(np.linalg.norm(at_step[name])) for at_step in weights],
                "projection": [_rounded(projection(name, at_step[name])) for at_step in weights],
            }
            for name in sorted(weights[0])
        },
    }


def projection(name, weight):
    """Return the dot product of a weight with numbers from -1 to 1 set by its name and size, in any NumPy version."""
    return np.sum(np.random.RandomState(zlib.crc32(name.encode())).uniform(-1, 1, weight.size) * weight.ravel())


def _weights(model):
    """Return every table and weight, float64."""
    names = [table.name for table in model.tables.inputs.tables]
    tables = {f"table {name}": np.concatenate([*model.tables.table_blocks(name)]) for name in names}
    tower = {name: variable.numpy() for name, variable in named_weights(model).items()}
    return {name: weight.astype(np.float64) for name, weight in (tables | tower).items()}


def _optimizers(experiment, plan, model):
    """Return the config name of the optimizer of each table and weight; None for a moving average."""
    patterns = resolve(experiment.optimizers.dense, model.tower.blocks)
    return {f"table {table.name}": table.optimizer for table in plan.tables} | {
        name: experiment.optimizers.dense[patterns[name.split("/")[0]]].type if variable.trainable else None
        for name, variable in named_weights(model).items()
    }


def _rounded(number):
    """Round to nine significant digits, which distinguish any two float32 numbers."""
    return float(f"{number:.9g}")


def path_of(name):
    """Return the path of the golden trajectory of a pairing."""
    return FOLDER / f"{name}.json"


def as_json(trajectory):
    """Return a trajectory as JSON, a row of numbers on a line."""
    text = json.dumps(trajectory, indent=1)
    return re.sub(r"\[\s+([^\[\]\"]*?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


class Deviation(NamedTuple):
    """A number that differs from the golden trajectory."""

    step: int
    """Step of the number; 0: before training."""
    error: float
    """Deviation relative to the golden number, or for a projection to the norm of its weight."""
    text: str


def differences(found, golden):
    """Describe how a trajectory differs from the golden one, a line for each difference; [] if it does not."""
    old, new = _facts(golden), _facts(found)
    if old != new:
        return [
            *(f"golden only: {one}" for one in sorted(old - new)),
            *(f"now only: {one}" for one in sorted(new - old)),
        ]
    pairs = zip(_numbers(found), _numbers(golden), strict=True)
    deviations = [
        Deviation(step, _share(number - expected, scale), f"{label} is {number:.9g}, golden {expected:.9g}")
        for (_, label, number, _), (step, _, expected, scale) in pairs
        if not abs(number - expected) <= RELATIVE * abs(scale) + ABSOLUTE
    ]
    deviations.sort(key=lambda one: (one.step, -one.error))
    begin = [one for one in deviations if one.step == deviations[0].step]
    lines = [f"{_when(one.step)}: {one.text} (off by {one.error:.1e})" for one in begin[:LISTED]]
    if more := len(deviations) - len(lines):
        lines.append(f"further differences: {more}, at later steps: {len(deviations) - len(begin)}")
    return lines


def _facts(trajectory):
    """Return the facts that must be equal before numbers are compared."""
    return {
        *trajectory["settings"],
        *(f"{name}, trained by {w['optimizer']}" for name, w in trajectory["weights"].items()),
    }


def _numbers(trajectory):
    """Yield step, label, value, and the value that errors are relative to, of each number."""
    for step, loss in enumerate(trajectory["loss"], 1):
        yield step, "loss", loss, loss
    for metric in ("auc", "log_loss"):
        yield STEPS, metric, trajectory[metric], trajectory[metric]
    for name, weight in trajectory["weights"].items():
        for moment in ("norm", "projection"):
            for step, (number, norm) in enumerate(zip(weight[moment], weight["norm"], strict=True)):
                yield step, f"{moment} of {name} ({weight['optimizer']})", number, norm


def _share(difference, scale):
    return abs(difference) / abs(scale) if scale else math.inf


def _when(step):
    return f"after step {step}" if step else "before training"
