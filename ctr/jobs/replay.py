"""The step at which a training diverged, done again: what each table and layer made of it, and where it began."""

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
class Part:
    """Something that a step reads or computes, and the Euclidean norms of it; None where it has no such thing."""

    name: str
    """Such as `numerics`, `table user`, `dcn_v2/cross_0` or `loss`."""
    output: float | None = None
    weights: float | None = None
    """With moving averages, after the forward pass; of a table: of the rows that the batch reads."""
    gradient: float | None = None

    @property
    def is_finite_forward(self) -> bool:
        """Whether output and weights are finite."""
        return all(norm is None or math.isfinite(norm) for norm in (self.output, self.weights))


@dataclass(frozen=True)
class Replayed:
    """A step done again."""

    weights: str
    """Whose weights: of which step or checkpoint."""
    loss: float
    parts: list[Part]
    """In the order in which they are computed."""

    @property
    def first(self) -> str | None:
        """Where it begins: the first part that is not finite, forward or else backward; None: all is finite."""
        for part in self.parts:
            if not part.is_finite_forward:
                return part.name
        backward = (part for part in reversed(self.parts) if part.gradient is not None)
        return next(
            (f"the gradient of {part.name}" for part in backward if not math.isfinite(part.gradient or 0)), None
        )

    @property
    def overflowed(self) -> str:
        """Name of what overflowed where all is finite: squares of the largest gradient, or else a sum of gradients."""
        largest = max(self.parts, key=lambda part: part.gradient or 0)
        if (largest.gradient or 0) > LARGEST_NORM:
            return f"the sum of the squares of the gradient of {largest.name}"
        return "a sum of gradients, or the norm that optimizers.clip_norm bounds"


def replay(file: str | Path, console: Console | None = None) -> list[Replayed]:
    """Do a saved step again, forward and backward, on one device.

    Args:
        file: `diverged/step-N.parquet` of a run.
        console: where the norms go; None: nowhere.

    Returns:
        The step with the weights that it met, then, if the run has a checkpoint, with those of the last one.

    Raises:
        ConfigError: no such file; it is damaged, or not in the folder of its run.
    """
    path, console = Path(file), console or Console(quiet=True)
    run = Run(path.parent.parent)
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    if path.parent.name != "diverged" or not run.exists:
        raise ConfigError(f"{path}: is not in `diverged/` of a run, whose config and encoder a replay needs")
    experiment = run.experiment(["training.device=auto", "training.replicas=1"])
    encoder = load_encoder(run)
    batch = load_batch(path, encoder)
    set_threads(experiment.training.threads)
    model = plan_model(experiment, encoder).build()
    load_weights(path, model)
    shown = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    position = newest(run.folder / "checkpoints", lambda message: shown(f"warning: {message}"))
    try:
        found = [_replayed(model, batch, path.stem)]
        if position is not None:
            step = int(model.step.numpy())
            read_state(run.folder / "checkpoints" / position.name / "state", model)
            model.step.assign(step)  # dropout is a function of it
            found.append(_replayed(model, batch, f"checkpoint {position.name}"))
    except tf.errors.InvalidArgumentError as error:
        raise ConfigError(f"{path}: holds ids that the tables of this run do not have") from error
    console.print(_table(found[0]))
    for one in found:
        begins = "all is finite" if one.first is None else f"it begins at {one.first}"
        shown(f"with the weights of {one.weights} the loss is {one.loss:.6g}: {begins}")
    if found[0].first is None:
        shown(f"so what overflowed is {found[0].overflowed}")
    elif len(found) > 1:
        shown(f"so it is {'the weights since' if found[1].first is None else 'not the weights since, but the batch'}")
    return found


def _replayed(model: CTRModel, batch: Batch, weights: str) -> Replayed:
    tensors = {key: tf.constant(array) for key, array in batch.items()}
    with recorded() as calls:
        loss, gradients = model.loss_and_gradients(tensors)
    gradient_of = {id(one): found for one, found in zip(model.trainable_variables, gradients, strict=True)}
    parts = [Part("numerics", output=_norm([batch["numerics"]]))] if batch["numerics"].size else []
    parts += _tables(model, batch, gradient_of)
    for name, layer, output in calls:
        inner = [module for module in layer.submodules if isinstance(module, Recorded)]
        below = {id(variable) for recorded_layer in inner for variable in recorded_layer.variables}
        own = [] if layer is model.tables else [one for one in layer.variables if id(one) not in below]
        trained = [gradient_of[id(one)] for one in own if one.trainable]
        parts.append(Part(name, _norm(output), _norm(own) if own else None, _norm(trained) if trained else None))
    return Replayed(weights, float(loss), [*parts, Part("loss", output=abs(float(loss)))])


def _tables(model: CTRModel, batch: Batch, gradient_of: dict[int, Any]) -> Iterator[Part]:
    """Each table: the rows that the batch reads, and their gradients, each row's summed."""
    for lookup in embedding_lookups(model):
        read, gradient = lookup.rows(batch), gradient_of[id(lookup.fused)]
        rows = gradient.indices.numpy() - lookup.offset
        is_own = (rows >= 0) & (rows < lookup.table.rows)
        summed = np.zeros((len(read), lookup.table.dim))
        with np.errstate(invalid="ignore"):
            np.add.at(summed, np.searchsorted(read, rows[is_own]), gradient.values.numpy()[is_own])
        yield Part(f"table {lookup.table.name}", weights=_norm(lookup.weights.gather(read)), gradient=_norm([summed]))


def _norm(arrays: Sequence[Any]) -> float:
    """Of all together; in float64, which the square of no float32 overflows."""
    return math.sqrt(sum(float(np.square(np.asarray(array, np.float64)).sum()) for array in arrays))


def _table(found: Replayed) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("part", "output", "weights", "gradient"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part in found.parts:
        norms = ("" if norm is None else f"{norm:.4g}" for norm in (part.output, part.weights, part.gradient))
        table.add_row(escape(part.name), *norms, style=None if part.is_finite_forward else "red")
    return table
