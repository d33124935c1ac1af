"""Why a step diverged: what is not finite, and which rows, values and columns have to do with it; losses that soar."""

import math
import reprlib
import shlex
from collections import deque
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ctr.errors import Diverged
from ctr.runs.run import Run
from ctr.training.embedding_lookups import embedding_lookups
from ctr.training.step import LARGEST_NORM, Tensors, share_of
from ctr.training.step_snapshot import save_snapshot
from features import PADDING, Batch, Encoder, decoded_batch, describe_row, take
from models import CTRModel, Field

EXTREME = 1000.0  # numbers and weights beyond it are named
TABLES, LISTED, SHOWN = 2, 3, 6  # tables; rows of each, and numbers; features of a row
FAR_ABOVE = 10.0  # the median
WINDOW, FEWEST = 100, 10  # losses that the median is of


class LossWatch:
    """Warns once of a loss that is 10 times the median of the 100 before it, of 10 at least.

    Args:
        warn: told of it.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn, self._has_warned = warn, False
        self._last: deque[float] = deque(maxlen=WINDOW)

    def see(self, step: int, loss: float) -> None:
        """Take the loss of a step, counted from 1."""
        if self._has_warned:
            return
        if len(self._last) >= FEWEST and loss > FAR_ABOVE * (usual := median(self._last)):
            self._has_warned = True
            self._warn(
                f"the loss of step {step} is {loss:.4g}, the median of the {len(self._last)} steps before is "
                f"{usual:.4g}: if training diverges, lower the learning rate or set optimizers.clip_norm"
            )
        self._last.append(loss)


class Gradient(NamedTuple):
    """Gradient of a variable before anything is clipped, all replicas together."""

    is_finite: bool
    """True if each number is finite before anything is summed."""
    norms: np.ndarray
    """Norms of the sums by row of a table, or of a whole tower variable, float64."""
    rows: np.ndarray | None
    """Table row of each norm; None for a tower variable."""


def explain_divergence(
    model: CTRModel, encoder: Encoder, loss: float, batch: Batch, tensors: Tensors, run: Run
) -> Diverged:
    """What to raise for a step that `compiled_step` refused; the step is saved in `diverged/` of the run.

    Args:
        model: as the step left it, which is as it found it.
        encoder: of the batch.
        loss: of the batch.
        batch: of the step.
        tensors: the same on the model's device.
        run: gets `diverged/step-N.parquet`, N from 1, and what else `save_snapshot` writes.
    """
    step = int(model.step.numpy()) + 1
    saved = _saved(model, encoder, batch, run, f"step-{step:09d}.parquet")
    is_scoreless = ~np.isfinite(model(tensors, training=False).numpy())
    gradients, is_sum_finite = _gradients(model, tensors)
    smallest = math.inf  # norm of a gradient that is to be named
    if not np.isfinite(loss):
        found = f"the loss is {loss}"
    elif not all(gradient.is_finite for gradient in gradients):
        found = f"the loss is {loss:.6g}, but gradients are not finite"
    elif not all(np.isfinite(tf.identity(variable).numpy()).all() for variable in model.non_trainable_variables):
        found = f"the loss is {loss:.6g}, but a moving average of a batch norm is not finite"
    else:
        # where none is too large by itself, many are together: then the largest is named
        smallest = min(LARGEST_NORM, max(float(gradient.norms.max()) for gradient in gradients))
        overflowed = "a sum of gradients or the norm that clip_norm bounds"
        if is_sum_finite:
            overflowed = "the sum of a gradient's squares"
        found = f"the loss is {loss:.6g}, but {overflowed} is not finite"
    lines = [
        f"step {step}: {found}; its update was not made",
        *_tables(model, encoder, batch, gradients, smallest, is_scoreless),
        *_towers(model, gradients, smallest),
        *_numbers(encoder, batch),
        *_a_row(encoder, batch, is_scoreless),
        saved,
        "to do: lower the learning rate, set optimizers.clip_norm, or bound numerics by `clip` or `transform: log1p`",
    ]
    return Diverged("\n  ".join(lines))


def _saved(model: CTRModel, encoder: Encoder, batch: Batch, run: Run, name: str) -> str:
    try:
        save_snapshot(run.folder / "diverged" / name, model, encoder, batch)
    except OSError as error:
        return f"the batch could not be saved: {error}"
    path = run.failed_run_folder("diverged") / "diverged" / name
    return f"the batch is saved; to see where it begins: ctr replay {shlex.quote(str(path))}"


def _gradients(model: CTRModel, tensors: Tensors) -> tuple[list[Gradient], bool]:
    """In the order of `trainable_variables`; and whether all are finite once they are summed and clipped."""
    strategy = model.distribute_strategy

    def computed(batch: Tensors) -> tuple[list[Any], list[Any]]:
        # moves moving averages on, which nobody reads any more but to tell what was not finite
        _, gradients = model.loss_and_gradients(share_of(batch))
        return gradients, model.optimizer.combine(gradients, model.trainable_variables)

    gradients, combined = strategy.run(computed, args=(tensors,))
    applied = [strategy.experimental_local_results(gradient)[0] for gradient in combined]
    is_sum_finite = all(np.isfinite(getattr(gradient, "values", gradient).numpy()).all() for gradient in applied)
    return [_of_replicas(strategy.experimental_local_results(gradient)) for gradient in gradients], is_sum_finite


def _of_replicas(parts: Sequence[Any]) -> Gradient:
    if not isinstance(parts[0], tf.IndexedSlices):
        values = np.stack([part.numpy() for part in parts])
        with np.errstate(invalid="ignore"):
            summed = values.sum(axis=0, dtype=np.float64)
        return Gradient(_is_finite(values), _norms(summed.reshape(1, -1)), None)
    values, rows = (np.concatenate([getattr(part, name).numpy() for part in parts]) for name in ("values", "indices"))
    distinct, places = np.unique(rows, return_inverse=True)
    summed = np.zeros((len(distinct), values.shape[1]))
    with np.errstate(invalid="ignore"):
        np.add.at(summed, places, values)
    return Gradient(_is_finite(values), _norms(summed), distinct)


def _is_finite(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all())


def _norms(rows: np.ndarray) -> np.ndarray:
    """Euclidean, NaN and infinite where a number is; in float64, which the square of no float32 overflows."""
    return np.sqrt(np.square(rows).sum(axis=1))


def _tables(
    model: CTRModel,
    encoder: Encoder,
    batch: Batch,
    gradients: list[Gradient],
    smallest: float,
    is_scoreless: np.ndarray,
) -> list[str]:
    """Lines on the tables whose rows are extreme or not finite, or else on those whose gradients are not finite.

    Where `smallest` is finite: on those with a gradient of this norm, and then on those whose rows are extreme.

    Args:
        model: as the step found it.
        encoder: of the batch.
        batch: of the step.
        gradients: of the trainable variables.
        smallest: norm from which a gradient is extreme; infinite: only one that is not finite is.
        is_scoreless: rows of the batch without a finite score.
    """
    gradient_of = {id(one): found for one, found in zip(model.trainable_variables, gradients, strict=True)}
    suspects = take(batch, is_scoreless) if is_scoreless.any() else batch
    of_weights, of_gradients = {}, {}
    for lookup in embedding_lookups(model):
        names = [_feature_of(encoder, field) for field in lookup.fields]
        columns = dict.fromkeys(column for name in names for column in encoder.features.columns_of(name))
        table = f"table {lookup.table.name!r} (columns: {', '.join(columns)})"
        read = lookup.rows(batch)
        [weights] = lookup.weights.gather(read)
        sizes = np.abs(weights.numpy()).max(axis=1)
        is_extreme = ~(sizes <= EXTREME)
        if is_extreme.any():
            rows = _rows_in_words(encoder, names[0], read[is_extreme])
            of_weights[lookup.table.name] = f"{table} holds {sizes[is_extreme].max():.6g} in {rows}"
        gradient = gradient_of[id(lookup.fused)]
        assert gradient.rows is not None
        norm_of = dict(zip((gradient.rows - lookup.offset).tolist(), gradient.norms.tolist(), strict=True))
        extreme = [row for row, norm in norm_of.items() if not norm < smallest]
        found = np.intersect1d(extreme, lookup.rows(suspects))
        if len(found := found[found != PADDING]):
            largest = max(norm_of[row] for row in found.tolist())
            named = "no finite gradient" if math.isinf(smallest) else f"a gradient of norm {largest:.6g}"
            of_gradients[lookup.table.name] = f"{table} has {named} in {_rows_in_words(encoder, names[0], found)}"
    if math.isinf(smallest):
        return _listed(of_weights or of_gradients)
    return _listed(of_gradients) + _listed(of_weights)


def _listed(lines: dict[str, str]) -> list[str]:
    """The lines of the first tables, and one on the others."""
    others = list(lines)[TABLES:]
    return [*lines.values()][:TABLES] + ([f"likewise tables {_some(others)}"] if others else [])


def _rows_in_words(encoder: Encoder, name: str, rows: np.ndarray) -> str:
    return _some([f"row {row} ({describe_row(encoder, name, row)})" for row in rows.tolist()])


def _some(named: list[str]) -> str:
    return ", ".join(named[:LISTED]) + (f" and {len(named) - LISTED} more" if len(named) > LISTED else "")


def _feature_of(encoder: Encoder, field: Field) -> str:
    """The feature whose ids a field looks up."""
    if field.sequence is not None:
        return field.sequence
    assert field.column is not None
    return encoder.id_features[field.column]


def _towers(model: CTRModel, gradients: list[Gradient], smallest: float) -> list[str]:
    """A line on the towers whose weights are extreme or not finite, and on those whose gradients are, as `_tables`."""
    owned = list(zip(model.logical_variables, model.trainable_variables, gradients, strict=True))
    largest: dict[str, float] = {}
    of_gradients: dict[str, float] = {}
    for (kind, names), variable, gradient in owned:
        if kind == "tower":
            size = float(np.abs(variable.numpy()).max())
            largest[names[0]] = float(np.maximum(largest.get(names[0], 0.0), size))
            norm = float(gradient.norms[0])
            if not norm < smallest:
                of_gradients[names[0]] = max(of_gradients.get(names[0], 0.0), norm)
    extreme = [f"{name} ({size:.6g})" for name, size in largest.items() if not size <= EXTREME]
    of_weights = [f"towers that hold extreme weights: {', '.join(extreme)}"] if extreme else []
    if not of_gradients:
        return of_weights
    if math.isinf(smallest):
        return of_weights or [f"towers that have no finite gradient: {', '.join(of_gradients)}"]
    named = [f"{name} ({norm:.6g})" for name, norm in of_gradients.items()]
    return [f"towers that have an extreme gradient, by its norm: {', '.join(named)}", *of_weights]


def _numbers(encoder: Encoder, batch: Batch) -> list[str]:
    """A line on the extreme numbers of the batch, as the model sees them."""
    numbers = dict(zip(encoder.layout["numerics"], batch["numerics"].T, strict=True))
    columns = {name: encoder.features.columns_of(name)[0] for name in numbers if name in encoder.features.columns}
    assert encoder.columns is not None
    if encoder.columns.weight is not None:
        numbers["weight"] = batch["weight"]
        columns["weight"] = encoder.columns.weight
    places = {name: int(np.abs(values).argmax()) for name, values in numbers.items()}
    largest = {name: float(numbers[name][place]) for name, place in places.items()}
    extreme = sorted((name for name in columns if abs(largest[name]) > EXTREME), key=lambda name: -abs(largest[name]))
    named = [f"{name} (column {columns[name]}) is {largest[name]:.6g} in row {places[name]}" for name in extreme]
    return [f"extreme numbers: {_some(named)}"] if named else []


def _a_row(encoder: Encoder, batch: Batch, is_scoreless: np.ndarray) -> list[str]:
    """A line on the first row of the batch that has no finite score by itself."""
    if not is_scoreless.any():
        return []
    place, count = int(is_scoreless.argmax()), int(is_scoreless.sum())
    values = decoded_batch(encoder, take(batch, slice(place, place + 1)))
    found = {name: values[name][0].as_py() for name in encoder.features.columns if name in values}
    named = [f"{name} {f'{x:.6g}' if isinstance(x, float) else reprlib.repr(x)}" for name, x in found.items()]
    more = [f"and {len(named) - SHOWN} more in the file"] if len(named) > SHOWN else []
    return [
        f"rows without a finite score: {count} of {len(is_scoreless)}, "
        f"the first is row {place}: {', '.join(named[:SHOWN] + more)}"
    ]
