"""`ctr replay`: repeat the step at which a run diverged, and find the first table or layer that is not finite."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ctr.errors import ConfigError
from ctr.runs.run import Run
from ctr.training.checkpoint import newest
from ctr.training.devices import set_threads
from ctr.training.embedding_lookups import embedding_lookups
from ctr.training.model_state import read_state
from ctr.training.plan import plan_model
from ctr.training.resume import load_encoder
from ctr.training.step import LARGEST_NORM
from ctr.training.step_snapshot import load_batch, load_weights
from features import Batch
from models import CTRModel, Recorded, recorded


@dataclass(frozen=True)
class Stage:
    """Table, layer or value of a step, with Euclidean norms; None for a norm that does not apply."""

    name: str
    """Name, such as `numerics`, `table user`, `dcn_v2/cross_0` or `loss`. `pass 2/dcn_v2/cross_0` is a layer in the
    second pass of the self-ensemble loss."""
    output: float | None = None
    weights: float | None = None
    """Norm of the weights, moving averages included, after the call of a layer; of the looked-up embeddings of a table.
    A layer that is called several times shows its trained weights, and their gradient over all calls, in the first
    stage."""
    gradient: float | None = None

    @property
    def is_finite_forward(self) -> bool:
        """True if output and weights are finite."""
        return all(norm is None or math.isfinite(norm) for norm in (self.output, self.weights))


@dataclass(frozen=True)
class Replayed:
    """Result of a repeated step."""

    weights: str
    """Step or checkpoint that the weights are from."""
    loss: float
    stages: list[Stage]
    """Tables and layers in order of computation."""

    @property
    def first(self) -> str | None:
        """Name of the first value that is not finite, forward or else backward; None if all are finite."""
        for stage in self.stages:
            if not stage.is_finite_forward:
                return stage.name
        backward = (stage for stage in reversed(self.stages) if stage.gradient is not None)
        return next(
            (f"the gradient of {stage.name}" for stage in backward if not math.isfinite(stage.gradient or 0)), None
        )

    @property
    def overflowed(self) -> str:
        """Name of the overflow if all norms are finite: squares of the largest gradient, or else a sum of gradients."""
        largest = max(self.stages, key=lambda stage: stage.gradient or 0)
        if (largest.gradient or 0) > LARGEST_NORM:
            return f"the sum of the squares of the gradient of {largest.name}"
        return "a sum of gradients, or the norm that optimizers.clip_norm bounds"


def _saved_steps(folder: Path) -> str:
    """Return which steps a folder holds, as advice."""
    steps = sorted([*folder.glob("diverged/step-*.parquet"), *folder.glob("step-*.parquet")])
    if steps:
        return f"Use {steps[0]}{f', or one of {len(steps) - 1} more' if steps[1:] else ''}."
    return "`ctr train` saves RUN/diverged/step-N.parquet only when training diverges. Choose a run that diverged."


def replay(file: str | Path, console: Console | None = None) -> list[Replayed]:
    """Repeat a saved step, forward and backward, on one device.

    Args:
        file: `diverged/step-N.parquet` of a run.
        console: the console that prints the norms; None prints nothing.

    Returns:
        The step with its own weights, then, if the run has a checkpoint, with the weights of the last one.

    Raises:
        ConfigError: the file is missing, damaged or not in the folder of its run.
    """
    path, console = Path(file), console or Console(quiet=True)
    run = Run(path.parent.parent)
    if path.is_dir():
        raise ConfigError(f"{path}: a folder, expected a saved step. {_saved_steps(path)}")
    if not path.is_file():
        raise ConfigError(f"{path}: no such file. Check the path.")
    if path.parent.name != "diverged" or not run.exists:
        raise ConfigError(
            f"{path}: not in the folder `diverged` of a run. Use RUN/diverged/step-N.parquet, in its run folder."
        )
    experiment = run.experiment(["training.device=auto", "training.replicas=1"])
    encoder = load_encoder(run)
    batch = load_batch(path, encoder)
    set_threads(experiment.training.threads)
    model = plan_model(experiment, encoder).build()
    load_weights(path, model)
    print_line = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    position = newest(run.folder / "checkpoints", lambda message: print_line(f"warning: {message}"))
    try:
        steps = [_replay_step(model, batch, path.stem)]
        if position is not None:
            step = int(model.step.numpy())
            read_state(run.folder / "checkpoints" / position.name / "state", model)
            model.step.assign(step)  # dropout depends on it
            steps.append(_replay_step(model, batch, f"checkpoint {position.name}"))
    except tf.errors.InvalidArgumentError as error:
        raise ConfigError(
            f"{path}: has ids that are not in the tables of this run. Use a step that this run saved."
        ) from error
    console.print(_table(steps[0]))
    for replayed in steps:
        first = "all norms are finite" if replayed.first is None else f"first not finite: {replayed.first}"
        print_line(f"weights of {replayed.weights}: loss {replayed.loss:.6g}, {first}")
    if steps[0].first is None:
        print_line(f"overflow in {steps[0].overflowed}")
    elif len(steps) > 1:
        cause = (
            "weights since the checkpoint" if steps[1].first is None else "batch, also with the checkpoint's weights"
        )
        print_line(f"cause: the {cause}")
    return steps


def _replay_step(model: CTRModel, batch: Batch, weights: str) -> Replayed:
    tensors = {key: tf.constant(array) for key, array in batch.items()}
    with recorded() as calls:
        loss, gradients = model.loss_and_gradients(tensors)
    variables = model.trainable_variables
    gradient_of = {id(variable): gradient for variable, gradient in zip(variables, gradients, strict=True)}
    stages = [Stage("numerics", output=_norm([batch["numerics"]]))] if batch["numerics"].size else []
    stages += _tables(model, batch, gradient_of)
    shown: set[int] = set()
    for name, layer, output, averages in calls:
        inner = [module for module in layer.submodules if isinstance(module, Recorded)]
        below = {id(variable) for recorded_layer in inner for variable in recorded_layer.variables}
        own = [] if layer is model.tables else [weight for weight in layer.variables if id(weight) not in below]
        trained = [weight for weight in own if weight.trainable and id(layer) not in shown]
        own_weights = [*trained, *(averages[id(weight)] for weight in own if not weight.trainable)]
        gradient = [gradient_of[id(weight)] for weight in trained]
        shown.add(id(layer))
        stages.append(
            Stage(
                name, _norm(output), _norm(own_weights) if own_weights else None, _norm(gradient) if gradient else None
            )
        )
    return Replayed(weights, float(loss), [*stages, Stage("loss", output=abs(float(loss)))])


def _tables(model: CTRModel, batch: Batch, gradient_of: dict[int, Any]) -> Iterator[Stage]:
    """Yield each table with the embeddings that the batch looks up, and their summed gradients."""
    for lookup in embedding_lookups(model):
        read, gradient = lookup.rows(batch), gradient_of[id(lookup.fused)]
        rows = gradient.indices.numpy() - lookup.offset
        is_own = (rows >= 0) & (rows < lookup.table.rows)
        summed = np.zeros((len(read), lookup.table.dim))
        with np.errstate(invalid="ignore"):
            np.add.at(summed, np.searchsorted(read, rows[is_own]), gradient.values.numpy()[is_own])
        yield Stage(f"table {lookup.table.name}", weights=_norm(lookup.weights.gather(read)), gradient=_norm([summed]))


def _norm(arrays: Sequence[Any]) -> float:
    """Return the norm of all arrays together, in float64, which the square of a float32 cannot overflow."""
    return math.sqrt(sum(float(np.square(np.asarray(array, np.float64)).sum()) for array in arrays))


def _table(replayed: Replayed) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("table or layer", "output", "weights", "gradient"):
        table.add_column(column, justify="left" if column == "table or layer" else "right")
    for stage in replayed.stages:
        norms = ("" if norm is None else f"{norm:.4g}" for norm in (stage.output, stage.weights, stage.gradient))
        table.add_row(escape(stage.name), *norms, style=None if stage.is_finite_forward else "red")
    return table
